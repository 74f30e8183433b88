"""The orders under way and what was counted of them: exchange's words in, Backtrader's updates out. No I/O, no waiting.

Every order is told as accepted before anything else of it, every fill once, and the end only when all its fills were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ccxt_bt_bridge.broker import OrderTicket, OrderUpdate, UpdateKind
from ccxt_bt_bridge.words import Fill, OrderReport, OrderRequest, OrderStatus

ENDS = {
    OrderStatus.CLOSED: UpdateKind.COMPLETED,
    OrderStatus.CANCELED: UpdateKind.CANCELED,
    OrderStatus.EXPIRED: UpdateKind.EXPIRED,
    OrderStatus.REJECTED: UpdateKind.REJECTED,
}


@dataclass(slots=True, eq=False)
class LedgerOrder:
    """An order that was sent. ``filled``: what was counted; ``report``: the last that the exchange said of it."""

    ticket: OrderTicket
    request: OrderRequest
    sent_ms: int
    report: OrderReport | None = None
    filled: Decimal = Decimal(0)
    is_accepted: bool = False
    is_expiring: bool = False
    is_over: bool = False

    @property
    def client_order_id(self) -> str:
        return self.request.client_order_id

    @property
    def lacks_fills(self) -> bool:
        """The exchange has filled more than was counted."""
        return self.report is not None and self.report.filled > self.filled

    @property
    def is_done_there(self) -> bool:
        """Nothing more will happen to it at the exchange."""
        return self.report is not None and self.report.status.is_done


class OrderLedger:
    """``publish`` gets the updates; ``on_over`` each order once it has been told to its end."""

    def __init__(self, publish: Callable[[OrderUpdate], None], on_over: Callable[[LedgerOrder], None]) -> None:
        self.held: dict[str, Decimal] = {}
        self._publish, self._on_over = publish, on_over
        self._orders: dict[str, LedgerOrder] = {}
        self._by_ref: dict[int, LedgerOrder] = {}
        self._trades: set[tuple[str, str]] = set()

    @property
    def orders(self) -> tuple[LedgerOrder, ...]:
        """Those under way."""
        return tuple(self._orders.values())

    def by_ref(self, ref: int) -> LedgerOrder | None:
        return self._by_ref.get(ref)

    def begin(self, held: Mapping[str, Decimal], fills: Iterable[Fill]) -> None:
        """The holdings from before, and fills that are in them already."""
        self.held = dict(held)
        self._trades.update(map(_trade, fills))

    def open(self, ticket: OrderTicket, request: OrderRequest, now_ms: int) -> LedgerOrder:
        """Before it is sent: what the exchange says may be here before its answer."""
        order = LedgerOrder(ticket, request, now_ms)
        self._orders[request.client_order_id] = self._by_ref[ticket.ref] = order
        return order

    def take_report(self, report: OrderReport) -> LedgerOrder | None:
        """The order, when it is one of ours and the report is news."""
        order = self._orders.get(report.client_order_id)
        if order is None or _is_older(report, order.report):
            return None
        order.report = report
        if report.status is not OrderStatus.REJECTED:
            self._accept(order)
        self._end_if_told(order)
        return order

    def book(self, fill: Fill) -> bool:
        """Count a fill, whoever told it and whoever ordered it. False when it was counted before."""
        if _trade(fill) in self._trades:
            return False
        self._trades.add(_trade(fill))
        self.held[fill.symbol] = self.held.get(fill.symbol, Decimal(0)) + fill.position_change
        order = self._orders.get(fill.client_order_id)
        if order is not None:
            self._accept(order)
            order.filled += fill.amount
        self._publish(_fill_update(fill, order))
        if order is not None:
            self._end_if_told(order)
        return True

    def correct(self, symbol: str, amount: Decimal, price: Decimal, time_ms: int) -> Decimal:
        """The exchange holds ``amount``: move the position there without an order. By how much it moved."""
        change = amount - self.held.get(symbol, Decimal(0))
        self.held[symbol] = amount
        if change:
            self._publish(OrderUpdate(UpdateKind.FILL, None, symbol, change, price, time_ms=time_ms))
        return change

    def end(self, order: LedgerOrder, kind: UpdateKind, reason: str = "") -> None:
        """Nothing more is to be told of this order."""
        if order.is_over:
            return
        order.is_over = True
        del self._orders[order.client_order_id], self._by_ref[order.ticket.ref]
        self._publish(OrderUpdate(kind, order.ticket.ref, order.ticket.key, reason=reason))
        self._on_over(order)

    def _accept(self, order: LedgerOrder) -> None:
        if not order.is_accepted:
            order.is_accepted = True
            ticket, amount = order.ticket, order.request.signed_amount
            self._publish(OrderUpdate(UpdateKind.ACCEPTED, ticket.ref, ticket.key, amount))

    def _end_if_told(self, order: LedgerOrder) -> None:
        if order.report is None or not order.is_done_there or order.lacks_fills:
            return
        kind = ENDS[order.report.status]
        if kind is UpdateKind.CANCELED and order.is_expiring:
            kind = UpdateKind.EXPIRED
        self.end(order, kind)


def _trade(fill: Fill) -> tuple[str, str]:
    """A venue counts its trades by symbol."""
    return fill.symbol, fill.trade_id


def _is_older(report: OrderReport, known: OrderReport | None) -> bool:
    return known is not None and _age(report) <= _age(known)


def _age(report: OrderReport) -> tuple[Decimal, bool, int]:
    """What has filled stays filled and what is done stays done, whatever a late answer's time says."""
    return report.filled, report.status.is_done, report.time_ms


def _fill_update(fill: Fill, order: LedgerOrder | None) -> OrderUpdate:
    ref, key = (None, fill.symbol) if order is None else (order.ticket.ref, order.ticket.key)
    return OrderUpdate(
        UpdateKind.FILL, ref, key, fill.signed_amount, fill.price, fill.fee, fill.time_ms, base_fee=fill.base_fee
    )
