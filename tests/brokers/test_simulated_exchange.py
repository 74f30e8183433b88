from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.funding import FundingSchedule
from brokers.mock_market import MockMarket, MockPair
from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown
from ccxt_bt_bridge.series import FundingSeries
from ccxt_bt_bridge.words import (
    Absent,
    Ambiguous,
    Cancelled,
    Fill,
    Found,
    FundingPayment,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderStatus,
    Placed,
    Unknown,
)
from feeds.history import load_bars
from tests.brokers.markets import HOUR_MS, Session, bars, flat, hours, market_order, open_exchange, source
from tests.virtual_time import run_virtual

D = Decimal
RISING = [(100 + at, 101 + at) for at in range(6)]
HALTED = [(100, 101), (101, 102), None, None, (110, 111), (111, 112)]


def play(market, orders=None, **terms) -> Session:
    """A whole market with these orders."""

    async def main():
        return await Session(open_exchange(market, **terms)).play(orders)

    return run_virtual(main())


def ask(market, questions, **terms):
    """``questions(exchange)`` before the market moves."""

    async def main():
        return await questions(open_exchange(market, **terms))

    return run_virtual(main())


def of_kind(kind: type, session: Session) -> list:
    return [event for event in session.events if isinstance(event, kind)]


def code(outcome) -> str:
    assert isinstance(outcome, NotPlaced), outcome
    return outcome.code


# the market


def test_warm_up_is_history_and_the_rest_arrives_moment_by_moment():
    market = source(bars("A", RISING), bars("B", RISING[:3] + [None] + RISING[4:]))

    async def main():
        exchange = open_exchange(market, warmup_bars=2)
        history = await exchange.history("A", limit=10)
        session = await Session(exchange).play()
        return history, session, await exchange.history("B", limit=2)

    history, session, later = run_virtual(main())
    assert [bar.time_ms for bar in history] == [hours(1), hours(2)]
    assert [[bar.symbol for bar in closed] for closed in session.bars] == [["A", "B"], ["A"], ["A", "B"], ["A", "B"]]
    assert {bar.time_ms for closed in session.bars for bar in closed} == {hours(at) for at in (3, 4, 5, 6)}
    assert [bar.time_ms for bar in later] == [hours(5), hours(6)]


def test_bars_come_at_their_close_by_the_clock():
    async def main():
        exchange = open_exchange(source(flat("A", 4)))
        loop, seen = asyncio.get_running_loop(), []
        task = asyncio.create_task(exchange.run_market())
        async for closed in exchange.bars():
            seen.append((loop.time() * 1000, closed[0].time_ms - hours(1)))
        await task
        return seen

    assert [wall for wall, _ in run_virtual(main())] == [HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS]


def test_the_quote_is_the_open_of_the_forming_bar_and_a_halt_has_none():
    async def questions(exchange):
        quotes = [await exchange.quote("A")]
        task = asyncio.create_task(exchange.run_market())
        async for closed in exchange.bars():
            try:
                quotes.append((closed[0].time_ms, (await exchange.quote("A")).price))
            except ExchangeUnreachable:
                quotes.append((closed[0].time_ms, None))
        await task
        return quotes

    first, *others = ask(source(bars("A", HALTED), flat("B", 6)), questions)
    assert (first.price, first.time_ms) == (101, hours(1))
    assert others == [(hours(2), None), (hours(3), None), (hours(4), 110), (hours(5), 111), (hours(6), None)]


def test_an_unknown_symbol_is_said_to_be_unknown():
    async def questions(exchange):
        for question in (exchange.quote("X"), exchange.history("X", limit=1)):
            with pytest.raises(MarketUnknown, match="no X; it has A"):
                await question
        return await exchange.markets()

    assert list(ask(source(flat("A", 3)), questions)) == ["A"]


def test_a_warm_up_longer_than_the_market_is_refused():
    with pytest.raises(ValueError, match="3 time steps; a warm-up of 3 leaves none"):
        ask(source(flat("A", 3)), None, warmup_bars=3)


def test_a_market_needs_one_interval_and_bars():
    with pytest.raises(ValueError, match="one interval"):
        source(flat("A", 3), replace(flat("B", 3), interval_ms=60_000))
    with pytest.raises(ValueError, match="no bars for B"):
        source(flat("A", 3), flat("B", 3).slice(0, 0))


# orders


