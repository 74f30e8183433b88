from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.simulated.liquidity import LEVELS
from ccxt_bt_bridge.words import ORDER_TYPES, TIMES_IN_FORCE, Cancelled, NotPlaced, OrderReport, OrderStatus, Placed
from tests.brokers.markets import Session, bars, flat, hours, market_order, open_exchange, priced_order, source
from tests.virtual_time import run_virtual

D = Decimal
# opens at 100 for two hours, then: a bar down to 90, one that opens at 80, one up to 110, one that opens at 120
PATH = [(100, 100), (100, 100), (100, 90), (80, 85), (85, 110), (120, 120), (120, 120)]
FREE = {"taker_fee": D(0)}


def play(orders, prices=PATH, **terms) -> Session:
    """A whole market; ``orders`` by hour."""

    async def main():
        market = source(bars("A", prices), flat("B", len(prices)))
        session = await Session(open_exchange(market, **terms)).play({hours(at): sent for at, sent in orders.items()})
        session.account = await session.exchange.account()
        session.exchange.close()
        return session

    return run_virtual(main())


def fills(session: Session, client_id: str | None = None) -> list[tuple[Decimal, Decimal, int]]:
    """Price, signed amount and hour of each."""
    made = [fill for fill in session.exchange.venue.fills if client_id in (None, fill.client_order_id)]
    return [(fill.price, fill.signed_amount, (fill.time_ms - hours(0)) // 3_600_000) for fill in made]


def last(session: Session, client_id: str) -> OrderReport:
    return session.exchange.venue.order("A", client_id).report()


def code(outcome) -> str:
    assert isinstance(outcome, NotPlaced), outcome
    return outcome.code


# limit orders


def test_a_limit_order_rests_and_fills_at_its_price_when_a_bar_reaches_it():
    session = play({1: [priced_order("l", "A", "2", price="95")]})
    placed = session.outcomes["l"].report
    assert (placed.status, placed.filled) == (OrderStatus.OPEN, 0)
    assert fills(session) == [(95, 2, 3)] and last(session, "l").status is OrderStatus.CLOSED


@pytest.mark.parametrize(("amount", "price", "expected"), [("1", "90", (90, 1, 3)), ("-1", "110", (110, -1, 5))])
def test_a_touch_of_the_extreme_is_enough(amount, price, expected):
    assert fills(play({1: [priced_order("l", "A", amount, price=price)]})) == [expected]


def test_a_limit_order_that_the_market_opens_beyond_fills_at_the_better_open():
    assert fills(play({1: [priced_order("l", "A", "1", price="85")]})) == [(80, 1, 3)]
    assert fills(play({1: [priced_order("l", "A", "-1", price="115")]})) == [(120, -1, 5)]


def test_a_limit_order_that_is_not_reached_stays_open_to_the_end():
    session = play({1: [priced_order("l", "A", "1", price="79.99")]})
    assert fills(session) == [] and last(session, "l").status is OrderStatus.OPEN


def test_a_marketable_limit_order_takes_at_the_market_never_beyond_its_price():
    for price, paid in (("101", D("100.1")), ("100.05", D("100.05"))):
        session = play({1: [priced_order("l", "A", "1", price=price)]}, slippage_bps=D(10))
        assert fills(session) == [(paid, 1, 1)]


def test_a_resting_order_pays_the_makers_fee_and_no_slippage():
    async def main():
        market = source(bars("A", PATH))
        rules = open_exchange(market).venue.markets
        rules = {"A": replace(rules["A"], maker_fee=D("0.0002"))}
        exchange = open_exchange(market, markets=rules, slippage_bps=D(10))
        await Session(exchange).play(
            {hours(1): [priced_order("maker", "A", "1", price="95"), market_order("taker", "A", "1")]}
        )
        return {
            fill.client_order_id: (fill.fee, exchange.venue.is_maker(fill.trade_id)) for fill in exchange.venue.fills
        }

    assert run_virtual(main()) == {"taker": (D("0.05005"), False), "maker": (D("0.019"), True)}


def test_an_order_is_filled_by_no_bar_that_closed_before_it():
    session = play({4: [priced_order("l", "A", "1", price="81")]})
    assert fills(session) == []


# time in force


def test_an_order_that_may_not_wait_expires_untouched():
    for tif in ("IOC", "FOK"):
        session = play({1: [priced_order("l", "A", "1", price="99", time_in_force=tif)]})
        report = session.outcomes["l"].report
        assert (report.status, report.filled) == (OrderStatus.EXPIRED, 0) and fills(session) == []


def test_post_only_rests_and_is_refused_where_it_would_trade():
    orders = {1: [priced_order("rests", "A", "1", price="99", time_in_force="PO"),
                  priced_order("takes", "A", "1", price="100", time_in_force="PO")]}  # fmt: skip
    session = play(orders)
    assert isinstance(session.outcomes["rests"], Placed) and code(session.outcomes["takes"]) == "-5022"


# stops


def test_a_stop_triggers_at_its_price_inside_a_bar_and_slips():
    session = play({1: [priced_order("s", "A", "-1", trigger="95")]}, slippage_bps=D(10))
    assert fills(session) == [(D("94.905"), -1, 3)]


def test_a_stop_that_the_market_opens_beyond_trades_at_the_open():
    assert fills(play({1: [priced_order("s", "A", "-1", trigger="85")]})) == [(80, -1, 3)]
    assert fills(play({1: [priced_order("s", "A", "1", trigger="115")]})) == [(120, 1, 5)]


def test_a_stop_past_its_trigger_is_refused():
    orders = {1: [priced_order("up", "A", "1", trigger="100"), priced_order("down", "A", "-1", trigger="100")]}
    assert {code(outcome) for outcome in play(orders).outcomes.values()} == {"-2021"}


def test_a_stop_limit_trades_at_its_trigger_when_its_limit_allows():
    session = play({1: [priced_order("s", "A", "-1", trigger="95", price="94")]}, slippage_bps=D(10))
    assert fills(session) == [(D("94.905"), -1, 3)]


def test_a_stop_limit_that_was_jumped_over_waits_for_its_limit():
    session = play({1: [priced_order("s", "A", "-1", trigger="88", price="87")]})
    assert fills(session) == [(87, -1, 5)]


def test_a_triggered_stop_limit_waits_at_least_until_the_next_bar():
    """Triggered at 95 with a limit of 97 that the same bar has shown before: which came first nobody knows."""
    prices = [(100, 100), (100, 100), (100, 90), (90, 91), (96, 98), (98, 98)]
    session = play({1: [priced_order("s", "A", "-1", trigger="95", price="97")]}, prices)
    assert fills(session) == [(97, -1, 5)]


def test_when_a_bar_reaches_both_the_stop_is_taken_to_have_come_first():
    wide = [(100, 100), (100, 100), (100, 100), (100, 100)]
    series = bars("A", wide)
    high, low = series.high.copy(), series.low.copy()
    high[2], low[2] = 110, 90

    async def main():
        exchange = open_exchange(source(replace(series, high=high, low=low)), **FREE)
        protect = [priced_order("profit", "A", "-1", price="108", reduce_only=True),
                   priced_order("stop", "A", "-1", trigger="92", reduce_only=True)]  # fmt: skip
        session = Session(exchange)
        await session.play({hours(1): [market_order("in", "A", "1"), *protect]})
        return session, await exchange.account()

    session, account = run_virtual(main())
    assert fills(session, "stop") == [(92, -1, 3)] and fills(session, "profit") == []
    assert last(session, "profit").status is OrderStatus.EXPIRED and account.wallet == 9992


# refusals


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (priced_order("c", "A", "1", price="95.005"), "-4014"),
        (priced_order("c", "A", "1", price="-1"), "-4001"),
        (priced_order("c", "A", "1", price="NaN"), "-4001"),
        (priced_order("c", "A", "1", trigger="105.001"), "-4014"),
        (priced_order("c", "A", "1", price="95", time_in_force="GTD"), "-1115"),
        (priced_order("c", "A", "0.05", price="95"), "-4164"),
        (priced_order("c", "A", "300", price="95"), "-2019"),
        (priced_order("c", "A", "-1", price="105", reduce_only=True), "-2022"),
    ],
)
def test_a_priced_order_that_breaks_a_rule_is_not_placed(wanted, answer):
    session = play({1: [wanted]})
    assert code(session.outcomes["c"]) == answer and session.events == []


