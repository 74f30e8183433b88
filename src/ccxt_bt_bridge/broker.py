"""The broker that Backtrader sees live: single orders in, notifications out, every read from a cache.

Orders leave through an ``OrderGateway``; what becomes of them comes back as ``OrderUpdate`` values, drained in
``next`` on Backtrader's thread. A fill is applied once: the gateway counts by trade id.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol

import backtrader as bt

from ccxt_bt_bridge.bt_time import ms_to_num

DUST = 1e-9  # of a size; no venue's step is so small a part of an order


@dataclass(frozen=True, slots=True)
class OrderTicket:
    """One Backtrader order as handed to the gateway. ``amount`` is signed; ``info`` is what the caller passed along."""

    ref: int
    key: object
    symbol: str
    amount: float
    info: dict[str, Any] = field(default_factory=dict)


class UpdateKind(Enum):
    ACCEPTED = "accepted"
    FILL = "fill"
    CANCELED = "canceled"
    EXPIRED = "expired"
    MARGIN = "margin"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """What happened to an order. ``ref`` None: a fill that no strategy ordered (an unwind); it moves the position only.

    ``amount`` is signed, ``fee`` positive when paid, both only for fills.
    """

    kind: UpdateKind
    ref: int | None
    key: object
    amount: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    time_ms: int = 0


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


class BridgeBroker(bt.BrokerBase):
    """Backtrader's live broker over a gateway."""

    def __init__(self, gateway: OrderGateway) -> None:
        super().__init__()
        self._gateway = gateway
        self._orders: dict[int, bt.Order] = {}
        self._positions: dict[object, bt.Position] = {}
        self._notifications: deque[bt.Order] = deque()
        self.startingcash = gateway.cash_view().cash

    def getcash(self) -> float:
        return self._gateway.cash_view().cash

    def getvalue(self, datas: Any = None) -> float:
        return self._gateway.cash_view().value

    def getposition(self, data: Any, clone: bool = True) -> bt.Position:
        position = self._position(data.p.key)
        return position.clone() if clone else position

    def restore(self, key: object, amount: float, price: float) -> None:
        """A position that existed before this process."""
        self._positions[key] = bt.Position(size=amount, price=price)

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
        known = {name: kwargs.pop(name) for name in _ORDER_FIELDS if name in kwargs}
        for name in _UNUSED_FIELDS:
            kwargs.pop(name, None)
        order = kind(owner=owner, data=data, size=size, simulated=False, **known)
        order.addinfo(**kwargs)
        order.addcomminfo(self.getcommissioninfo(data))
        self._orders[order.ref] = order
        order.submit(self)
        self._tell(order)
        self._gateway.submit(OrderTicket(order.ref, data.p.key, data._name, order.size, dict(kwargs)))
        return order

    def _apply(self, update: OrderUpdate) -> None:
        order = self._orders.get(update.ref) if update.ref is not None else None
        if update.kind is UpdateKind.FILL:
            self._apply_fill(order, update)
        elif order is not None and order.alive():
            _MARK[update.kind](order, self)
        if order is None:
            return
        self._tell(order)
        if not order.alive():
            self._orders.pop(order.ref, None)

    def _apply_fill(self, order: bt.Order | None, update: OrderUpdate) -> None:
        amount, price, fee = float(update.amount), float(update.price), float(update.fee)
        position = self._position(update.key)
        # Fills of 0.1, three times, are not 0.3 in floats: dust would keep a closed position and its trade open.
        if math.isclose(-amount, position.size, rel_tol=DUST):
            amount = -position.size
        entry_price = position.price
        size, average, opened, closed = position.update(amount, price)
        if order is None:
            return
        share = abs(closed) / abs(amount)
        profit = -closed * (price - entry_price)
        order.execute(
            ms_to_num(update.time_ms), amount, price, closed, closed * price, fee * share, opened, opened * price,
            fee * (1.0 - share), 0.0, profit, size, average,
        )  # fmt: skip
        if math.isclose(order.executed.size, order.size, rel_tol=DUST):
            order.executed.remsize = 0.0
            order.completed()

    def _position(self, key: object) -> bt.Position:
        return self._positions.setdefault(key, bt.Position())

    def _tell(self, order: bt.Order) -> None:
        self._notifications.append(order.clone())


_ORDER_FIELDS = ("price", "exectype", "valid", "tradeid")
_UNUSED_FIELDS = ("plimit", "oco", "trailamount", "trailpercent", "parent", "transmit")
_MARK = {
    UpdateKind.ACCEPTED: lambda order, broker: order.accept(broker),
    UpdateKind.CANCELED: lambda order, broker: order.cancel(),
    UpdateKind.EXPIRED: lambda order, broker: setattr(order, "status", bt.Order.Expired),
    UpdateKind.MARGIN: lambda order, broker: order.margin(),
    UpdateKind.REJECTED: lambda order, broker: order.reject(broker),
}