def test_a_market_order_fills_whole_at_the_next_open_with_slippage_and_fee():
    orders = {hours(2): [market_order("buy", "A", "2")], hours(4): [market_order("sell", "A", "-2")]}
    session = play(source(bars("A", RISING)), orders, slippage_bps=D(10))
    bought, sold = session.outcomes["buy"].report, session.outcomes["sell"].report
    assert (bought.status, bought.filled, bought.average) == (OrderStatus.CLOSED, 2, D("102.102"))
    assert sold.average == D("103.896") and sold.time_ms == hours(4)
    fees = [fill.fee for fill in of_kind(Fill, session)]
    assert fees == [D("0.102102"), D("0.103896")]


def test_the_report_comes_before_its_fill_and_both_after_the_commit():
    session = play(source(flat("A", 4)), {hours(2): [market_order("b", "A", "1")]})
    assert [type(event) for event in session.events] == [OrderReport, Fill]
    assert session.events[0] == session.outcomes["b"].report


def test_account_shows_wallet_and_netted_positions_with_average_entry():
    orders = {hours(at): [market_order(f"b{at}", "A", "1")] for at in (1, 2, 3)}

    async def main():
        session = await Session(open_exchange(source(bars("A", RISING)), taker_fee=D(0))).play(orders)
        return await session.exchange.account()

    account = run_virtual(main())
    assert account.wallet == 10_000 and account.amount("A") == 3
    assert account.positions[0].entry_price == 102 and account.time_ms == hours(6)


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (market_order("c", "X", "1"), "-1121"),
        (replace(market_order("c", "A", "1"), type="iceberg"), "-1116"),
        (market_order("c", "A", "0.0001"), "-1111"),
        (replace(market_order("c", "A", "1"), amount=D(0)), "-4003"),
        (replace(market_order("c", "A", "1"), amount=D("NaN")), "-4003"),
        (market_order("c", "A", "0.049"), "-4164"),
        (market_order("c", "A", "1", reduce_only=True), "-2022"),
        (market_order("c", "A", "201"), "-2019"),
        (market_order("x" * 37, "A", "1"), "-4015"),
    ],
)
def test_what_the_rules_forbid_is_not_placed_and_leaves_no_trace(wanted, answer):
    async def questions(exchange):
        outcome = await exchange.create_order(wanted)
        return outcome, await exchange.account(), await exchange.open_orders(), await exchange.fills(since_ms=0)

    outcome, account, open_orders, fills = ask(source(flat("A", 4)), questions)
    assert code(outcome) == answer
    assert (account.wallet, account.positions, open_orders, fills) == (10_000, (), [], [])


def test_the_margin_allows_exactly_the_leverage():
    async def questions(exchange):
        first = await exchange.create_order(market_order("a", "A", "200"))
        more = await exchange.create_order(market_order("b", "A", "0.1"))
        less = await exchange.create_order(market_order("c", "A", "-150"))
        return first, code(more), less

    first, more, less = ask(source(flat("A", 4)), questions, taker_fee=D("0.0005"))
    assert isinstance(first, Placed) and more == "-2019" and isinstance(less, Placed)


def test_without_margin_a_position_can_still_be_made_smaller():
    falling = [(100, 100), (100, 60), (60, 60), (60, 60)]
    orders = {hours(1): [market_order("in", "A", "190")], hours(3): [market_order("less", "A", "-10")]}
    session = play(source(bars("A", falling)), orders)
    assert isinstance(session.outcomes["less"], Placed)


def test_reduce_only_is_clamped_to_the_position_and_free_of_minimums():
    async def questions(exchange):
        await exchange.create_order(market_order("in", "A", "0.06"))
        part = await exchange.create_order(market_order("dust", "A", "-0.02", reduce_only=True))
        rest = await exchange.create_order(market_order("out", "A", "-5", reduce_only=True))
        wrong = await exchange.create_order(market_order("wrong", "A", "5", reduce_only=True))
        return part.report, rest.report, code(wrong), (await exchange.account()).positions

    part, rest, wrong, positions = ask(source(flat("A", 4)), questions)
    assert part.filled == D("0.02") and (rest.amount, rest.filled) == (D("0.04"), D("0.04"))
    assert rest.status is OrderStatus.CLOSED and wrong == "-2022" and positions == ()


def test_an_order_in_a_halt_rests_and_fills_at_the_reopening():
    market = source(bars("A", HALTED), flat("B", 6))
    session = play(market, {hours(2): [market_order("b", "A", "1")]}, taker_fee=D(0))
    placed = session.outcomes["b"].report
    assert (placed.status, placed.filled, placed.average) == (OrderStatus.OPEN, 0, None)
    done, fill = session.events[1:]
    assert (done.status, done.average, fill.price, fill.time_ms) == (OrderStatus.CLOSED, 110, 110, hours(4))


