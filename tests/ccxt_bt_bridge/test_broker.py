"""The bridge's broker in a real Cerebro, over a gateway that does what the test says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccxt_bt_bridge.broker import BridgeBroker, CashView, OrderTicket, OrderUpdate, UpdateKind
from ccxt_bt_bridge.bt_time import num_to_ms
from tests.ccxt_bt_bridge.board_harness import board_of, cerebro_on, put

Step = Callable[["FakeGateway"], None]


class FakeGateway:
    """Keeps what it is sent; the test says what becomes of it."""

    def __init__(self) -> None:
        self.updates: deque[OrderUpdate] = deque()
        self.tickets: list[OrderTicket] = []
        self.cancelled: list[int] = []
        self.cash = CashView(1000.0, 1250.0)

    def submit(self, ticket: OrderTicket) -> None:
        self.tickets.append(ticket)

    def cancel(self, ref: int) -> None:
        self.cancelled.append(ref)

    def cash_view(self) -> CashView:
        return self.cash


def tell(kind: UpdateKind, which: int = -1, **values: Any) -> Step:
    def act(gateway: FakeGateway) -> None:
        ticket = gateway.tickets[which]
        gateway.updates.append(OrderUpdate(kind, ticket.ref, ticket.key, **values))

    return act


def fill(amount: str, price: str = "100", fee: str = "0", which: int = -1) -> Step:
    values = {"amount": Decimal(amount), "price": Decimal(price), "fee": Decimal(fee), "time_ms": 5_000}
    return tell(UpdateKind.FILL, which, **values)


def foreign_fill(key: str, amount: str, price: str) -> Step:
    """A fill that no strategy ordered."""
    update = OrderUpdate(UpdateKind.FILL, None, key, Decimal(amount), Decimal(price), Decimal("1"), 5_000)
    return lambda gateway: gateway.updates.append(update)


class Trader(bt.Strategy):
    """Places orders on its first bar and writes down all that it is told."""

    params: Any = (("orders", ()), ("then", None))

    def __init__(self) -> None:
        self.told: list[str] = []
        self.orders: list[Any] = []
        self.notified: list[Any] = []
        self.trades: list[Any] = []

    def next(self) -> None:
        if len(self) == 1:
            self.orders = [place(self) for place in self.p.orders]
        elif self.p.then:
            self.p.then(self)

    def notify_order(self, order: Any) -> None:
        self.notified.append(order)
        self.told.append(f"{order.getstatusname()} {order.executed.size:g}")

    def notify_trade(self, trade: Any) -> None:
        self.trades.append(trade)


def buy(size: float, number: int = 0) -> Callable[[Any], Any]:
    return lambda strategy: strategy.buy(data=strategy.datas[number], size=size, note="kept")


def sell(size: float, number: int = 0) -> Callable[[Any], Any]:
    return lambda strategy: strategy.sell(data=strategy.datas[number], size=size)


def run(
    orders: Iterable[Callable], steps: Iterable[Step], *, prepare=lambda broker: None, symbols="A", then=None
) -> Any:
    """Orders on the first bar, then one step of the gateway for every cycle, then a last bar."""
    gateway, board = FakeGateway(), board_of(*symbols, history=1)
    broker = BridgeBroker(gateway)
    prepare(broker)
    board.hub.script = [lambda step=step: step(gateway) for step in steps] + [put(board, symbols, 2)]
    cerebro = cerebro_on(board, symbols, Trader, orders=tuple(orders), then=then)
    cerebro.setbroker(broker)
    (strategy,) = cerebro.run()
    strategy.gateway = gateway
    return strategy


def position(strategy: Any, number: int = 0) -> tuple[float, float]:
    held = strategy.broker.getposition(strategy.datas[number])
    return held.size, held.price


def test_an_order_lives_through_submitted_accepted_partial_and_completed():
    strategy = run([buy(3.0)], [tell(UpdateKind.ACCEPTED), fill("1"), fill("2", "103")])
    assert strategy.told == ["Submitted 0", "Accepted 0", "Partial 1", "Completed 3"]
    assert strategy.notified[-1].executed.price == pytest.approx(102.0)
    assert not strategy.orders[0].alive()
    assert position(strategy) == (3.0, 102.0)


def test_a_notification_is_a_snapshot_that_later_fills_do_not_change():
    strategy = run([buy(3.0)], [fill("1"), fill("2")])
    assert [order.executed.size for order in strategy.notified] == [0, 1.0, 3.0]
    assert [order.executed.remsize for order in strategy.notified] == [3.0, 2.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (UpdateKind.CANCELED, "Canceled"),
        (UpdateKind.EXPIRED, "Expired"),
        (UpdateKind.MARGIN, "Margin"),
        (UpdateKind.REJECTED, "Rejected"),
    ],
)
def test_an_order_that_ends_unfilled_is_told_by_its_own_word(kind, word):
    strategy = run([buy(3.0)], [tell(UpdateKind.ACCEPTED), tell(kind)])
    assert strategy.told == ["Submitted 0", "Accepted 0", f"{word} 0"]
    assert not strategy.orders[0].alive()
    assert position(strategy) == (0.0, 0.0)
    partly = run([buy(3.0)], [fill("1"), tell(kind)])
    assert partly.told == ["Submitted 0", "Partial 1", f"{word} 1"]
    assert position(partly) == (1.0, 100.0)


def test_what_ends_after_completion_is_no_news():
    strategy = run([buy(3.0)], [fill("3"), tell(UpdateKind.CANCELED)])
    assert strategy.told == ["Submitted 0", "Completed 3"]


def test_fills_of_tenths_complete_an_order_and_close_a_position_without_dust():
    strategy = run(
        [buy(0.3), sell(0.3)], [fill("0.1", which=0)] * 3 + [fill("-0.3", "110", which=1), tell(UpdateKind.CANCELED)]
    )
    assert strategy.told[-4:] == ["Partial 0.1", "Partial 0.2", "Completed 0.3", "Completed -0.3"]
    assert position(strategy) == (0.0, 0.0)
    assert strategy.trades[-1].isclosed
    assert strategy.trades[-1].pnl == pytest.approx(3.0)


def test_a_position_is_the_exact_sum_of_its_fills():
    """In floats 0.01 - 0.03 is -0.019999999999999997: rounded down to a step, a close would leave 0.001 open."""
    strategy = run([buy(0.01), sell(0.03)], [fill("0.01", which=0), fill("-0.03", which=1)])
    assert position(strategy) == (-0.02, 100.0)
    strategy = run([buy(0.3), sell(0.28)], [fill("0.1", which=0)] * 3 + [fill("-0.28", which=1)])
    assert position(strategy)[0] == 0.02


def test_what_a_reader_does_to_a_position_is_his_own_affair():
    strategy = run([buy(1.0)], [fill("1")])
    strategy.broker.getposition(strategy.data, clone=False).update(5.0, 1.0)
    assert position(strategy) == (1.0, 100.0)


def test_the_gateway_gets_signed_amounts_the_feeds_key_and_what_the_caller_passed_along():
    strategy = run([buy(3.0), sell(2.0, 1)], [], symbols="AB")
    first, second = strategy.gateway.tickets
    assert (first.key, first.symbol, first.amount, first.info) == ("A", "A", 3.0, {"note": "kept"})
    assert (second.key, second.symbol, second.amount, second.info) == ("B", "B", -2.0, {})
    assert strategy.orders[0].info["note"] == "kept"
    assert first.ref == strategy.orders[0].ref != second.ref


def test_limit_price_and_lifetime_reach_the_order():
    strategy = run([lambda s: s.buy(size=1.0, exectype=bt.Order.Limit, price=95.0, tradeid=7)], [])
    (order,) = strategy.orders
    assert (order.exectype, order.created.price, order.tradeid) == (bt.Order.Limit, 95.0, 7)


def test_a_cancel_goes_to_the_gateway_and_changes_nothing_until_it_answers():
    strategy = run([buy(3.0)], [tell(UpdateKind.ACCEPTED)], then=lambda s: s.cancel(s.orders[0]))
    assert strategy.gateway.cancelled == [strategy.orders[0].ref]
    assert strategy.told == ["Submitted 0", "Accepted 0"]


def test_positions_grow_shrink_flip_and_close_as_the_fills_say():
    seen = []
    steps = [
        fill("2", "100", which=0),
        fill("2", "110", which=0),
        fill("-1", "120", which=1),
        fill("-5", "90", which=1),
        fill("1", "80", which=2),
        fill("1", "80", which=2),
    ]

    def noted(step):
        def act(gateway):
            seen.append(broker[0].getposition(FakeData("A")))
            step(gateway)

        return act

    broker: list[BridgeBroker] = []
    strategy = run([buy(4.0), sell(6.0), buy(2.0)], map(noted, steps), prepare=broker.append)
    found = [(held.size, held.price) for held in seen] + [position(strategy)]
    assert found == [(0, 0), (2, 100), (4, 105), (3, 105), (-2, 90), (-1, 90), (0, 0)]
    closed = [trade.pnl for trade in strategy.trades if trade.isclosed]
    assert closed == pytest.approx([15.0 - 45.0, 20.0])


class FakeData:
    _clone = False

    def __init__(self, key: str) -> None:
        self.holding = key


def test_a_fee_is_split_between_what_a_fill_closed_and_what_it_opened():
    strategy = run([buy(1.0), sell(4.0)], [fill("1", "100", "0.5", 0), fill("-4", "110", "2.0", 1)])
    (bit,) = strategy.orders[1].executed.exbits
    assert (bit.closed, bit.opened) == (-1.0, -3.0)
    assert (bit.closedcomm, bit.openedcomm) == (0.5, 1.5)
    assert strategy.orders[1].executed.comm == 2.0
    assert bit.pnl == 10.0
    assert [trade.commission for trade in strategy.trades if trade.isclosed] == [1.0]


def test_a_fill_is_stamped_with_the_venues_time():
    strategy = run([buy(1.0)], [fill("1")])
    assert num_to_ms(strategy.orders[0].executed.dt) == 5_000


def test_a_fill_that_no_strategy_ordered_moves_the_position_only():
    strategy = run([], [foreign_fill("A", "-2", "90")])
    assert strategy.told == []
    assert position(strategy) == (-2.0, 90.0)


def test_a_fill_of_an_order_of_another_process_moves_the_position_only():
    late = OrderUpdate(UpdateKind.FILL, 987_654, "A", Decimal(2), Decimal(90))
    strategy = run([], [lambda gateway: gateway.updates.append(late)])
    assert strategy.told == []
    assert position(strategy) == (2.0, 90.0)


def test_every_feed_has_a_position_of_its_own():
    strategy = run([buy(3.0), sell(2.0, 1)], [fill("3", which=0), fill("-2", which=1)], symbols="AB")
    assert [position(strategy, number)[0] for number in (0, 1)] == [3.0, -2.0]


def test_a_position_from_before_is_restored_and_closed_with_its_profit():
    strategy = run([sell(2.0)], [fill("-2", "90")], prepare=lambda broker: broker.restore("A", Decimal(2), Decimal(80)))
    assert position(strategy) == (0.0, 0.0)
    assert strategy.orders[0].executed.pnl == 20.0


def test_who_asks_for_a_position_gets_a_copy():
    strategy = run([buy(1.0)], [fill("1")])
    strategy.broker.getposition(strategy.data).size = 99.0
    assert position(strategy) == (1.0, 100.0)
    assert strategy.broker.getposition(strategy.data, clone=False).size == 1.0


def test_cash_and_value_are_the_gateways_cached_figures():
    gateway = FakeGateway()
    broker = BridgeBroker(gateway)
    assert (broker.getcash(), broker.getvalue(), broker.startingcash) == (1000.0, 1250.0, 1000.0)
    gateway.cash = CashView(900.0, 1300.0)
    assert (broker.getcash(), broker.getvalue(), broker.startingcash) == (900.0, 1300.0, 1000.0)


@given(st.lists(st.tuples(st.integers(-40, 40).filter(bool), st.integers(50, 150)), min_size=1, max_size=12))
@settings(deadline=None, max_examples=60)
def test_a_position_is_the_sum_of_its_fills_and_nothing_when_they_cancel_out(fills):
    gateway = FakeGateway()
    broker = BridgeBroker(gateway)
    total = Decimal(0)
    for tenths, price in fills:
        amount = Decimal(tenths) / 10
        total += amount
        gateway.updates.append(OrderUpdate(UpdateKind.FILL, None, "A", amount, Decimal(price)))
        broker.next()
        held = broker.getposition(FakeData("A"))
        assert held.size == pytest.approx(float(total), abs=1e-12)
        assert bool(held) == bool(total)
        assert (held.price > 0) == bool(total)


# what exchanges have, and what they do not


def test_an_order_takes_the_size_that_was_sent_and_completes_by_it():
    strategy = run([buy(0.1239)], [tell(UpdateKind.ACCEPTED, amount=Decimal("0.123")), fill("0.123")])
    assert strategy.told == ["Submitted 0", "Accepted 0", "Completed 0.123"]
    assert (strategy.orders[0].size, strategy.orders[0].executed.remsize) == (0.123, 0.0)


def test_the_exchange_may_call_an_order_complete_that_filled_less():
    strategy = run([sell(3.0)], [fill("-1"), tell(UpdateKind.COMPLETED)])
    assert strategy.told == ["Submitted 0", "Partial -1", "Completed -1"]


def test_a_fee_in_the_coin_is_missing_from_the_position():
    update = {"amount": Decimal(1), "price": Decimal(100), "fee": Decimal("0.1"), "base_fee": Decimal("0.001")}
    strategy = run([buy(1.0)], [tell(UpdateKind.FILL, **update)])
    assert position(strategy) == (0.999, 100.0)
    assert strategy.told[-1] == "Completed 1"


class Asks(Trader):
    """Sends one order with these words on its first bar."""

    params: Any = (("words", {}),)

    def next(self) -> None:
        if len(self) == 1:
            self.orders = [self.buy(size=1.0, **self.p.words)]


def asked(refused: list | None = None, **words: Any) -> Any:
    """A strategy that ordered with these words on a bar of 01:00 of the first day, closing at 100."""
    gateway, board = FakeGateway(), board_of("A", history=1)
    broker = BridgeBroker(gateway, lambda order, reason: (refused if refused is not None else []).append(reason))
    board.hub.script = [lambda: None]
    cerebro = cerebro_on(board, "A", Asks, words=words)
    cerebro.setbroker(broker)
    (strategy,) = cerebro.run()
    strategy.gateway = gateway
    return strategy


@pytest.mark.parametrize(
    ("words", "type_", "price", "trigger"),
    [
        ({}, "market", None, None),
        ({"exectype": bt.Order.Market, "price": 5.0}, "market", None, None),
        ({"exectype": bt.Order.Limit, "price": 95.0}, "limit", 95.0, None),
        ({"exectype": bt.Order.Limit}, "limit", 100.0, None),
        ({"exectype": bt.Order.Stop, "price": 105.0}, "stop", None, 105.0),
        ({"exectype": bt.Order.StopLimit, "price": 105.0, "plimit": 106.0}, "stop_limit", 106.0, 105.0),
    ],
)
def test_every_order_type_that_exchanges_have_reaches_the_gateway(words, type_, price, trigger):
    (ticket,) = asked(**words).gateway.tickets
    assert (ticket.terms.type, ticket.terms.price, ticket.terms.trigger_price) == (type_, price, trigger)
    assert ticket.terms.valid_until_ms is None


HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("valid", "until_ms"),
    [
        (None, None),
        (datetime(1970, 1, 2, 3), DAY_MS + 3 * HOUR_MS),
        (date(1970, 1, 3), 2 * DAY_MS),
        (timedelta(minutes=90), HOUR_MS + 90 * 60_000),
        (timedelta(0), DAY_MS),
        (0, DAY_MS),
        (bt.date2num(datetime(1970, 1, 5)), 4 * DAY_MS),
    ],
)
def test_a_lifetime_is_a_moment_a_time_from_the_bar_on_or_the_bars_day(valid, until_ms):
    (ticket,) = asked(exectype=bt.Order.Limit, price=95.0, valid=valid).gateway.tickets
    assert ticket.terms.valid_until_ms == until_ms


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"exectype": bt.Order.Close}, "Close orders do not exist"),
        ({"exectype": bt.Order.StopTrail, "trailamount": 1.0}, "StopTrail orders do not exist"),
        ({"exectype": bt.Order.StopTrailLimit, "trailpercent": 0.1, "plimit": 3.0}, "StopTrailLimit orders do not"),
        ({"trailamount": 1.0}, "trailing orders do not exist"),
        ({"oco": object()}, "oco: the exchange does not tie"),
        ({"transmit": False}, "bracket orders: the exchange does not tie"),
        ({"parent": object()}, "bracket orders: the exchange does not tie"),
        ({"exectype": bt.Order.Limit, "price": 0.0}, "price is 0.0; it must be a number above 0"),
        ({"exectype": bt.Order.Limit, "price": float("nan")}, "price is nan; it must be a number above 0"),
        ({"exectype": bt.Order.Stop, "price": -1}, "price is -1; it must be"),
        ({"exectype": bt.Order.StopLimit, "price": 105.0, "plimit": 0.0}, "plimit is 0.0; it must be"),
        ({"exectype": bt.Order.StopLimit, "price": 105.0}, "needs price, where it is triggered, and plimit"),
        ({"exectype": bt.Order.StopLimit, "plimit": 105.0}, "needs price, where it is triggered, and plimit"),
    ],
)
def test_what_exchanges_do_not_have_is_rejected_with_the_reason_and_never_sent(words, why):
    refused: list[str] = []
    strategy = asked(refused, **words)
    assert strategy.gateway.tickets == []
    assert strategy.told == ["Submitted 0", "Rejected 0"]
    assert why in strategy.orders[0].info["reason"]
    assert refused == [strategy.orders[0].info["reason"]]


def test_all_three_orders_of_a_bracket_are_rejected():
    def bracket(strategy):
        return strategy.buy_bracket(size=1.0, price=95.0, stopprice=90.0, limitprice=105.0)

    strategy = run([bracket], [])
    assert [word for word in strategy.told if word.startswith("Rejected")] == ["Rejected 0"] * 3
    assert strategy.gateway.tickets == []


def test_why_the_gateway_refused_stands_in_the_order():
    refused: list[str] = []
    strategy = run(
        [buy(3.0)],
        [tell(UpdateKind.MARGIN, reason="no money")],
        prepare=lambda broker: setattr(broker, "_on_refused", lambda order, reason: refused.append(reason)),
    )
    assert strategy.orders[0].info["reason"] == "no money"
    assert refused == ["no money"]


def test_a_resampled_data_trades_what_it_was_made_of():
    gateway, board = FakeGateway(), board_of("A", history=4)
    board.end()

    class BuysTheClone(bt.Strategy):
        def next(self) -> None:
            if not gateway.tickets:
                self.buy(data=self.datas[1], size=2.0)

    cerebro = cerebro_on(board, "A", BuysTheClone)
    cerebro.resampledata(cerebro.datas[0], timeframe=bt.TimeFrame.Minutes, compression=120)
    cerebro.setbroker(BridgeBroker(gateway))
    (strategy,) = cerebro.run()
    assert [(ticket.key, ticket.symbol) for ticket in gateway.tickets] == [("A", "A")]
    gateway.updates.append(OrderUpdate(UpdateKind.FILL, None, "A", Decimal(2), Decimal(90)))
    strategy.broker.next()
    assert [strategy.getposition(data).size for data in strategy.datas] == [2.0, 2.0]
