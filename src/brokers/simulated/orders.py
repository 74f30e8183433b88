"""Orders as the simulated exchange keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from brokers.fills import quantise
from brokers.simulated.ledger import ZERO
from ccxt_bt_bridge.words import Fill, OrderReport, OrderRequest, OrderStatus

STOPS = ("stop", "stop_limit")
LIMITS = ("limit", "stop_limit")


@dataclass(slots=True)
class Order:
    """``value``: Σ amount · price of what filled; ``created_ms``: when it was taken; ``time_ms``: of the last change.

    ``is_triggered``: a stop whose trigger price has been reached.
    """

    order_id: int
    request: OrderRequest
    created_ms: int
    time_ms: int
    status: OrderStatus = OrderStatus.OPEN
    filled: Decimal = ZERO
    value: Decimal = ZERO
    is_triggered: bool = False

    @property
    def is_open(self) -> bool:
        return not self.status.is_done

    @property
    def remaining(self) -> Decimal:
        return max(self.request.amount - self.filled, ZERO)

    @property
    def waits_for_trigger(self) -> bool:
        return self.request.type in STOPS and not self.is_triggered

    @property
    def may_rest(self) -> bool:
        """True when what does not fill at once stays in the book."""
        return self.request.type in LIMITS and self.request.time_in_force in ("GTC", "PO")

    def reserved_price(self, valuation: Decimal | None) -> Decimal:
        """The price at which an open order counts against margin or balance."""
        return self.request.price or self.request.trigger_price or valuation or ZERO

    def fill(self, fill: Fill) -> None:
        self.filled += fill.amount
        self.value += fill.amount * fill.price
        self.time_ms = fill.time_ms

    def end(self, status: OrderStatus, time_ms: int) -> None:
        self.status, self.time_ms = status, time_ms

    def report(self) -> OrderReport:
        request = self.request
        average = quantise(self.value / self.filled) if self.filled else None
        ids = (request.client_order_id, str(self.order_id), request.symbol, request.side)
        return OrderReport(*ids, self.status, request.amount, self.filled, average, self.time_ms)
