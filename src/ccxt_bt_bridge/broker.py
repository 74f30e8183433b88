"""The broker that Backtrader sees live: single orders in, notifications out, every read from a cache.

Orders leave through an ``OrderGateway``; what becomes of them comes back as ``OrderUpdate`` values, drained in
``next`` on Backtrader's thread. A fill is applied once: the gateway counts by trade id.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol

import backtrader as bt

from ccxt_bt_bridge.bt_time import ms_to_num
from ccxt_bt_bridge.order_terms import ORDER_WORDS, OrderTerms, new_order, order_terms, refusal

DUST = 1e-9  # of a size; no venue's step is so small a part of an order


@dataclass(frozen=True, slots=True)
class OrderTicket:
    """One Backtrader order as handed to the gateway. ``amount`` is signed; ``info`` is what the caller passed along."""

    ref: int
    key: object
    symbol: str
    amount: float
    info: dict[str, Any] = field(default_factory=dict)
    terms: OrderTerms = OrderTerms()


class UpdateKind(Enum):
    ACCEPTED = "accepted"
    FILL = "fill"
    COMPLETED = "completed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    MARGIN = "margin"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """What happened to an order. ``ref`` None: a fill that no strategy ordered (an unwind); it moves the position only.

    ``amount`` is signed: of a fill, or with ACCEPTED the whole order's as it was sent (on the venue's step).
    ``fee`` in quote currency, positive when paid; ``base_fee``: its part that is missing from what was bought, in base
    units. ``reason``: why it was refused or has ended.
    """

    kind: UpdateKind
    ref: int | None
    key: object
    amount: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    time_ms: int = 0
    base_fee: Decimal = Decimal(0)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CashView:
    """Cached account figures in quote currency."""

    cash: float
    value: float


class OrderGateway(Protocol):
    """Where a broker's orders go. ``submit`` and ``cancel`` return at once; nothing here blocks."""

    updates: deque[OrderUpdate]

    def submit(self, ticket: OrderTicket) -> None: ...

    def cancel(self, ref: int) -> None: ...

    def cash_view(self) -> CashView: ...


def _say_nothing(order: bt.Order, reason: str) -> None:
    """For those who read the reason from the order alone."""