def test_a_market_wide_outage_reopens_at_its_first_open():
    session = play(source(bars("A", HALTED)), {hours(2): [market_order("b", "A", "1")]})
    (fill,) = of_kind(Fill, session)
    assert (fill.price, fill.time_ms) == (110, hours(4))
    assert [closed[0].time_ms for closed in session.bars] == [hours(2), hours(5), hours(6)]


def test_a_client_id_is_unique_among_open_orders_only():
    async def questions(exchange):
        first = await exchange.create_order(market_order("same", "B", "1"))
        again = await exchange.create_order(market_order("same", "B", "2"))
        task, outcomes = asyncio.create_task(exchange.run_market()), []
        async for closed in exchange.bars():
            if closed[0].time_ms == hours(2):
                outcomes = [await exchange.create_order(market_order("rest", "A", "1")) for _ in range(2)]
        await task
        return first, again, outcomes, await exchange.fetch_order("B", "same")

    first, again, (resting, refused), found = ask(source(bars("A", HALTED), flat("B", 6)), questions)
    assert isinstance(first, Placed) and isinstance(again, Placed) and found.report == again.report
    assert resting.report.status is OrderStatus.OPEN and code(refused) == "-4116"


def test_a_reduce_only_order_that_rests_never_opens_a_position():
    in_halt = [market_order("cut", "A", "-3", reduce_only=True), market_order("all", "A", "-4")]
    orders = {hours(1): [market_order("in", "A", "4")], hours(2): list(reversed(in_halt))}

    async def main():
        session = await Session(open_exchange(source(bars("A", HALTED), flat("B", 6)))).play(orders)
        return session, await session.exchange.account()

    session, account = run_virtual(main())
    last = [event for event in of_kind(OrderReport, session) if event.client_order_id == "cut"][-1]
    assert (last.status, last.filled) == (OrderStatus.EXPIRED, 0) and account.positions == ()


def test_resting_orders_can_be_cancelled_once():
    async def questions(exchange):
        task, answers = asyncio.create_task(exchange.run_market()), []
        async for closed in exchange.bars():
            if closed[0].time_ms == hours(2):
                await exchange.create_order(market_order("rest", "A", "1"))
                answers.append(await exchange.open_orders())
                answers += [await exchange.cancel_order("A", "rest") for _ in range(2)]
                answers.append(await exchange.cancel_order("B", "none"))
        await task
        return answers, await exchange.fills(since_ms=0)

    (opened, first, second, none), fills = ask(source(bars("A", HALTED), flat("B", 6)), questions)
    assert [report.client_order_id for report in opened] == ["rest"] and fills == []
    assert isinstance(first, Cancelled) and first.report.status is OrderStatus.CANCELED
    assert isinstance(second, NotCancelled) and second.code == none.code == "-2011"


def test_orders_after_the_last_bar_are_refused_as_market_closed():
    late = market_order("late", "A", "1")
    session = play(source(flat("A", 4)), {hours(4): [late]})
    assert code(session.outcomes["late"]) == "-1013" and session.exchange.has_ended


def test_a_symbol_that_ended_or_has_not_begun_refuses_orders_while_others_trade():
    market = source(flat("OLD", 3), bars("NEW", [(1.0, 1.0)] * 3, first_hour=4), flat("B", 7))
    orders = {
        hours(3): [market_order("old", "OLD", "1"), market_order("new", "NEW", "10"), market_order("b", "B", "1")]
    }
    session = play(market, orders)
    assert code(session.outcomes["old"]) == code(session.outcomes["new"]) == "-1013"
    assert isinstance(session.outcomes["b"], Placed)


def test_reads_begin_at_the_time_asked_for():
    orders = {hours(at): [market_order(f"b{at}", "A", "1")] for at in (2, 3)}

    async def main():
        session = await Session(open_exchange(source(flat("A", 5)))).play(orders)
        return [await session.exchange.fills(since_ms=hours(at)) for at in (2, 3, 4)]

    assert [len(fills) for fills in run_virtual(main())] == [2, 1, 0]


def test_latency_delays_the_fill_by_half_and_the_answer_by_the_whole():
    async def questions(exchange):
        outcome = await exchange.create_order(market_order("b", "A", "1"))
        return outcome.report.time_ms, asyncio.get_running_loop().time()

    assert ask(source(flat("A", 4)), questions, latency_ms=200) == (hours(1) + 100, 0.2)


