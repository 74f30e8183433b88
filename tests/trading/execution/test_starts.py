"""What a start finds of what happened while nobody looked, whatever else is wrong at that moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.simulated.ledger import Position
from ccxt_bt_bridge.errors import ExchangeUnreachable
from pairs.words import Pair, PairState
from tests.brokers.markets import market_order
from tests.trading.execution.engine_rig import (
    ENTRY,
    OPEN_LIMITS,
    RULES,
    Crash,
    CrashPlan,
    Rig,
    WatchedPort,
    World,
    open_world,
    rule,
    start_rig,
)
from tests.trading.plays import SHARING, shared_market
from tests.virtual_time import run_virtual
from trading.events import PairClosed
from trading.execution.foreign_book import FOREIGN_KEY
from trading.execution.settings import ExecutionSettings
from trading.risk_guard import Breaker

D = Decimal
FLAT = {"A": D(0), "B": D(0)}
AB = {symbol: RULES[symbol] for symbol in "AB"}


def held(world: World) -> dict[str, Decimal]:
    return {symbol: world.held(symbol) for symbol in "AB"}


def deleverage(world: World, amount: str, number: int = 1) -> None:
    """The exchange closes a part of A."""
    order = replace(market_order(f"adl_autoclose-{number}", "A", amount), reduce_only=True)
    world.exchange.venue.place(order, now_ms=world.clock.now_ms())


async def die(rig: Rig) -> None:
    await rig.stop()
    rig.journal.die()


async def die_before_the_hedge(rig: Rig) -> None:
    """With the first leg, A, filled."""
    crash = rig.port._crash = rig.journal.crash = CrashPlan()

    def before(request):
        if request.symbol == "B":
            crash.died.set()
            raise Crash("send")

    rig.port.before = before
    with pytest.raises(Crash):
        await rig.engine.execute(rig.enter())
    await die(rig)


async def look(rig: Rig, seconds: float = 600.0) -> None:
    """Reconcile for so long, as it does all the time."""
    looking = asyncio.ensure_future(rig.reconciler.run())
    await asyncio.sleep(seconds)
    looking.cancel()
    await rig.stop()


def in_world(folder, script, market=None) -> None:
    async def main() -> None:
        world = open_world(folder, market)
        try:
            await script(world)
        finally:
            world.close()

    run_virtual(main())


def test_a_half_done_pair_is_finished_whatever_differs_elsewhere(tmp_path):
    """A pair with C is new in the config, and the journal cannot know what the exchange holds of C."""

    async def script(world: World) -> None:
        rig = start_rig(world, pairs=SHARING)
        await rig.recover()
        await die_before_the_hedge(rig)
        world.exchange.venue.account.ledger._positions["C"] = Position("C", D(30), D(600))
        rig = start_rig(world, pairs=SHARING)
        (mismatch,) = await rig.recover()
        await look(rig)
        assert mismatch.symbol == "C"
        assert held(world) in (ENTRY, FLAT)

    in_world(tmp_path, script, shared_market())


class LaggingPort(WatchedPort):
    """It learns of a fill three seconds later than the stream does."""

    async def account(self):
        exchange = self._exchange
        last_ms = max((fill.time_ms for fill in exchange.venue.fills), default=0)
        if exchange.clock.now_ms() - last_ms >= 3_000:
            exchange.seen = await exchange.account()
        return exchange.seen


class DyingPort(LaggingPort):
    """Whoever sends the first order never hears the answer."""

    async def create_order(self, request):
        await super().create_order(request)
        raise Crash("answer")


def test_an_account_that_lags_behind_its_fills_bares_no_leg(tmp_path):
    async def script(world: World) -> None:
        rig = start_rig(world, port_type=DyingPort)
        await rig.recover()
        with pytest.raises(Crash):
            await rig.engine.execute(rig.enter())
        await die(rig)
        rig = start_rig(world, port_type=LaggingPort)
        assert await rig.recover() == ()
        await look(rig)
        assert held(world) in (ENTRY, FLAT)

    in_world(tmp_path, script)


def test_a_pair_in_doubt_is_finished_as_soon_as_ledger_and_exchange_agree(tmp_path):
    """The exchange says for a minute that it holds nothing of the first leg."""

    async def script(world: World) -> None:
        rig = start_rig(world)
        await rig.recover()
        await die_before_the_hedge(rig)
        rig, read = start_rig(world), world.exchange.account

        async def forgetful():
            return replace(await read(), positions=())

        world.exchange.account = forgetful
        (mismatch,) = await rig.recover()
        assert mismatch.symbol == "A" and not rig.port.sent
        world.exchange.account = read
        await look(rig)
        assert held(world) in (ENTRY, FLAT) and rig.state() is not PairState.ENTERING

    in_world(tmp_path, script)


@pytest.mark.parametrize("fails", [False, True])
def test_a_start_that_fails_half_way_hides_nothing_from_the_next(fails, tmp_path):
    """A part is closed while the bot is dead, another during a start that cannot read the account."""

    async def script(world: World) -> None:
        rig = start_rig(world)
        await rig.recover()
        await rig.engine.execute(rig.enter())
        await die(rig)
        await asyncio.sleep(300)
        deleverage(world, "-1", 1)
        await asyncio.sleep(300)
        if fails:
            rig, read = start_rig(world), world.exchange.account

            async def overloaded():
                deleverage(world, "-1", 2)
                await asyncio.sleep(1)
                raise ExchangeUnreachable("503")

            world.exchange.account = overloaded
            with pytest.raises(ExchangeUnreachable):
                await rig.recover()
            world.exchange.account = read
            await die(rig)
        else:
            deleverage(world, "-1", 2)
        await asyncio.sleep(120)
        rig = start_rig(world)
        assert await rig.recover() == ()
        await look(rig)
        assert held(world) == FLAT and rig.state() is PairState.FLAT

    in_world(tmp_path, script)


@pytest.mark.parametrize(("legs", "amount"), [(ENTRY, "-0.08"), ({"A": D(2)}, "-1")])
@pytest.mark.parametrize("dies_again", [False, True])
def test_what_a_start_says_is_closed_is_closed(dies_again, legs, amount, tmp_path):
    """Too little for the legs to be uneven, or of one symbol; also when the process dies once it has booked it."""
    pairs = (Pair("A_B", "A", "B" if "B" in legs else None),)

    async def script(world: World) -> None:
        rig = start_rig(world, pairs=pairs)
        await rig.recover()
        await rig.engine.execute(rig.enter(legs=legs))
        await die(rig)
        deleverage(world, amount)
        await asyncio.sleep(300)
        rig = start_rig(world, pairs=pairs)
        if dies_again:
            rig.recovery.restore(run=1)
            await rig.recovery.reconcile(("A", "B"))
            assert any("the rest of it is closed too" in alarm for alarm in rig.alarms)
            await die(rig)
            rig = start_rig(world, pairs=pairs)
        await rig.recover()
        await look(rig)
        assert held(world) == FLAT and rig.state() is PairState.FLAT

    in_world(tmp_path, script)


@pytest.mark.parametrize("has_traded", [False, True])
def test_what_a_person_holds_of_a_new_symbol_is_theirs(has_traded, tmp_path):
    async def script(world: World) -> None:
        await world.exchange.create_order(market_order("by-hand", "C", "30"))
        await asyncio.sleep(7_200)
        rig = start_rig(world, rules=AB)
        rig.recovery.restore(run=1)
        assert await rig.recovery.reconcile(("A", "B")) == ()
        if has_traded:
            await rig.engine.execute(rig.enter())
        await die(rig)
        await asyncio.sleep(600)
        rig = start_rig(world, pairs=SHARING)
        assert await rig.recover() == ()
        await rig.stop()
        assert rig.engine.foreign.amount("C") == 30 and rig.guard.breaker is Breaker.CLOSED

    in_world(tmp_path, script, shared_market())


def test_what_a_person_trades_while_a_bot_that_never_traded_is_away_is_theirs(tmp_path):
    async def script(world: World) -> None:
        rig = start_rig(world)
        assert await rig.recover() == ()
        await die(rig)
        await asyncio.sleep(600)
        await world.exchange.create_order(market_order("by-hand", "A", "3"))
        await asyncio.sleep(600)
        rig = start_rig(world)
        assert await rig.recover() == ()
        await rig.stop()
        assert rig.engine.foreign.amount("A") == 3 and rig.guard.breaker is Breaker.CLOSED

    in_world(tmp_path, script)


def test_a_first_leg_that_a_person_closes_before_its_hedge_is_a_trade(tmp_path):
    """Its loss and both its fees are in the books of this process and of the next."""

    async def script(world: World) -> None:
        rig = start_rig(world)
        await rig.recover()
        await die_before_the_hedge(rig)
        await asyncio.sleep(300)
        await world.exchange.create_order(market_order("by-hand", "A", "-2"))
        await asyncio.sleep(300)
        for told in (1, 0):
            rig = start_rig(world)
            assert await rig.recover() == ()
            assert len(rig.of(PairClosed)) == told and len(rig.journal.trades(1)) == 1
            wallet = world.exchange.venue.account.ledger.wallet
            assert D(10_000) + sum(trade.pnl for trade in rig.ledger.trades) == wallet < 10_000
            await die(rig)

    in_world(tmp_path, script)


def test_a_first_leg_that_is_closed_while_its_hedge_is_asked_about_is_a_trade(tmp_path):
    lost = {"kind": "timeout_before_execution", "on": "create_order", "symbol": "B", "at": 1}

    async def main() -> None:
        world = open_world(tmp_path, faults=[lost])
        rig = start_rig(world)
        await rig.recover()
        entering = asyncio.ensure_future(rig.engine.execute(rig.enter()))
        while not world.held("A"):
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        deleverage(world, "-2")
        await entering
        assert held(world) == FLAT and rig.state() is PairState.FLAT
        (trade,) = rig.journal.trades(1)
        assert D(10_000) + trade.pnl == world.exchange.venue.account.ledger.wallet
        await rig.stop()
        world.close()

    run_virtual(main())


def test_a_half_open_breaker_closes_when_the_pair_that_tried_is_found_open(tmp_path):
    async def script(world: World) -> None:
        rig = start_rig(world, limits=OPEN_LIMITS)
        await rig.recover()
        rig.guard.cool_down("unreachable", rig.now, 0.0)
        await rig.engine.execute(rig.enter())
        assert rig.state() is PairState.OPEN
        await die(rig)  # nothing has saved the guard since
        rig = start_rig(world, limits=OPEN_LIMITS)
        await rig.recover()
        await rig.stop()
        assert rig.guard.state.probe == ""
        assert not getattr(rig.guard.check(rig.enter("X_Y", {"A": D(1), "B": D(-2)})), "reasons", ())

    in_world(tmp_path, script)


def test_legs_that_a_coarse_step_leaves_nearly_even_stay_open(tmp_path):
    """The second slice's hedge fills in part, and a step of A is more than what is not hedged."""
    rules = RULES | {"A": rule("A", step="1")}
    settings = ExecutionSettings(slice_notional=4_000.0, max_slices=2, slice_pause_s=1.0)
    faults = [
        {"kind": "partial_fill", "on": "create_order", "symbol": "B", "at": 2, "times": 1, "fill_ratio": 0.275},
        {"kind": "reject", "on": "create_order", "symbol": "B", "at": 3, "times": 10},
    ]

    async def main() -> None:
        world = open_world(tmp_path, markets=rules, faults=faults, leverage=D(10))
        rig = start_rig(world, rules=rules, settings=settings)
        await rig.recover()
        await rig.engine.execute(rig.enter(legs={"A": D(40), "B": D(-80)}))
        assert rig.state() is PairState.OPEN
        await die(rig)
        rig = start_rig(world, rules=rules, settings=settings)
        assert await rig.recover() == () and rig.state() is PairState.OPEN
        await rig.stop()
        world.close()

    run_virtual(main())


