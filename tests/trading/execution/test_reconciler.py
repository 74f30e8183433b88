"""Ledger and exchange compared while the bot lives and after it was away; what strangers do to its positions."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.simulated.ledger import Position
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketHalted
from ccxt_bt_bridge.words import Account, Placed
from pairs.words import Pair, PairState
from tests.brokers.markets import market_order
from tests.trading.execution.engine_rig import ENTRY, RULES, Rig, World, assert_sound, open_world, start_rig
from tests.trading.plays import resume
from tests.virtual_time import run_virtual
from trading.control.controls import CommandRefused
from trading.events import EntryRefused
from trading.journal.errors import JournalError, JournalUnwritable
from trading.journal.writer import Journal
from trading.risk_guard import Breaker

D = Decimal
LOOK_S = 30.0

Script = Callable[[Rig], Awaitable[None]]


def play(
    folder: Path,
    script: Callable[[Rig], Awaitable[None]],
    *,
    faults: Iterable[dict[str, Any]] = (),
    looking: bool = True,
) -> Rig:
    """One life of the bot: recovered, reconciling all the time, then ``script``."""

    async def main() -> Rig:
        world = open_world(folder, faults=faults)
        try:
            return await live(world, script, looking=looking)
        finally:
            world.close()

    return run_virtual(main())


async def live(world: World, script: Script, *, looking: bool = True) -> Rig:
    rig = start_rig(world)
    await rig.recover()
    if looking:
        rig.tasks.append(asyncio.create_task(rig.reconciler.run()))
    await script(rig)
    while not rig.engine.is_idle:
        await asyncio.sleep(1)
    await rig.stop()
    return rig


async def look_often(rig: Rig) -> None:
    while True:
        await rig.reconciler.once()
        await asyncio.sleep(0.05)


async def order(rig: Rig, symbol: str, amount: str, client_id: str = "somebody") -> None:
    assert isinstance(await rig.world.exchange.create_order(market_order(client_id, symbol, amount)), Placed)
    await asyncio.sleep(0.01)


def deleverage(rig: Rig, symbol: str) -> None:
    world = rig.world
    world.exchange.venue.close_position(symbol, prefix="adl_autoclose-", now_ms=world.clock.now_ms())


def held(rig: Rig) -> dict[str, Decimal]:
    return {symbol: rig.world.held(symbol) for symbol in ("A", "B")}


def assert_ledger_is_the_exchange(rig: Rig) -> None:
    for symbol in ("A", "B"):
        assert rig.ledger.net(symbol) + rig.engine.foreign.amount(symbol) == rig.world.held(symbol), symbol


def unreadable(rig: Rig, patch: pytest.MonkeyPatch) -> None:
    """From now on the disk answers no question about what was written."""

    def refusing(wanted) -> None:
        raise JournalError("the journal could not be read (disk I/O error)")

    patch.setattr(rig.journal, "_rows", refusing)


# positions of others


def test_what_the_account_held_before_the_first_start_is_never_touched(tmp_path):
    async def main() -> Rig:
        world = open_world(tmp_path)
        try:
            assert isinstance(await world.exchange.create_order(market_order("somebody", "A", "3")), Placed)

            async def script(rig: Rig) -> None:
                await rig.engine.execute(rig.enter())
                await asyncio.sleep(100)

            return await live(world, script)
        finally:
            world.close()

    rig = run_virtual(main())
    assert rig.of(EntryRefused)[0].reasons == ("foreign_position:A",)
    assert rig.port.sent == []
    assert held(rig) == {"A": D(3), "B": D(0)}
    assert rig.alarms == ["A: the account holds 3 that is not this bot's"]
    assert rig.guard.breaker is Breaker.CLOSED


def test_a_symbol_is_free_again_when_the_stranger_has_gone(tmp_path):
    async def script(rig: Rig) -> None:
        await order(rig, "A", "1")
        await rig.engine.execute(rig.enter())
        await asyncio.sleep(60)
        await order(rig, "A", "-1", "somebody-2")
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script)
    assert [event.reasons for event in rig.of(EntryRefused)] == [("foreign_position:A",)]
    assert rig.state() is PairState.OPEN
    assert held(rig) == ENTRY
    assert "order somebody, which is not this bot's" in rig.alarms[0]
    assert rig.guard.breaker is Breaker.CLOSED


def test_a_strangers_addition_to_a_symbol_of_ours_is_left_when_we_leave(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await order(rig, "A", "5")
        await asyncio.sleep(100)
        assert rig.state() is PairState.OPEN
        await rig.engine.execute(rig.leave())

    rig = play(tmp_path, script)
    assert rig.state() is PairState.FLAT
    assert held(rig) == {"A": D(5), "B": D(0)}
    assert_ledger_is_the_exchange(rig)


def test_strangers_survive_a_restart(tmp_path):
    async def main() -> Rig:
        world = open_world(tmp_path)
        try:

            async def first(rig: Rig) -> None:
                await order(rig, "B", "-2")

            async def second(rig: Rig) -> None:
                await rig.engine.execute(rig.enter())

            (await live(world, first)).journal.die()
            return await live(world, second)
        finally:
            world.close()

    rig = run_virtual(main())
    assert rig.of(EntryRefused)[0].reasons == ("foreign_position:B",)


def without_its_journal(folder: Path, script: Script) -> Rig:
    """The second life, in which ``script`` is played: the first has entered, and its journal was deleted."""

    async def first(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    async def main() -> Rig:
        world = open_world(folder)
        try:
            (await live(world, first)).journal.close()
            for file in world.journal_path.parent.glob(world.journal_path.name + "*"):
                file.unlink()
            await asyncio.sleep(300)
            return await live(world, script)
        finally:
            world.close()

    return run_virtual(main())


def test_what_a_lost_journal_held_is_known_as_this_bots_and_halts(tmp_path):
    async def script(rig: Rig) -> None:
        await asyncio.sleep(5 * LOOK_S)
        await rig.engine.execute(rig.enter())

    rig = without_its_journal(tmp_path, script)
    assert "the account holds A 2, B -4, which orders of this bot have made" in rig.alarms[0]
    assert rig.guard.state.breaker_reason == "ledger_mismatch"
    assert rig.port.sent == [] and not rig.engine.foreign.symbols()
    assert held(rig) == ENTRY, "left as it is for a person"


def test_what_a_lost_journal_held_is_closed_by_hand_and_trading_goes_on(tmp_path):
    async def script(rig: Rig) -> None:
        await asyncio.sleep(5 * LOOK_S)
        for symbol, amount in ENTRY.items():
            await order(rig, symbol, str(-amount), f"somebody-{symbol}")
        await asyncio.sleep(5 * LOOK_S)
        await resume(rig)
        await rig.engine.execute(rig.enter())

    rig = without_its_journal(tmp_path, script)
    assert held(rig) == ENTRY and rig.state() is PairState.OPEN
    assert any("It closed what nobody could explain" in alarm for alarm in rig.alarms)
    assert_ledger_is_the_exchange(rig)


def test_what_nobody_can_explain_is_closed_by_hand_and_the_pair_beside_it_stays(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        positions = rig.world.exchange.venue.account.ledger._positions
        positions["A"] = replace(positions["A"], amount=positions["A"].amount + D("0.5"))
        await asyncio.sleep(5 * LOOK_S)
        assert rig.guard.state.breaker_reason == "ledger_mismatch"
        await order(rig, "A", "-0.5")
        await asyncio.sleep(5 * LOOK_S)
        await resume(rig)

    rig = play(tmp_path, script)
    assert rig.state() is PairState.OPEN and held(rig) == ENTRY
    assert_ledger_is_the_exchange(rig)


def test_a_strangers_position_that_has_gone_without_a_word_is_forgotten_when_a_person_resumes(tmp_path):
    async def script(rig: Rig) -> None:
        await order(rig, "A", "1")
        del rig.world.exchange.venue.account.ledger._positions["A"]
        await asyncio.sleep(5 * LOOK_S)
        assert rig.guard.state.breaker_reason == "ledger_mismatch"
        await resume(rig)
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script)
    assert rig.state() is PairState.OPEN and held(rig) == ENTRY
    assert_ledger_is_the_exchange(rig)


def test_resuming_is_refused_when_a_stranger_trades_while_the_exchange_is_asked(tmp_path):
    async def script(rig: Rig) -> None:
        rig.guard.halt("tested", rig.now)
        read = rig.world.exchange.account

        async def account() -> Account:
            answer = await read()
            await order(rig, "A", "1")
            return answer

        rig.world.exchange.account = account
        with pytest.raises(CommandRefused, match="try again"):
            await resume(rig)
        rig.world.exchange.account = read
        assert rig.engine.foreign.amount("A") == 1
        await resume(rig)

    play(tmp_path, script, looking=False)


# one leg closed by somebody else


def test_the_same_difference_is_told_again_after_it_had_gone(tmp_path):
    async def script(rig: Rig) -> None:
        for _ in range(2):
            rig.world.exchange.venue.account.ledger._positions["A"] = Position("A", D(1), D(100))
            await asyncio.sleep(5 * LOOK_S)
            assert rig.guard.state.breaker_reason == "ledger_mismatch"
            del rig.world.exchange.venue.account.ledger._positions["A"]
            await asyncio.sleep(5 * LOOK_S)
            await resume(rig)

    rig = play(tmp_path, script)
    assert sum("the journal holds 0, the exchange 1" in alarm for alarm in rig.alarms) == 2


async def nothing(rig: Rig) -> None:
    pass


def restarted(folder: Path, first: Script, asking: Script, then: Script = nothing) -> Rig:
    """After ``first`` a second life, in whose start ``asking`` happens before the account is read."""

    async def main() -> Rig:
        world = open_world(folder)
        try:
            (await live(world, first)).journal.die()
            rig, read = start_rig(world), world.exchange.account

            async def account() -> Account:
                world.exchange.account = read
                await asking(rig)
                return await read()

            world.exchange.account = account
            await rig.recover()
            await then(rig)
            while not rig.engine.is_idle:
                await asyncio.sleep(1)
            await rig.stop()
            return rig
        finally:
            world.close()

    return run_virtual(main())


def test_a_stranger_who_trades_during_a_start_leaves_what_is_known_of_others(tmp_path):
    async def first(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await order(rig, "B", "-3")

    rig = restarted(tmp_path, first, lambda rig: order(rig, "A", "1", "somebody-else"))
    assert {symbol: rig.engine.foreign.amount(symbol) for symbol in ("A", "B")} == {"A": 1, "B": -3}
    assert rig.guard.breaker is Breaker.CLOSED


def test_a_stranger_who_trades_during_the_very_first_start_hides_nobody_elses_position(tmp_path):
    async def first(rig: Rig) -> None:
        rig.world.exchange.venue.place(market_order("earlier", "B", "5"), now_ms=rig.world.clock.now_ms())
        rig.journal.close()
        for file in rig.world.journal_path.parent.glob(rig.world.journal_path.name + "*"):
            file.unlink()
        await asyncio.sleep(7_200)

    rig = restarted(tmp_path, first, lambda rig: order(rig, "A", "1"))
    assert {symbol: rig.engine.foreign.amount(symbol) for symbol in ("A", "B")} == {"A": 1, "B": 5}
    assert rig.guard.breaker is Breaker.CLOSED


def test_what_a_start_finds_closed_is_mended_after_it_has_agreed(tmp_path):
    async def first(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    sent: list[int] = []

    async def asking(rig: Rig) -> None:
        deleverage(rig, "B")
        await asyncio.sleep(30)
        sent.append(len(rig.port.sent))

    rig = restarted(tmp_path, first, asking)
    assert sent == [0]
    assert rig.state() is PairState.FLAT and held(rig) == {"A": 0, "B": 0}


def test_what_a_start_finds_closed_beside_a_difference_is_mended_when_a_person_resumes(tmp_path):
    async def first(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    async def asking(rig: Rig) -> None:
        deleverage(rig, "B")
        await asyncio.sleep(1)
        rig.world.exchange.venue.account.ledger._positions["A"] = Position("A", D(3), D(300))

    async def then(rig: Rig) -> None:
        await asyncio.sleep(5 * LOOK_S)
        assert not rig.port.sent and rig.state() is PairState.OPEN, "while ledger and exchange differ nothing is sent"
        rig.world.exchange.venue.account.ledger._positions["A"] = Position("A", D(2), D(200))
        await resume(rig)
        await asyncio.sleep(1)

    rig = restarted(tmp_path, first, asking, then)
    assert rig.state() is PairState.FLAT and held(rig) == {"A": 0, "B": 0}


def test_a_leg_that_the_exchange_closes_takes_the_other_one_along(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        deleverage(rig, "B")
        await asyncio.sleep(1)

    rig = play(tmp_path, script)
    assert held(rig) == {"A": D(0), "B": D(0)}
    assert rig.state() is PairState.FLAT
    assert [trade.exit_reason for trade in rig.ledger.trades] == ["closed_elsewhere:B"]
    assert (rig.guard.breaker, rig.guard.state.breaker_reason) == (Breaker.HALTED, "closed_elsewhere:B")
    assert "a liquidation or deleveraging" in rig.alarms[0]
    assert rig.port.sent[-1].symbol == "A" and rig.port.sent[-1].reduce_only
    assert_ledger_is_the_exchange(rig)


def test_a_leg_closed_while_the_bot_was_dead_takes_the_other_one_along_at_the_next_start(tmp_path):
    async def main() -> Rig:
        world = open_world(tmp_path)
        try:

            async def first(rig: Rig) -> None:
                await rig.engine.execute(rig.enter())

            async def second(rig: Rig) -> None:
                await asyncio.sleep(1)

            dead = await live(world, first)
            dead.journal.die()
            deleverage(dead, "B")
            return await live(world, second)
        finally:
            world.close()

    rig = run_virtual(main())
    assert held(rig) == {"A": D(0), "B": D(0)}
    assert [trade.exit_reason for trade in rig.ledger.trades] == ["closed_elsewhere:B"]
    assert rig.guard.breaker is Breaker.HALTED


def test_a_closing_whose_event_is_lost_is_found_by_looking_twice(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        rig.tasks[0].cancel()  # the user stream is deaf from here on
        deleverage(rig, "A")
        await asyncio.sleep(LOOK_S + 5)

    rig = play(tmp_path, script)
    # The order that closes the rest is looked up: nobody hears of it either.
    assert held(rig) == {"A": D(0), "B": D(0)}
    assert rig.guard.state.breaker_reason == "closed_elsewhere:A"


def test_a_suspicion_is_asked_about_again_soon_when_the_question_fails(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        rig.tasks[0].cancel()  # the user stream is deaf from here on
        deleverage(rig, "A")
        await asyncio.sleep(LOOK_S + 20)
        assert rig.ledger.net("A") == 0

    lost = {"kind": "rate_limit", "delay_ms": 100, "times": 2}
    play(tmp_path, script, faults=[lost | {"on": "fills", "at": 1}, lost | {"on": "account", "at": 4}])


@pytest.mark.parametrize("dies", [False, True])
def test_a_closing_that_nobody_heard_of_is_found_however_long_its_symbol_was_busy(dies, tmp_path, monkeypatch):
    async def first(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        rig.tasks[0].cancel()  # the user stream is deaf from here on
        with monkeypatch.context() as patched:
            patched.setattr(rig.orders, "working_symbols", lambda: frozenset("A"))
            await asyncio.sleep(60)
            deleverage(rig, "A")
            await asyncio.sleep(600)
            await order(rig, "B", "-1")
            await asyncio.sleep(600)
        if not dies:
            await asyncio.sleep(LOOK_S + 5)

    async def main() -> Rig:
        world = open_world(tmp_path)
        try:
            rig = await live(world, first)
            if dies:
                rig.journal.die()
                rig = await live(world, nothing)
            return rig
        finally:
            world.close()

    rig = run_virtual(main())
    assert rig.ledger.net("A") == rig.world.held("A") == 0
    assert rig.state() is PairState.FLAT
    assert rig.engine.foreign.amount("B") == rig.world.held("B") == -1
    assert not any("Close the difference by hand" in alarm for alarm in rig.alarms)


@pytest.mark.parametrize("takes_away", [True, False])
def test_a_trade_of_others_that_comes_while_the_journal_cannot_be_read_is_booked_later(
    tmp_path, monkeypatch, takes_away
):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        unreadable(rig, monkeypatch)
        await order(rig, "A", "-1" if takes_away else "5")
        await asyncio.sleep(LOOK_S)
        assert rig.guard.breaker is Breaker.HALTED and "could not be read" in rig.alarms[-1]
        monkeypatch.undo()
        await asyncio.sleep(100)

    rig = play(tmp_path, script)
    assert rig.state() is (PairState.FLAT if takes_away else PairState.OPEN)
    assert not [task for task in rig.tasks if task.done() and not task.cancelled()]
    assert_ledger_is_the_exchange(rig)


@pytest.mark.parametrize("is_heard", [True, False])
@pytest.mark.parametrize("sales, is_kept", [(("1",), True), (("3", "1.9"), True), (("3", "2.5"), False)])
def test_an_owner_who_sells_takes_from_a_pair_only_what_the_wallet_no_longer_covers(tmp_path, sales, is_kept, is_heard):
    """Spot: five coins lie beside the two that the bot has bought."""
    rules = {name: replace(rule, kind="spot", base=name, quote="USDT") for name, rule in RULES.items()}

    async def main() -> Rig:
        world = open_world(tmp_path, markets=rules)
        try:
            await world.exchange.create_order(market_order("owner-buys", "A", "5"))
            rig = start_rig(world, rules=rules, pairs=(Pair("A_B", "A", None),))
            assert await rig.recover() == ()
            rig.tasks.append(asyncio.create_task(rig.reconciler.run()))
            await rig.engine.execute(rig.enter("A_B", {"A": D(2)}))
            bought = rig.ledger.net("A")
            await asyncio.sleep(2 * LOOK_S)
            if not is_heard:
                rig.tasks[0].cancel()
            for sold in sales:
                await order(rig, "A", f"-{sold}", f"owner-sells-{sold}")
            await asyncio.sleep(4 * LOOK_S)
            left = (await world.exchange.account()).amount("A")
            owners = D("4.9975") - sum(map(D, sales))
            assert (rig.ledger.net("A"), left) == ((bought, bought + owners) if is_kept else (0, D("0.0005")))
            assert rig.engine.foreign.symbols() == ()
            await rig.stop()
            return rig
        finally:
            world.close()

    rig = run_virtual(main())
    assert rig.state() is (PairState.OPEN if is_kept else PairState.FLAT)
    assert rig.guard.breaker is (Breaker.CLOSED if is_kept else Breaker.HALTED)


def test_a_person_who_closes_a_part_of_a_leg_gets_the_whole_pair_closed(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await order(rig, "A", "-0.5")
        await asyncio.sleep(1)

    rig = play(tmp_path, script)
    assert held(rig) == {"A": D(0), "B": D(0)}
    (trade,) = rig.ledger.trades
    assert [leg.quantity for leg in trade.legs] == [D(2), D(-4)]


def test_a_person_who_turns_a_leg_around_keeps_what_is_beyond_ours(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await order(rig, "A", "-3")
        await asyncio.sleep(1)

    rig = play(tmp_path, script)
    assert held(rig) == {"A": D(-1), "B": D(0)}
    assert rig.engine.foreign.amount("A") == D(-1)
    assert rig.state() is PairState.FLAT
    assert_ledger_is_the_exchange(rig)


def test_a_leg_closed_while_its_hedge_is_under_way_ends_flat(tmp_path):
    async def script(rig: Rig) -> None:
        def close_first(request) -> None:
            if request.symbol == "B":
                deleverage(rig, "A")

        rig.port.before = close_first
        await rig.engine.execute(rig.enter())
        await asyncio.sleep(1)

    rig = play(tmp_path, script)
    assert held(rig) == {"A": D(0), "B": D(0)}
    assert rig.state() is PairState.FLAT


@pytest.mark.parametrize("by", ["the exchange", "a person"])
def test_a_leg_closed_while_the_pair_waits_for_its_halted_market_takes_the_other_one_along(by, tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        quote = rig.world.exchange.quote

        async def halted(symbol: str):
            if symbol == "B":
                raise MarketHalted("B does not trade at the moment")
            return await quote(symbol)

        rig.world.exchange.quote = halted
        rig.tasks.append(asyncio.create_task(rig.engine.execute(rig.leave())))
        await asyncio.sleep(60.0)
        assert rig.engine.waiting == {"A_B"}
        if by == "the exchange":
            rig.world.exchange.venue.close_position(
                "B", prefix="settlement_autoclose-", now_ms=rig.world.clock.now_ms()
            )
        else:
            await order(rig, "B", "4")
        await asyncio.sleep(2.0)
        assert held(rig) == {"A": 0, "B": 0} and rig.state() is PairState.FLAT

    play(tmp_path, script)


def test_a_leg_closed_while_the_pair_waits_for_the_disk_takes_the_other_one_along(tmp_path):
    """Too little of it for the legs to be uneven."""

    async def script(rig: Rig) -> None:
        save, refused = rig.journal.save_position, [True]

        def refusing(pair_id: str, state: PairState, payload: dict[str, Any]) -> None:
            if state is PairState.OPEN and refused:
                refused.clear()
                raise JournalUnwritable("disk is full")
            save(pair_id, state, payload)

        rig.journal.save_position = refusing
        entering = asyncio.ensure_future(rig.engine.execute(rig.enter()))
        await asyncio.sleep(3)
        assert rig.state() is PairState.HEDGING
        await order(rig, "A", "-0.08", "adl_autoclose-1")
        await entering
        assert held(rig) == {"A": 0, "B": 0} and rig.state() is PairState.FLAT

    play(tmp_path, script)


def test_what_a_person_trades_while_the_disk_is_full_is_theirs_afterwards(tmp_path, monkeypatch):
    transaction, is_full = Journal.transaction, [True]

    @contextmanager
    def refusing(journal: Journal) -> Iterator[None]:
        if is_full:
            raise JournalUnwritable("disk is full")
        with transaction(journal):
            yield

    async def script(rig: Rig) -> None:
        monkeypatch.setattr(Journal, "transaction", refusing)
        await order(rig, "A", "-1", "by-hand-1")
        await asyncio.sleep(1)
        await order(rig, "A", "0.4", "by-hand-2")
        await asyncio.sleep(4 * LOOK_S)
        is_full.clear()
        await asyncio.sleep(4 * LOOK_S)
        assert rig.engine.foreign.amount("A") == held(rig)["A"] == D("-0.6")

    play(tmp_path, script)


def test_a_rest_that_raises_when_it_is_closed_halts_and_calls_for_a_person(tmp_path, monkeypatch):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        monkeypatch.setattr(rig.engine._leaving, "close_rest", lambda pair_id, reason: 1 / 0)
        await order(rig, "A", "-0.5")
        await asyncio.sleep(1)

    rig = play(tmp_path, script)
    assert "the rest of A_B could not be closed: ZeroDivisionError" in rig.alarms[-1]
    assert rig.guard.breaker is Breaker.HALTED


# looking


def test_looking_all_the_time_changes_nothing_while_all_is_well(tmp_path):
    async def script(rig: Rig) -> None:
        eager = asyncio.create_task(look_often(rig))
        for _ in range(3):
            await rig.engine.execute(rig.enter())
            await asyncio.sleep(1)
            await rig.engine.execute(rig.leave())
            rig.guard.release("A_B")  # as the next bar would
            await asyncio.sleep(1)
        eager.cancel()
        assert_sound(rig)

    rig = play(tmp_path, script, faults=[{"kind": "slow", "on": "create_order", "rate": 0.5, "delay_ms": 400}])
    assert len(rig.ledger.trades) == 3
    assert rig.guard.breaker is Breaker.CLOSED
    assert rig.reconciler.last is not None and set(rig.reconciler.last.exchange) >= {"A", "B"}


def test_a_difference_that_no_fill_explains_halts_at_the_second_look(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.reconciler.once()
        del rig.world.exchange.venue.account.ledger._positions["A"]
        await rig.reconciler.once()
        assert rig.guard.breaker is Breaker.CLOSED, "once may be a race"
        await rig.reconciler.once()

    rig = play(tmp_path, script, looking=False)
    assert rig.guard.state.breaker_reason == "ledger_mismatch"
    assert "A: the journal holds 2, the exchange 0" in rig.alarms[-1]
    assert rig.state() is PairState.OPEN, "what is not understood is not traded"


def test_a_failed_read_is_never_flat_and_is_told_after_two_minutes(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.reconciler.once()

        async def unreachable() -> None:
            raise ExchangeUnreachable("the line is dead")

        rig.port.account = unreachable
        seen = rig.reconciler.last
        await asyncio.sleep(10 * LOOK_S)
        assert rig.reconciler.last is seen

    rig = play(tmp_path, script)
    assert rig.state() is PairState.OPEN
    assert rig.guard.breaker is Breaker.CLOSED
    assert [alarm for alarm in rig.alarms if "has not been seen" in alarm]


def test_an_older_copy_of_the_journal_halts_and_uses_no_id_again(tmp_path):
    async def main() -> tuple[Rig, list[str]]:
        world = open_world(tmp_path)
        copy = tmp_path / "copy"
        try:

            async def trade_once(rig: Rig) -> None:
                await rig.engine.execute(rig.enter())
                await rig.engine.execute(rig.leave())

            async def enter(rig: Rig) -> None:
                await asyncio.sleep(1)
                await rig.engine.execute(rig.enter())

            first = await live(world, trade_once)
            first.journal.close()
            shutil.copy(world.journal_path, copy)
            second = await live(world, enter)
            second.journal.close()
            for name in ("-wal", "-shm"):
                world.journal_path.with_name(world.journal_path.name + name).unlink(missing_ok=True)
            shutil.copy(copy, world.journal_path)
            third = await live(world, enter)
            return third, world.placed
        finally:
            world.close()

    third, ids = run_virtual(main())
    assert third.guard.state.breaker_reason == "journal_outdated"
    assert "it is an older copy" in third.alarms[0]
    assert third.port.sent == []
    assert held(third) == ENTRY, "left as it is for a person"
    assert len(set(ids)) == len(ids)