# what an unknown order means


def test_an_order_nobody_knows_is_unknown_until_the_horizon_and_absent_after():
    async def questions(exchange):
        await exchange.create_order(market_order("lost", "A", "1"))
        before = await exchange.fetch_order("A", "lost")
        await asyncio.sleep(14.0)
        return before, await exchange.fetch_order("A", "lost")

    faults = [{"kind": "timeout_before_execution", "at": 1}]
    before, after = ask(source(flat("A", 4)), questions, faults=faults)
    assert isinstance(before, Unknown) and isinstance(after, Absent)


def test_an_id_from_before_the_start_is_unknown_at_first_too():
    async def questions(exchange):
        return await exchange.fetch_order("A", "from an earlier life")

    assert isinstance(ask(source(flat("A", 4)), questions), Unknown)


# funding


def schedule(*at_hours: int, rate: str = "0.001", mark: str | None = None) -> FundingSchedule:
    times, marks = tuple(hours(at) for at in at_hours), (None if mark is None else D(mark),) * len(at_hours)
    return FundingSchedule(FundingSeries("A", times, (D(rate),) * len(at_hours), marks), D(0))


def test_funding_is_settled_before_anything_ordered_at_that_moment():
    orders = {hours(2): [market_order("in", "A", "2")], hours(4): [market_order("out", "A", "-2")]}
    session = play(source(bars("A", RISING)), orders, funding={"A": schedule(2, 3, 4, 5)})
    paid = of_kind(FundingPayment, session)
    assert [payment.time_ms for payment in paid] == [hours(3), hours(4)]
    # the close of the bar that ends at the event: 103 at the third hour, 104 at the fourth
    assert [payment.amount for payment in paid] == [D("-0.206"), D("-0.208")]


def test_the_series_mark_price_is_used_when_there_is_one():
    orders = {hours(2): [market_order("in", "A", "-2")]}
    session = play(source(bars("A", RISING)), orders, funding={"A": schedule(3, mark="200")})
    (payment,) = of_kind(FundingPayment, session)
    assert (payment.mark_price, payment.amount, payment.payment_id) == (200, D("0.4"), f"1-A-{hours(3)}")


def test_funding_inside_an_outage_uses_the_last_close_before_it():
    orders = {hours(1): [market_order("in", "A", "1")]}
    session = play(source(bars("A", HALTED)), orders, funding={"A": schedule(3, 4)})
    assert [(one.time_ms, one.mark_price) for one in of_kind(FundingPayment, session)] == [
        (hours(3), 102), (hours(4), 102)
    ]  # fmt: skip


def test_funding_between_two_closes_does_not_know_the_later_one():
    times = (hours(3) - HOUR_MS // 2,)
    series = FundingSeries("A", times, (D("0.001"),), (None,))
    orders = {hours(1): [market_order("in", "A", "1")]}
    session = play(source(bars("A", RISING)), orders, funding={"A": FundingSchedule(series, D(0))})
    assert [one.mark_price for one in of_kind(FundingPayment, session)] == [102]


# liquidation


def test_the_exchange_closes_everything_when_the_margin_is_gone():
    falling = [(100, 100), (100, 100), (100, 51), (51, 50), (50, 50)]
    orders = {hours(2): [market_order("in", "A", "180"), market_order("hedge", "B", "-10")]}

    async def main():
        exchange = open_exchange(source(bars("A", falling), flat("B", 5)), maintenance_margin_pct=D(15))
        session = await Session(exchange).play(orders)
        return session, await exchange.account(), await exchange.open_orders()

    session, account, open_orders = run_virtual(main())
    closing = [fill for fill in of_kind(Fill, session) if fill.client_order_id.startswith("autoclose-")]
    assert {(fill.symbol, fill.signed_amount, fill.price) for fill in closing} == {("A", -180, 51), ("B", 10, 100)}
    assert account.positions == () and open_orders == [] and {fill.time_ms for fill in closing} == {hours(3)}


def test_a_hedged_account_is_left_alone():
    orders = {hours(2): [market_order("in", "A", "50")]}
    session = play(source(bars("A", RISING)), orders)
    assert not any(fill.client_order_id.startswith("autoclose-") for fill in of_kind(Fill, session))


# the whole


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(60, 118), st.sampled_from("AB"), st.integers(-40, 40).filter(bool), st.booleans()),
        max_size=25,
    )
)
def test_initial_and_what_happened_equal_the_wallet(wanted):
    pair = MockPair("A", "B")
    made = MockMarket(3, 120, "1h", pairs=[pair], gaps_per_1000=40.0).series()
    market = MarketSource(made)
    times = sorted(set(market.closes_ms.tolist()))
    orders: dict = {}
    for number, (step, symbol, amount, reduce_only) in enumerate(wanted):
        when = times[min(step, len(times) - 1)]
        order = market_order(f"o{number}", symbol, D(amount), reduce_only=reduce_only)
        orders.setdefault(when, []).append(order)
    funding = {symbol: FundingSchedule(None, D("0.0001")) for symbol in "AB"}

    async def main():
        exchange = open_exchange(market, warmup_bars=50, funding=funding, slippage_bps=D(1))
        session = await Session(exchange).play(orders)
        return session, await exchange.account(), exchange

    session, account, exchange = run_virtual(main())
    ledger, fills, payments = exchange.venue.account.ledger, of_kind(Fill, session), of_kind(FundingPayment, session)
    cash = 10_000 - sum(fill.signed_amount * fill.price + fill.fee for fill in fills)
    cash += sum(payment.amount for payment in payments)
    assert cash == account.wallet - sum(position.cost for position in ledger.positions)
    totals = ledger.totals
    assert account.wallet == totals.initial + totals.realised + totals.funding - totals.fees
    for symbol in "AB":
        assert account.amount(symbol) == sum(fill.signed_amount for fill in fills if fill.symbol == symbol)