SPOT = {name: replace(one, kind="spot", base=name, quote="USDT") for name, one in RULES.items()}


@pytest.mark.parametrize("sells", ["their own", "the bot's too"])
def test_what_an_older_journal_calls_foreign_on_spot_is_its_owners(sells, tmp_path):
    pairs = (Pair("A_B", "A", None),)

    async def main() -> None:
        world = open_world(tmp_path, markets=SPOT)
        await world.exchange.create_order(market_order("owner-buys", "A", "5"))
        rig = start_rig(world, rules=SPOT, pairs=pairs)
        await rig.recover()
        await rig.engine.execute(rig.enter(legs={"A": D(2)}))
        rig.journal.save_risk_state(FOREIGN_KEY, {"A": "4.997"})
        await die(rig)
        rig = start_rig(world, rules=SPOT, pairs=pairs)
        assert await rig.recover() == ()
        rig.tasks.append(asyncio.ensure_future(rig.reconciler.run()))
        await asyncio.sleep(60)
        await world.exchange.create_order(market_order("owner-sells", "A", "-4.9"))
        await asyncio.sleep(60)
        assert rig.ledger.net("A") > 1 and not rig.engine.foreign.symbols()
        if sells == "the bot's too":
            await world.exchange.create_order(market_order("owner-sells-more", "A", "-1.5"))
            await asyncio.sleep(60)
            assert rig.state() is PairState.FLAT
        await rig.stop()
        world.close()

    run_virtual(main())


def test_a_sale_that_is_told_after_a_look_which_it_missed_takes_from_the_pair(tmp_path):
    """On spot: the look is under way when the owner sells the bot's coins."""

    async def main() -> None:
        world = open_world(tmp_path, markets=SPOT)
        rig = start_rig(world, rules=SPOT, pairs=(Pair("A_B", "A", None),), listens=False)
        await rig.recover()
        await rig.engine.execute(rig.enter(legs={"A": D(2)}))
        ask, events = world.exchange.account, world.exchange.events

        async def account():
            seen = await ask()
            await asyncio.sleep(0.15)
            return seen

        async def late():
            async for event in events():
                await asyncio.sleep(0.2)
                yield event

        rig.port.account = account
        rig.tasks.append(asyncio.ensure_future(rig.floor.follow_account(late())))
        await asyncio.sleep(1)
        looking = asyncio.ensure_future(rig.reconciler.once())
        await asyncio.sleep(0.05)
        await world.exchange.create_order(market_order("owner", "A", "-1.5"))
        await looking
        await look(rig)
        assert rig.state() is PairState.FLAT
        world.close()

    run_virtual(main())