def test_a_price_that_is_missing_or_too_much_is_refused():
    limit, plain = priced_order("l", "A", "1", price="95"), market_order("m", "A", "1")
    session = play({1: [replace(limit, price=None), replace(plain, price=D(95))]})
    assert [code(outcome) for outcome in session.outcomes.values()] == ["-1102", "-1106"]


def test_resting_orders_reserve_margin():
    orders = {
        1: [priced_order("a", "A", "150", price="90"), market_order("b", "A", "70"), market_order("c", "A", "60")]
    }
    session = play(orders)
    assert isinstance(session.outcomes["a"], Placed) and code(session.outcomes["b"]) == "-2019"
    assert isinstance(session.outcomes["c"], Placed)


def test_an_id_is_free_again_once_its_order_is_done():
    orders = {1: [priced_order("x", "A", "1", price="95"), priced_order("y", "A", "1", price="50")],
              2: [market_order("x", "A", "1")], 4: [market_order("x", "A", "1")]}  # fmt: skip
    exchange_answers = {}

    class Noting(Session):
        async def _send(self, requests):
            for request in requests:
                answer = await self.exchange.create_order(request)
                exchange_answers[self.exchange.market_ms, request.client_order_id] = answer

    async def main():
        exchange = open_exchange(source(bars("A", PATH)))
        await Noting(exchange).play({hours(at): sent for at, sent in orders.items()})
        return await exchange.cancel_order("A", "y")

    cancelled = run_virtual(main())
    assert code(exchange_answers[hours(2), "x"]) == "-4116"
    assert isinstance(exchange_answers[hours(4), "x"], Placed) and isinstance(cancelled, Cancelled)