class BridgeBroker(bt.BrokerBase):
    """Backtrader's live broker over a gateway. ``on_refused`` is told of every order that was not taken, and why."""

    def __init__(self, gateway: OrderGateway, on_refused: Callable[[bt.Order, str], None] = _say_nothing) -> None:
        super().__init__()
        self._on_refused = on_refused
        self._orders: dict[int, bt.Order] = {}
        self._held: dict[object, Decimal] = {}
        self._positions: dict[object, bt.Position] = {}  # the sums in floats, as Backtrader's trades make them
        self._notifications: deque[bt.Order] = deque()
        self.connect(gateway)

    def connect(self, gateway: OrderGateway) -> None:
        """Orders go to this gateway from now on, and its cash is what the run begins with."""
        self._gateway = gateway
        self.startingcash = gateway.cash_view().cash

    def getcash(self) -> float:
        return self._gateway.cash_view().cash

    def getvalue(self, datas: Any = None) -> float:
        return self._gateway.cash_view().value

    def getposition(self, data: Any, clone: bool = True) -> bt.Position:
        """Exact: the float of the decimal sum of all fills. Always a copy."""
        key = _feed_of(data).holding
        return bt.Position(size=float(self._held.get(key, 0)), price=self._position(key).price)

    def restore(self, key: object, amount: Decimal, price: Decimal) -> None:
        """A position that existed before this process."""
        self._held[key] = amount
        self._positions[key] = bt.Position(size=float(amount), price=float(price))

    def get_notification(self) -> bt.Order | None:
        return self._notifications.popleft() if self._notifications else None

    def buy(self, owner: Any, data: Any, size: float, **kwargs: Any) -> bt.Order:
        return self._place(bt.BuyOrder, owner, data, size, kwargs)

    def sell(self, owner: Any, data: Any, size: float, **kwargs: Any) -> bt.Order:
        return self._place(bt.SellOrder, owner, data, size, kwargs)

    def cancel(self, order: bt.Order) -> None:
        self._gateway.cancel(order.ref)

    def next(self) -> None:
        updates = self._gateway.updates
        while updates:
            self._apply(updates.popleft())

    def _place(self, kind: Any, owner: Any, data: Any, size: float, kwargs: dict[str, Any]) -> bt.Order:
        asked = {name: kwargs.pop(name, None) for name in ORDER_WORDS}
        order, feed = new_order(kind, owner, data, size, asked), _feed_of(data)
        order.addinfo(**kwargs)
        order.addcomminfo(self.getcommissioninfo(data))
        self._orders[order.ref] = order
        order.submit(self)
        self._tell(order)
        reason = refusal(asked)
        if reason is not None:
            self._apply(OrderUpdate(UpdateKind.REJECTED, order.ref, feed.holding, reason=reason))
        else:
            terms = order_terms(order, asked)
            self._gateway.submit(OrderTicket(order.ref, feed.holding, feed.symbol, order.size, dict(kwargs), terms))
        return order

    def _apply(self, update: OrderUpdate) -> None:
        order = self._orders.get(update.ref) if update.ref is not None else None
        if update.kind is UpdateKind.FILL:
            self._apply_fill(order, update)
        elif order is not None:
            self._mark(order, update)
        if order is None:
            return
        self._tell(order)
        if not order.alive():
            self._orders.pop(order.ref, None)

    def _mark(self, order: bt.Order, update: OrderUpdate) -> None:
        if update.kind is UpdateKind.ACCEPTED and update.amount:
            order.size = order.created.size = order.executed.remsize = float(update.amount)
        if update.reason:
            order.addinfo(reason=update.reason)
        _MARK[update.kind](order, self)
        if update.kind in (UpdateKind.REJECTED, UpdateKind.MARGIN):
            self._on_refused(order, update.reason)

    def _apply_fill(self, order: bt.Order | None, update: OrderUpdate) -> None:
        amount, price, fee = float(update.amount), float(update.price), float(update.fee)
        position, held = self._position(update.key), self._held.get(update.key, Decimal(0)) + update.amount
        self._held[update.key] = held - update.base_fee
        # Fills of 0.1, three times, are not 0.3 in floats: dust would keep a closed position's trade open.
        if not held:
            amount = -position.size
        entry_price = position.price
        size, average, opened, closed = position.update(amount, price)
        if update.base_fee:
            position.size -= float(update.base_fee)
        if order is None:
            return
        share = abs(closed) / abs(amount)
        profit = -closed * (price - entry_price)
        order.execute(
            ms_to_num(update.time_ms), amount, price, closed, closed * price, fee * share, opened, opened * price,
            fee * (1.0 - share), 0.0, profit, size, average,
        )  # fmt: skip
        if math.isclose(order.executed.size, order.size, rel_tol=DUST):
            _complete(order, self)

    def _position(self, key: object) -> bt.Position:
        return self._positions.setdefault(key, bt.Position())

    def _tell(self, order: bt.Order) -> None:
        self._notifications.append(order.clone())


def _feed_of(data: Any) -> Any:
    """A resampled or cloned data trades what it was made of."""
    return data.data if data._clone else data


def _complete(order: bt.Order, broker: BridgeBroker) -> None:
    order.executed.remsize = 0.0
    order.completed()


_MARK = {
    UpdateKind.ACCEPTED: lambda order, broker: order.accept(broker),
    UpdateKind.COMPLETED: _complete,
    UpdateKind.CANCELED: lambda order, broker: order.cancel(),
    UpdateKind.EXPIRED: lambda order, broker: setattr(order, "status", bt.Order.Expired),
    UpdateKind.MARGIN: lambda order, broker: order.margin(),
    UpdateKind.REJECTED: lambda order, broker: order.reject(broker),
}
