from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.words import NotPlaced, OrderRequest, Side
from pairs.words import Pair
from tests.trading.execution.engine_rig import OPEN_LIMITS, Rig, fast_files
from tests.trading.plays import play
from tests.trading.runs import live, write_config
from tests.virtual_time import run_virtual
from trading.config.loader import load_config
from trading.events import EntryRefused, PairOpened
from trading.execution.wire_guard import WireGuard, WireLimits
from trading.risk_guard import Breaker

D = Decimal
PRICES = {"A": D(100), "B": D(50)}


class Wire:
    """What went through, and when."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock, self.sent, self.times = clock, [], []

    async def create_order(self, request: OrderRequest):
        self.sent.append(request)
        self.times.append(self.clock.now_ms())
        return NotPlaced("-1", "the wire's end")

    async def cancel_order(self, symbol: str, client_order_id: str):
        return f"cancel {symbol} {client_order_id}"


def request(number: int = 1, *, amount="1", reduce_only=False, group: str | None = "g", **fields) -> OrderRequest:
    return OrderRequest(
        f"id{number}", fields.pop("symbol", "A"), Side.BUY, D(amount), reduce_only=reduce_only, group=group, **fields
    )


def limit(number: int, price: str, **fields) -> OrderRequest:
    return request(number, type="limit", price=D(price), **fields)


def guarded(script, *, network="simulated", **limits):
    """Runs ``script(guard)`` in virtual time; what the wire saw and what was tripped."""

    async def main():
        clock = LoopClock(asyncio.get_running_loop().time, 0)
        wire, trips = Wire(clock), []
        guard = WireGuard(wire, clock, WireLimits(**limits), network=network)
        guard.on_trip, guard.last_price = trips.append, PRICES.get
        answers = await script(guard)
        return wire, trips, answers

    return run_virtual(main())


async def flood(guard: WireGuard, count: int, **fields) -> list:
    return await asyncio.gather(*(guard.create_order(request(n, **fields)) for n in range(count)))


def test_orders_that_add_beyond_the_minutes_number_are_refused_and_trip(tmp_path):
    wire, trips, answers = guarded(lambda guard: flood(guard, 20, group=None), max_orders_per_minute=16)
    assert len(wire.sent) == 12, "a quarter is kept for orders that reduce"
    assert {answer.code for answer in answers[12:]} == {"local"}
    assert trips == ["wire_guard:orders_per_minute: more than 16"] * 8


def test_the_number_is_a_minutes_not_a_lifes():
    async def script(guard: WireGuard):
        await flood(guard, 12, group=None)
        await asyncio.sleep(15)  # a quarter of a minute
        assert guard.room == 4
        return await asyncio.gather(*(guard.create_order(request(100 + n, group=None)) for n in range(4)))

    wire, trips, _ = guarded(script, max_orders_per_minute=16)
    assert (len(wire.sent), trips) == (16, [])


def test_orders_that_reduce_use_the_kept_share_then_wait_and_none_is_lost():
    async def script(guard: WireGuard):
        await flood(guard, 12, group=None)
        jobs = [guard.create_order(request(100 + n, group=None, reduce_only=True)) for n in range(10)]
        await asyncio.gather(*jobs)

    wire, trips, _ = guarded(script, max_orders_per_minute=16)
    assert (len(wire.sent), trips) == (22, [])
    assert wire.times[:16] == [0] * 16
    assert wire.times[16:] == sorted(wire.times[16:])
    assert wire.times[-1] == pytest.approx(6 * 60_000 / 16, abs=10)


def test_a_pair_trade_has_a_number_of_orders_of_its_own():
    async def script(guard: WireGuard):
        await flood(guard, 4)
        return [await guard.create_order(request(10)), await guard.create_order(request(11, group="other"))]

    wire, trips, answers = guarded(script, max_orders_per_trade=4)
    assert answers[0] == NotPlaced("local", "wire_guard:orders_per_trade: more than 4 for g")
    assert wire.sent[-1].group == "other"
    assert len(trips) == 1


@pytest.mark.parametrize("leaving", [{"reduce_only": True}, {"closes": True}])
def test_a_trade_that_used_up_its_number_is_still_closed_at_a_pace(leaving):
    """Also where another pair holds the symbol the other way, and the account's position does not become less."""

    async def script(guard: WireGuard):
        await flood(guard, 4)
        for number in range(10, 13):
            await guard.create_order(request(number, **leaving))

    wire, trips, _ = guarded(script, max_orders_per_trade=4)
    assert wire.times == [0, 0, 0, 0, 2_000, 4_000, 6_000]
    assert trips == []


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "0", "-1"])
@pytest.mark.parametrize("reduce_only", [False, True])
def test_an_amount_that_is_no_positive_number_is_never_sent(amount, reduce_only):
    wire, trips, answer = guarded(lambda guard: guard.create_order(request(amount=amount, reduce_only=reduce_only)))
    assert wire.sent == []
    assert isinstance(answer, NotPlaced) and answer.reason.startswith("wire_guard:amount")
    assert len(trips) == (not reduce_only), "a closing order must not stop the closing of others"


@pytest.mark.parametrize(
    ("price", "passes"),
    [("109.9", True), ("90.1", True), ("110.1", False), ("89", False), ("NaN", False), ("0", False)],
)
def test_a_limit_price_far_from_the_market_is_refused(price, passes):
    wire, trips, _ = guarded(lambda guard: guard.create_order(limit(1, price)))
    assert (len(wire.sent), len(trips)) == (passes, not passes)


