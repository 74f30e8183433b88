"""Each kind of fault, seen through the ports."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import ValidationError

from brokers.simulated.fault_kinds import CALLS, KINDS, OPERATIONS, PARAMETERS
from brokers.simulated.faults import Fault
from ccxt_bt_bridge.errors import ExchangeUnreachable, KeyRefused, RateBanned
from ccxt_bt_bridge.words import (
    Ambiguous,
    Connection,
    Fill,
    Found,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderStatus,
    Placed,
    Unknown,
)  # fmt: skip
from tests.brokers.markets import (
    HOUR_MS,
    bars,
    flat,
    hours,
    market_order,
    open_exchange,
    priced_order,
    source,
    spot_rules,
)  # fmt: skip
from tests.tasks import end_all
from tests.virtual_time import run_virtual
from trading.config.sections import Fault as FaultSection

D = Decimal
RISING = [(100 + at, 101 + at) for at in range(8)]


class Client:
    """An exchange whose market runs, and what its streams have told."""

    def __init__(self, *faults: dict, market=None, **terms) -> None:
        self.exchange = open_exchange(market or source(bars("A", RISING), flat("B", 8)), faults=faults, **terms)
        self.events: list = []
        self.bars: list = []
        self.connections: list = []

    async def __aenter__(self) -> Client:
        port = self.exchange
        heard = ((port.events(), self.events), (port.bars(), self.bars), (port.connections(), self.connections))
        self._tasks = [asyncio.create_task(self._listen(*one)) for one in heard]
        self._tasks.append(asyncio.create_task(port.run_market()))
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error) -> None:
        await end_all(self._tasks)
        self.exchange.close()

    async def until(self, hour: float) -> None:
        await self.exchange.clock.sleep_until(hours(hour))
        await asyncio.sleep(0.001)

    async def buy(self, client_id: str = "b", amount: str = "1"):
        return await self.exchange.create_order(market_order(client_id, "A", amount))

    async def held(self) -> Decimal:
        return self.exchange.venue.account.amount("A")

    async def _listen(self, stream, into: list) -> None:
        async for item in stream:
            into.append((self.exchange.clock.now_ms(), item))


def run(play, *faults: dict, **terms):
    async def main():
        async with Client(*faults, **terms) as client:
            return await play(client)

    return run_virtual(main())


def fault(kind: str, **more) -> dict:
    return {"kind": kind, **({} if "rate" in more else {"at": 1})} | more


# calls


@pytest.mark.parametrize(
    ("kind", "on", "code"),
    [
        ("reject", "create_order", "-2010"),
        ("rate_limit", "create_order", "-1003"),
        ("ban", "create_order", "-1003"),
        ("maintenance", "create_order", "-1016"),
        ("key_revoked", "create_order", "-2015"),
        ("clock_off", "create_order", "-1021"),
        ("overloaded", "create_order", "-1008"),
        ("balance_too_small", "create_order", "-2019"),
        ("below_minimum", "create_order", "-4164"),
        ("reject", "cancel_order", "-2011"),
        ("ban", "cancel_order", "-1003"),
        ("clock_off", "cancel_order", "-1021"),
    ],
)
def test_a_refusal_has_the_exchanges_code_and_changes_nothing(kind, on, code):
    async def play(client):
        outcome = await client.exchange.create_order(priced_order("l", "A", "1", price="50"))
        if on == "cancel_order":
            outcome = await client.exchange.cancel_order("A", "l")
        return outcome, len(client.exchange.venue.open_orders())

    outcome, resting = run(play, fault(kind, on=on))
    assert isinstance(outcome, NotPlaced if on == "create_order" else NotCancelled)
    assert outcome.code == code and resting == (on == "cancel_order")


def test_a_spot_exchange_refuses_with_its_own_code():
    async def play(client):
        return await client.exchange.create_order(market_order("b", "AUSDT", "1"))

    terms = {"market": source(flat("AUSDT", 4)), "markets": spot_rules("AUSDT")}
    assert run(play, fault("balance_too_small"), **terms).code == "-2010"


def test_an_overloaded_exchange_takes_what_only_reduces():
    async def play(client):
        await client.buy("in")
        entry = await client.buy("more")
        return entry, await client.exchange.create_order(market_order("out", "A", "-1", reduce_only=True))

    entry, exit_ = run(play, fault("overloaded", at=2, times=2))
    assert entry.code == "-1008" and isinstance(exit_, Placed)


@pytest.mark.parametrize("kind", ["rate_limit", "ban"])
def test_a_ban_answers_every_call_until_it_is_over(kind):
    async def play(client):
        refused = await client.buy()
        with pytest.raises(RateBanned) as banned:
            await client.exchange.account()
        looked_up = await client.exchange.fetch_order("A", "b")
        await asyncio.sleep(30.0)
        return refused, banned.value.until_ms, looked_up, await client.exchange.account(), await client.buy()

    refused, until_ms, looked_up, account, later = run(play, fault(kind, delay_ms=30_000))
    assert until_ms == hours(1) + 30_000 and str(until_ms) in refused.reason
    assert isinstance(looked_up, Unknown) and looked_up.reason.startswith("-1003")
    assert account.positions == () and isinstance(later, Placed)


def test_maintenance_and_a_revoked_key_are_told_apart_by_reads():
    async def play(client):
        with pytest.raises(ExchangeUnreachable) as error:
            await client.exchange.open_orders()
        await client.until(3)
        try:
            return error.type, await client.exchange.open_orders()
        except ExchangeUnreachable:
            return error.type, None

    assert run(play, fault("maintenance", on="open_orders")) == (ExchangeUnreachable, [])
    assert run(play, fault("key_revoked", on="open_orders")) == (KeyRefused, None)


@pytest.mark.parametrize("on", CALLS)
def test_every_call_can_go_unanswered_and_the_next_one_is_served(on):
    async def call(client):
        port = client.exchange
        calls = {
            "create_order": lambda: client.buy("once more"), "cancel_order": lambda: port.cancel_order("A", "x"),
            "fetch_order": lambda: port.fetch_order("A", "x"), "fills": lambda: port.fills(since_ms=0),
            "funding": lambda: port.funding(since_ms=0), "quote": lambda: port.quote("A"),
            "history": lambda: port.history("A", limit=1), "server_time": port.server_time_ms,
            "settings": lambda: port.settings(["A"]),
        }  # fmt: skip
        return await calls.get(on, getattr(port, on, None))()

    async def play(client):
        try:
            first = await call(client)
        except ExchangeUnreachable as error:
            first = str(error)
        return first, await call(client)

    first, second = run(play, fault("timeout_before_execution", on=on))
    assert "no answer in time" in str(first) and "no answer in time" not in str(second)


@pytest.mark.parametrize(
    ("kind", "held", "reason"),
    [
        ("timeout_before_execution", 0, "no answer"),
        ("timeout_after_execution", 1, "no answer"),
        ("backend_timeout", 1, "-1007"),
        ("duplicate", 1, "-4116"),
    ],
)
def test_an_ambiguous_answer_may_hide_an_order(kind, held, reason):
    async def play(client):
        return await client.buy(), await client.held()

    outcome, amount = run(play, fault(kind))
    assert isinstance(outcome, Ambiguous) and outcome.reason.startswith(reason) and amount == held


def test_a_late_execution_comes_after_the_timeout_and_inside_the_horizon():
    async def play(client):
        outcome = await client.buy()
        seen = [type(await client.exchange.fetch_order("A", "b")), await client.held()]
        await asyncio.sleep(2.001)
        return outcome, seen, type(await client.exchange.fetch_order("A", "b")), await client.held()

    outcome, before, found, held = run(play, fault("late_execution"))
    assert isinstance(outcome, Ambiguous) and before == [Unknown, 0] and (found, held) == (Found, 1)


def test_a_late_cancel_cancels_late():
    async def play(client):
        await client.exchange.create_order(priced_order("l", "A", "1", price="50"))
        outcome = await client.exchange.cancel_order("A", "l")
        before = len(client.exchange.venue.open_orders())
        await asyncio.sleep(1.0)
        return outcome, before, len(client.exchange.venue.open_orders())

    outcome, before, after = run(play, fault("late_execution", on="cancel_order", delay_ms=500))
    assert isinstance(outcome, Ambiguous) and (before, after) == (1, 0)


def test_what_was_to_execute_late_dies_with_the_exchange():
    async def play(client):
        await client.buy()
        late = set(client.exchange._late)
        client.exchange.close()
        await asyncio.sleep(0.1)
        return len(late), all(task.cancelled() for task in late), await client.held()

    assert run(play, fault("late_execution")) == (1, True, 0)


@pytest.mark.parametrize("on", ["create_order", "account", "fetch_order"])
def test_a_slow_answer_is_only_slow(on):
    async def play(client):
        began = client.exchange.clock.now_ms()
        if on == "create_order":
            await client.buy()
            held_at = client.exchange.venue.fills[0].time_ms
            assert held_at == began
        elif on == "account":
            await client.exchange.account()
        else:
            await client.exchange.fetch_order("A", "x")
        return client.exchange.clock.now_ms() - began

    assert run(play, fault("slow", on=on, delay_ms=700)) == 700


def test_an_order_can_be_unknown_for_a_while_after_it_was_told():
    async def play(client):
        placed = await client.exchange.create_order(priced_order("l", "A", "1", price="50"))
        hidden = await client.exchange.fetch_order("A", "l"), await client.exchange.open_orders()
        await asyncio.sleep(1.0)
        return placed, hidden, await client.exchange.fetch_order("A", "l"), await client.exchange.open_orders()

    placed, (unknown, none), found, some = run(play, fault("query_lag"))
    assert isinstance(placed, Placed) and unknown.reason.startswith("-2013") and none == []
    assert isinstance(found, Found) and len(some) == 1


@pytest.mark.parametrize(("kind", "more", "filled"), [
    ("partial_fill", {}, "1.000"), ("partial_fill", {"fill_ratio": 0.01}, "0.02"),
    ("partial_fill", {"fill_ratio": 0.99}, "1.98"),
    ("overfill", {}, "2.2"), ("overfill", {"factor": 1.5}, "3"),
])  # fmt: skip
def test_less_or_more_than_was_asked_for_can_fill(kind, more, filled):
    async def play(client):
        return (await client.buy(amount="2")).report, await client.held()

    report, held = run(play, fault(kind, **more))
    assert report.filled == held == D(filled)
    assert report.status is (OrderStatus.CLOSED if D(filled) >= 2 else OrderStatus.EXPIRED)


def test_a_partial_fill_of_a_limit_order_leaves_the_rest_in_the_book():
    async def play(client):
        return await client.exchange.create_order(priced_order("l", "A", "2", price="101"))

    report = run(play, fault("partial_fill")).report
    assert (report.status, report.filled) == (OrderStatus.OPEN, 1)


def test_a_cancel_can_come_after_the_fill():
    async def play(client):
        await client.exchange.create_order(priced_order("l", "A", "1", price="50"))
        outcome = await client.exchange.cancel_order("A", "l")
        return outcome, (await client.exchange.fetch_order("A", "l")).report, await client.held()

    outcome, report, held = run(play, fault("filled_before_cancel"))
    assert isinstance(outcome, NotCancelled) and outcome.code == "-2011"
    assert report.status is OrderStatus.CLOSED and held == 1


def test_a_fill_can_be_told_before_its_order():
    async def play(client):
        await client.buy()
        await asyncio.sleep(1.0)
        return [(time_ms - hours(1), type(event)) for time_ms, event in client.events]

    assert run(play, fault("fill_before_ack")) == [(0, Fill), (500, OrderReport)]


# the user stream


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("event_lost", [(0, Fill)]),
        ("event_twice", [(0, OrderReport), (0, OrderReport), (0, Fill)]),
        ("event_late", [(0, Fill), (2_000, OrderReport)]),
        ("event_out_of_order", [(0, Fill), (0, OrderReport)]),
    ],
)
def test_an_event_can_be_lost_doubled_delayed_or_overtaken(kind, told):
    async def play(client):
        await client.buy()
        await asyncio.sleep(5.0)
        return [(time_ms - hours(1), type(event)) for time_ms, event in client.events], await client.exchange.fills(
            since_ms=0
        )

    events, fills = run(play, fault(kind))
    assert events == told and len(fills) == 1  # reads do not lose


def test_an_overtaken_event_comes_at_last_when_nothing_overtakes_it():
    async def play(client):
        await client.exchange.create_order(priced_order("l", "A", "1", price="50"))
        await asyncio.sleep(5.0)
        return [time_ms - hours(1) for time_ms, _ in client.events]

    assert run(play, fault("event_out_of_order")) == [1_000]


def test_a_user_stream_that_falls_tells_what_it_missed_before_it_is_up():
    async def play(client):
        await client.buy("a")
        await asyncio.sleep(1.0)
        await client.buy("b")
        await asyncio.sleep(20.0)
        return [(time_ms - hours(1), event) for time_ms, event in client.events]

    told = run(play, fault("user_stream_down"))
    assert [type(event) for _, event in told] == [
        Connection, OrderReport, Fill, OrderReport, Fill, Connection
    ]  # fmt: skip
    assert told[0][1].is_up is False and told[-1][1].is_up and told[1][0] == told[-1][0] == 10_000


# the market stream


def told_bars(*faults, until: float = 4.5):
    async def play(client):
        await client.until(until)
        history = {bar.time_ms: bar for bar in await client.exchange.history("A", limit=10)}
        return [(time_ms, bar) for time_ms, closed in client.bars for bar in closed if bar.symbol == "A"], history

    return run(play, *faults)


def test_a_bar_can_be_missing_from_the_stream_and_stand_in_the_history():
    told, history = told_bars(fault("bar_missing", symbol="A", at=2))
    assert [bar.time_ms for _, bar in told] == [hours(2), hours(4)] and hours(3) in history


def test_a_bar_can_come_twice_or_late():
    twice, _ = told_bars(fault("bar_twice", symbol="A", at=2))
    assert [bar.time_ms for _, bar in twice] == [hours(2), hours(3), hours(3), hours(4)]
    late, _ = told_bars(fault("bar_late", symbol="A", at=2))
    assert [(time_ms - bar.time_ms) for time_ms, bar in late] == [0, 2_000, 0]


def test_a_bar_can_be_revised():
    told, history = told_bars(fault("bar_revised", symbol="A", at=2))
    first, second = (bar for _, bar in told if bar.time_ms == hours(3))
    assert first.close == pytest.approx(103 * 1.01) and second == history[hours(3)]


def test_a_bar_can_show_a_price_that_never_was():
    told, history = told_bars(fault("bar_spike", symbol="A", at=2))
    spike = next(bar for _, bar in told if bar.time_ms == hours(3))
    assert spike.close == spike.high == 1030 and history[hours(3)].close == 103
    told, _ = told_bars(fault("bar_not_a_number", symbol="A", at=2))
    assert [math.isnan(bar.close) for _, bar in told] == [False, True, False]


def test_a_market_stream_that_falls_delivers_its_bars_before_it_is_up():
    async def play(client):
        await client.until(5.5)
        return client.bars, client.connections

    told, connections = run(play, fault("market_stream_down", symbol="A", at=2, delay_ms=HOUR_MS * 3 // 2))
    assert [(time_ms, closed[0].time_ms) for time_ms, closed in told] == [
        (hours(2), hours(2)), (hours(4.5), hours(3)), (hours(4.5), hours(4)), (hours(5), hours(5))
    ]  # fmt: skip
    assert [(time_ms, one.is_up) for time_ms, one in connections] == [(hours(3), False), (hours(4.5), True)]


# the market itself


def test_a_halted_symbol_has_no_price_and_its_orders_wait():
    async def play(client):
        await client.until(2)
        with pytest.raises(ExchangeUnreachable, match="does not trade"):
            await client.exchange.quote("A")
        placed = await client.buy()
        await client.until(4)
        return placed.report.status, (await client.exchange.fills(since_ms=0))[0], await client.exchange.quote("B")

    status, fill, other = run(play, fault("halt", symbol="A", delay_ms=2 * HOUR_MS))
    assert status is OrderStatus.OPEN and (fill.time_ms, fill.price) == (hours(4), 104) and other.price == 100


def test_one_leg_can_be_closed_by_the_exchange():
    async def play(client):
        await client.buy("a", "2")
        await client.exchange.create_order(market_order("b", "B", "-2"))
        await client.until(3)
        return await client.exchange.account(), client.exchange.venue.fills[-1]

    account, closing = run(play, fault("auto_close", symbol="B"))
    assert [one.symbol for one in account.positions] == ["A"]
    assert closing.client_order_id.startswith("adl_autoclose") and closing.signed_amount == 2


# the table


def test_every_kind_says_what_it_does_and_where():
    assert 10 <= len(KINDS)
    for kind, known in KINDS.items():
        assert known.does and set(known.on) <= set(OPERATIONS), kind
        assert Fault(kind, at=1).place == known.on[0]


def accepted_by_config(raw: dict) -> bool:
    try:
        section = FaultSection.model_validate(raw)
    except ValidationError:
        return False
    return section is not None


@pytest.mark.parametrize("kind", [*KINDS, "explode"])
def test_the_configs_section_and_the_exchange_know_the_same_kinds(kind):
    try:
        Fault.parse({"kind": kind, "at": 1})
        known = True
    except ValueError:
        known = False
    assert accepted_by_config({"kind": kind, "at": 1}) is known


@pytest.mark.parametrize("raw", [
    {"kind": "slow", "at": 1, "delay_ms": -1}, {"kind": "overfill", "at": 1, "factor": -1.0},
    {"kind": "reject", "at": 0},
    {"kind": "reject", "at": 1, "times": 0}, {"kind": "partial_fill", "at": 1, "fill_ratio": 1.0},
    {"kind": "reject", "rate": 1.5}, {"kind": "reject", "at": 1, "on": "lunch"},
])  # fmt: skip
def test_what_is_out_of_bounds_is_refused_by_both(raw):
    with pytest.raises(ValueError, match=r"\d|lunch"):
        Fault.parse(raw)
    assert not accepted_by_config(raw)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_that_the_kind_does_not_take_is_refused(name):
    with pytest.raises(ValueError, match=f"takes no {name}; only a "):
        Fault.parse({"kind": "reject", "at": 1, name: 0.5 if name == "fill_ratio" else 2})


def test_a_config_with_any_kind_runs_on_the_exchange():
    """What the section dumps is what the exchange parses."""
    for kind, known in KINDS.items():
        raw = FaultSection(kind=kind, rate=0.5, on=known.on[-1]).model_dump(exclude_none=True)
        assert replace(Fault.parse(raw), rate=None, at=1).place == known.on[-1]


def test_a_cancelled_order_tells_that_it_is_cancelled_although_the_answer_was_lost():
    async def play(client):
        await client.exchange.create_order(priced_order("l", "A", "1", price="50"))
        first = await client.exchange.cancel_order("A", "l")
        return first, (await client.exchange.fetch_order("A", "l")).report.status

    first, status = run(play, fault("timeout_after_execution", on="cancel_order"))
    assert isinstance(first, Ambiguous) and status is OrderStatus.CANCELED