# depth


def test_no_more_than_the_volumes_share_is_filled_and_the_rest_waits_or_expires():
    orders = {1: [priced_order("waits", "A", "5", price="95")], 6: [market_order("m", "A", "4")]}
    session = play(orders, max_volume_share=D("0.2"))  # every bar's volume is 10
    assert fills(session, "waits") == [(95, 2, 3), (80, 2, 4), (85, 1, 5)]
    assert (last(session, "m").status, last(session, "m").filled) == (OrderStatus.EXPIRED, 2)


def test_an_ioc_order_keeps_what_it_got_and_fok_takes_nothing_less_than_all():
    orders = {1: [priced_order("fok", "A", "5", price="101", time_in_force="FOK"),
                  priced_order("ioc", "A", "5", price="101", time_in_force="IOC")]}  # fmt: skip
    session = play(orders, max_volume_share=D("0.2"))
    fok, ioc = session.outcomes["fok"].report, session.outcomes["ioc"].report
    assert (fok.status, fok.filled) == (OrderStatus.EXPIRED, 0)
    assert (ioc.status, ioc.filled) == (OrderStatus.EXPIRED, 2)


def test_a_large_order_walks_up_the_book_level_by_level():
    session = play({1: [market_order("m", "A", "25")]}, book_depth=D(1_000))
    paid = fills(session)
    assert [price for price, _, _ in paid] == [100, D("100.01"), D("100.02")]
    assert sum(amount for _, amount, _ in paid) == 25 and last(session, "m").average > 100


def test_a_limit_order_takes_the_levels_up_to_its_price_and_rests_with_the_others():
    session = play({1: [priced_order("l", "A", "25", price="100.01")]}, book_depth=D(1_000))
    report = session.outcomes["l"].report
    assert report.status is OrderStatus.OPEN and report.filled == D("19.999")


def test_the_book_has_two_sides_around_the_price():
    async def main():
        exchange = open_exchange(source(bars("A", PATH)), slippage_bps=D(5))
        return exchange.venue.book("A")

    bids, asks = run_virtual(main())
    assert len(bids) == len(asks) == LEVELS and bids[0].price == D("99.95") and asks[0].price == D("100.05")
    assert [one.price for one in asks] == sorted(one.price for one in asks)
    assert [one.price for one in bids] == sorted((one.price for one in bids), reverse=True)


# memory


def test_resting_orders_survive_a_restart_as_they_were(tmp_path):
    market = source(bars("A", PATH))
    sent = [
        priced_order("l", "A", "1", price="95", time_in_force="PO"),
        priced_order("sl", "A", "-2", trigger="94", price="97"),
    ]

    async def first():
        exchange = open_exchange(market, tmp_path / "x.db", **FREE)
        for order in sent:
            await exchange.create_order(order)
        exchange.close()

    async def second():
        exchange = open_exchange(market, tmp_path / "x.db", **FREE)
        kept = [order.request for order in exchange.venue.open_orders()]
        session = await Session(exchange).play()
        exchange.close()
        return kept, fills(session)

    run_virtual(first())
    kept, filled = run_virtual(second())
    assert kept == sent and filled == [(95, 1, 3), (97, -2, 5)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 5), st.sampled_from(ORDER_TYPES), st.integers(-20, 20).filter(bool),
            st.integers(78, 122), st.integers(78, 122), st.sampled_from(TIMES_IN_FORCE), st.booleans(),
        ),
        max_size=15,
    ),
    st.sampled_from([None, D("0.3")]),
    st.sampled_from([None, D(500)]),
)  # fmt: skip
def test_whatever_is_ordered_no_limit_is_passed_and_every_cent_is_accounted_for(wanted, share, depth):
    orders: dict = {}
    for number, (hour, kind, amount, price, trigger, tif, reduce_only) in enumerate(wanted):
        name = f"o{number}"
        chosen = {"price": str(price)} if "limit" in kind else {}
        chosen |= {"trigger": str(trigger)} if "stop" in kind else {}
        order = (
            priced_order(name, "A", str(amount), reduce_only=reduce_only, time_in_force=tif, **chosen)
            if chosen
            else market_order(name, "A", str(amount), reduce_only=reduce_only)
        )
        orders.setdefault(hour, []).append(order)
    session = play(orders, max_volume_share=share, book_depth=depth, slippage_bps=D(7))
    sent = {order.client_order_id: order for each in orders.values() for order in each}
    made = session.exchange.venue.fills
    for fill in made:
        request = sent[fill.client_order_id]
        if request.price is not None:
            assert (request.price - fill.price) * fill.side.sign >= 0
    for name, request in sent.items():
        assert sum(fill.amount for fill in made if fill.client_order_id == name) <= request.amount
    cash = 10_000 - sum(fill.signed_amount * fill.price + fill.fee for fill in made)
    cost = sum(p.cost for p in session.exchange.venue.account.ledger.positions)
    assert cash == session.account.wallet - cost
