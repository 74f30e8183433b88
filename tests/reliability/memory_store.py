"""What the exchange remembers, without a file: the exchange is not what dies in these proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from brokers.simulated.ledger import Position, Totals
from brokers.simulated.orders import Order
from brokers.simulated.store import Remembered
from ccxt_bt_bridge.words import Fill, FundingPayment, OrderRequest


class MemoryStore:
    """An ``ExchangeStore`` of one run that lasts as long as the object. ``on_fill`` hears each trade as it happens."""

    run = 1

    def __init__(self) -> None:
        self.market_ms: int | None = None
        self.ended = False
        self.orders: dict[int, OrderRequest] = {}
        self.on_fill: Callable[[Fill], None] = lambda fill: None
        self._totals = Totals(Decimal(0))

    @property
    def placed(self) -> list[str]:
        """Client order ids of every order that the exchange ever took."""
        return [request.client_order_id for request in self.orders.values()]

    def begin(self, *, market_ms: int, initial: Decimal) -> None:
        self.market_ms, self._totals = market_ms, Totals(initial)

    def load(self) -> Remembered:
        assert self.market_ms is not None
        return Remembered(self.market_ms, self._totals, (), {}, {}, (), (), frozenset(), ())

    def last_ids(self) -> tuple[int, int]:
        return 0, 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def save_order(self, order: Order) -> None:
        self.orders[order.order_id] = order.request

    def save_fill(self, fill: Fill, *, is_maker: bool) -> None:
        self.on_fill(fill)

    def save_payment(self, payment: FundingPayment) -> None:
        """The venue keeps them itself."""

    def save_position(self, position: Position) -> None:
        """The account keeps them itself."""

    def save_totals(self, totals: Totals) -> None:
        self._totals = totals

    def save_balance(self, asset: str, total: Decimal) -> None:
        """The account keeps them itself."""

    def save_setting(self, name: str, value: str) -> None:
        """The book of settings keeps them itself."""

    def save_market_time(self, market_ms: int, *, ended: bool) -> None:
        self.market_ms, self.ended = market_ms, ended

    def fault_counts(self) -> dict[int, tuple[int, int]]:
        return {}

    def save_fault_count(self, index: int, calls: int, fired: int) -> None:
        """The plan keeps them itself."""

    def close(self) -> None:
        """There is nothing to let go of."""
