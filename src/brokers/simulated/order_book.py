"""Every order of the account, open and done, and the ways to find one."""

from __future__ import annotations

from collections.abc import Iterable

from brokers.simulated.orders import Order


class OrderBook:
    """Oldest first. A client id stands for the latest order that bore it."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._by_id: dict[int, Order] = {}
        self._latest: dict[str, Order] = {}
        self.open: dict[int, Order] = {}
        for order in orders:
            self.keep(order)

    def keep(self, order: Order) -> None:
        """A new order, or what became of one."""
        self._by_id[order.order_id] = self._latest[order.request.client_order_id] = order
        if order.is_open:
            self.open[order.order_id] = order
        else:
            self.open.pop(order.order_id, None)

    def by_id(self, order_id: int | str) -> Order | None:
        return self._by_id.get(int(order_id))

    def latest(self, symbol: str, client_order_id: str) -> Order | None:
        order = self._latest.get(client_order_id)
        return order if order is not None and order.request.symbol == symbol else None

    def is_taken(self, client_order_id: str) -> bool:
        """True while an open order bears the id: it may be used again once that order is done."""
        order = self._latest.get(client_order_id)
        return order is not None and order.is_open

    def of(self, symbol: str) -> list[Order]:
        return [order for order in self._by_id.values() if order.request.symbol == symbol]

    def open_of(self, symbol: str) -> list[Order]:
        return [order for order in self.open.values() if order.request.symbol == symbol]