def test_an_order_may_be_so_large_and_a_minute_so_full():
    async def script(guard: WireGuard):
        answers = [
            await guard.create_order(request(n, amount=amount)) for n, amount in enumerate(("11", "9", "9", "9"))
        ]
        await asyncio.sleep(60)
        return [*answers, await guard.create_order(request(9, amount="9"))]

    wire, trips, _ = guarded(script, max_order_notional=D(1000), max_notional_per_minute=D(2000))
    assert [one.client_order_id for one in wire.sent] == ["id1", "id2", "id9"]
    assert [trip.split(": ")[0] for trip in trips] == ["wire_guard:order_notional", "wire_guard:notional_per_minute"]


def test_closing_is_never_too_large():
    wire, _, _ = guarded(
        lambda guard: guard.create_order(request(amount="99", reduce_only=True)), max_order_notional=D(1)
    )
    assert len(wire.sent) == 1


def test_an_order_in_something_that_never_had_a_price_is_refused():
    wire, trips, _ = guarded(lambda guard: guard.create_order(request(symbol="Z")))
    assert (wire.sent, trips) == ([], ["wire_guard:no_price: Z has never had one"])


def test_an_id_is_sent_once():
    wire, trips, _ = guarded(lambda guard: asyncio.gather(*(guard.create_order(request()) for _ in range(3))))
    assert (len(wire.sent), trips) == (1, ["wire_guard:sent_before: id1"] * 2)


def test_nothing_goes_to_another_network_than_the_configs():
    wire, trips, answer = guarded(lambda guard: guard.create_order(request(reduce_only=True)), network="live")
    assert wire.sent == []
    assert answer.reason == "wire_guard:mode: orders go to live, the config wants simulated"


def test_cancels_pass_when_nothing_else_does():
    async def script(guard: WireGuard):
        await flood(guard, 40, group=None)
        return await guard.cancel_order("A", "id1")

    assert guarded(script, max_orders_per_minute=16)[2] == "cancel A id1"


# under the engine


def test_100_same_signals_at_once_make_one_pair(tmp_path):
    """R9: a strategy gone wild."""

    async def script(rig: Rig) -> None:
        order = rig.enter()
        await asyncio.gather(*(rig.engine.execute(order) for _ in range(100)))

    rig = play(tmp_path, script)
    assert [one.symbol for one in rig.port.sent] == ["A", "B"]
    assert (len(rig.of(PairOpened)), len(rig.of(EntryRefused))) == (1, 99)


def test_100_pairs_that_signal_on_one_bar_do_not_meet_its_limits(tmp_path):
    pairs = tuple(Pair(f"P{number}", "A", "B") for number in range(100))

    async def script(rig: Rig) -> None:
        await asyncio.gather(*(rig.engine.execute(rig.enter(pair.pair_id)) for pair in pairs))
        await asyncio.gather(*(rig.engine.execute(rig.leave(pair.pair_id)) for pair in pairs))

    limits = replace(OPEN_LIMITS, max_positions=100, max_leverage=100.0, account_leverage=100.0)
    with fast_files():
        rig = play(tmp_path, script, pairs=pairs, limits=limits, terms={"initial_balance": D(100_000)})
    assert (len(rig.of(PairOpened)), len(rig.ledger.trades), len(rig.port.sent)) == (100, 100, 400)
    assert rig.guard.breaker is Breaker.CLOSED


def test_an_engine_that_sends_too_much_is_stopped_and_what_it_holds_is_closed(tmp_path):
    """R9: the hedge is one order too many. It is refused, the breaker trips, and the first leg is closed."""

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, wire=WireLimits(max_orders_per_trade=1))
    assert [(one.symbol, one.reduce_only) for one in rig.port.sent] == [("A", False), ("A", True)]
    assert rig.guard.breaker is Breaker.HALTED
    assert rig.guard.state.breaker_reason == "wire_guard:orders_per_trade"
    assert rig.world.held("A") == 0
    assert rig.of(EntryRefused)[0].reasons == ("breaker_halted:wire_guard:orders_per_trade",)


def test_every_run_has_one_and_its_limits_are_the_configs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calm = live(write_config(tmp_path, mock={"bars": 900}))
    config = write_config(tmp_path, "0001.json", "tight.json", bot_id="tight", execution={"max_order_notional": 100})
    assert load_config(config, environ={}).model.execution.max_order_notional == 100
    tight = live(write_config(tmp_path, "0001.json", "tight.json", bot_id="tight",
                              mock={"bars": 900}, execution={"max_order_notional": 100}))  # fmt: skip
    assert calm.trades and not tight.trades
    assert tight.refused[-1].reasons == ("breaker_halted:wire_guard:order_notional",)


def test_a_run_with_limit_orders_and_slices_trades_as_it_should(tmp_path, monkeypatch):
    """The whole bot: every trade is hedged, its orders are small, and the numbers add up."""
    monkeypatch.chdir(tmp_path)
    execution = {"order_type": "limit", "limit_offset_bps": 1.0, "slice_notional": 400.0}
    result = live(write_config(tmp_path, mock={"bars": 900}, execution=execution))
    assert result.trades
    assert all(len(trade.legs) == 2 and all(leg.quantity for leg in trade.legs) for trade in result.trades)
    earned = sum(trade.pnl for trade in result.trades) + sum(record.unrealised for record in result.open)
    assert float(earned) == pytest.approx(float(result.equity_end) - float(result.equity_start))