def test_the_same_seed_gives_the_same_events():
    def events():
        market = MarketSource(MockMarket(5, 300, "1h", pairs=[MockPair("A", "B")]).series())
        times = market.closes_ms.tolist()
        orders = {times[at]: [market_order(f"o{at}", "A", 1 if at % 40 else -1)] for at in range(110, 290, 20)}
        faults = [{"kind": "partial_fill", "rate": 0.3}, {"kind": "timeout_after_execution", "rate": 0.2}]
        return play(market, orders, warmup_bars=100, faults=faults).events

    first = events()
    assert first == events() and len(first) > 10


def test_a_dead_coin_keeps_its_position_and_refuses_orders(shared_data):
    folder = shared_data("spot_1h")
    ust, btc = (load_bars(folder, symbol, "1h") for symbol in ("USTUSDT", "BTCUSDT"))
    near_end = int(ust.time_ms[-1])
    btc = btc.slice(
        int(btc.time_ms.searchsorted(near_end - 60 * HOUR_MS)), int(btc.time_ms.searchsorted(near_end)) + 48
    )
    market = source(ust.slice(len(ust) - 60, len(ust)), btc)
    orders = {near_end - HOUR_MS: [market_order("in", "USTUSDT", "1000")],
              near_end + HOUR_MS: [market_order("out", "USTUSDT", "-1000")]}  # fmt: skip

    async def main():
        session = await Session(open_exchange(market, warmup_bars=20)).play(orders)
        return session.outcomes, await session.exchange.account()

    outcomes, account = run_virtual(main())
    assert isinstance(outcomes["in"], Placed) and code(outcomes["out"]) == "-1013"
    assert account.amount("USTUSDT") == 1000


def test_a_year_of_ten_symbols_costs_four_times_a_quarter():
    """Nothing that is done at each bar grows with the bars before it."""

    def played(count: int) -> float:
        pairs = [MockPair(f"A{at}", f"B{at}") for at in range(5)]
        market = MarketSource(MockMarket(1, count, "1h", pairs=pairs).series())
        began = time.process_time()
        session = play(market, warmup_bars=100)
        assert len(session.bars) > 0.98 * (count - 100)
        return time.process_time() - began

    played(500)
    quarter, year = played(2_190), played(8_760)
    assert year < 6.0 * quarter


# faults


def test_a_scripted_reject_places_nothing_and_happens_once():
    async def questions(exchange):
        outcomes = [await exchange.create_order(market_order(f"b{at}", "A", "1")) for at in range(3)]
        return outcomes, (await exchange.account()).amount("A")

    faults = [{"kind": "reject", "on": "create_order", "symbol": "A/", "at": 2}]
    (first, second, third), amount = ask(source(flat("A", 4)), questions, faults=faults)
    assert isinstance(first, Placed) and code(second) == "-2010" and isinstance(third, Placed) and amount == 2


@pytest.mark.parametrize(("kind", "amount"), [("timeout_before_execution", 0), ("timeout_after_execution", 1)])
def test_a_timeout_is_ambiguous_whether_or_not_it_executed(kind, amount):
    async def questions(exchange):
        outcome = await exchange.create_order(market_order("b", "A", "1"))
        return outcome, (await exchange.account()).amount("A"), await exchange.fetch_order("A", "b")

    outcome, held, found = ask(source(flat("A", 4)), questions, faults=[{"kind": kind, "at": 1}])
    assert outcome == Ambiguous("no answer in time") and held == amount
    assert isinstance(found, Found if amount else Unknown)


@pytest.mark.parametrize(("ratio", "filled"), [(0.5, "0.502"), ("0.25", "0.251"), (0, "0")])
def test_a_partial_fill_expires_the_rest(ratio, filled):
    async def questions(exchange):
        report = (await exchange.create_order(market_order("b", "A", "1.005"))).report
        return report, (await exchange.account()).amount("A")

    fault = {"kind": "partial_fill", "at": 1, "fill_ratio": ratio}
    report, amount = ask(source(flat("A", 4)), questions, faults=[fault])
    assert (report.status, report.amount, report.filled, amount) == (
        OrderStatus.EXPIRED, D("1.005"), D(filled), D(filled)
    )  # fmt: skip


def test_reads_and_cancels_can_fail_too():
    names = ("open_orders", "fills", "funding", "account", "quote", "history", "markets")

    async def questions(exchange):
        calls = [exchange.open_orders(), exchange.fills(since_ms=0), exchange.funding(since_ms=0), exchange.account(),
                 exchange.quote("A"), exchange.history("A", limit=1), exchange.markets()]  # fmt: skip
        for name, call in zip(names, calls, strict=True):
            with pytest.raises(ExchangeUnreachable, match=name):
                await call
        await exchange.create_order(market_order("b", "A", "1"))
        cancelled = [await exchange.cancel_order("A", "b") for _ in range(4)]
        return cancelled, [await exchange.fetch_order("A", "b") for _ in range(2)]

    kinds = ("reject", "timeout_before_execution", "timeout_after_execution")
    faults = [{"kind": "timeout_before_execution", "on": name, "at": 1} for name in (*names, "fetch_order")]
    faults += [{"kind": kind, "on": "cancel_order", "at": at} for at, kind in enumerate(kinds, 1)]
    cancelled, (unknown, found) = ask(source(flat("A", 4)), questions, faults=faults)
    assert [type(one) for one in cancelled] == [NotCancelled, Ambiguous, Ambiguous, NotCancelled]
    assert isinstance(unknown, Unknown) and isinstance(found, Found)


def test_a_fault_can_wait_for_a_time():
    orders = {hours(at): [market_order(f"b{at}", "A", "1")] for at in (1, 2, 3, 4)}
    faults = [{"kind": "reject", "at": "2024-01-01T02:30:00Z"}]
    session = play(source(flat("A", 6)), orders, faults=faults)
    assert [isinstance(one, Placed) for one in session.outcomes.values()] == [True, True, False, True]


def test_a_rate_is_drawn_by_seed():
    async def questions(exchange):
        sent = [await exchange.create_order(market_order(f"b{at}", "A", "0.1")) for at in range(200)]
        return [isinstance(one, NotPlaced) for one in sent]

    def drawn(seed: int) -> list[bool]:
        faults = [{"kind": "reject", "rate": 0.2}]
        return ask(source(flat("A", 4)), questions, faults=faults, fault_seed=seed)

    assert drawn(1) == drawn(1) != drawn(2) and 20 <= sum(drawn(1)) <= 60


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"kind": "explode", "at": 1}, "unknown fault 'explode'; known: reject"),
        ({"kind": "partial_fill", "on": "cancel_order", "at": 1}, "cannot happen on 'cancel_order'"),
        ({"kind": "reject"}, "either 'at' or 'rate', found neither"),
        ({"kind": "reject", "at": 1, "rate": 0.5}, "found at and rate"),
        ({"kind": "reject", "rate": 2}, "between 0 and 1"),
        ({"kind": "partial_fill", "at": 1, "fill_ratio": 1}, "less than 1"),
        ({"kind": "reject", "at": 1, "wen": 2}, "knows kind, on"),
        ({"on": "create_order", "at": 1}, "needs 'kind'"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault, complaint):
    with pytest.raises(ValueError, match=complaint):
        ask(source(flat("A", 4)), None, faults=[fault])
