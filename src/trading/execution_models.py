"""The words of ``ExecutionEngine`` and ``OrderManager``: modes and single orders. Frozen values, floats for people."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum, StrEnum

from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.words import Fill, OrderReport, OrderRequest, OrderStatus, Side
from trading.events import OrderFinished, OrderSent


class ExecutionMode(Enum):
    """PAPER: nothing real is touched. DEMO: an exchange's test network. LIVE: real money."""

    PAPER = "paper"
    DEMO = "demo"
    LIVE = "live"


class ExecutionStatus(StrEnum):
    PENDING = "pending"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_done(self) -> bool:
        return self in (self.FILLED, self.CANCELLED, self.EXPIRED, self.REJECTED)


ENDS = {
    OrderStatus.CLOSED: ExecutionStatus.FILLED,
    OrderStatus.CANCELED: ExecutionStatus.CANCELLED,
    OrderStatus.EXPIRED: ExecutionStatus.EXPIRED,
    OrderStatus.REJECTED: ExecutionStatus.REJECTED,
}


@dataclass(frozen=True, slots=True)
class ExecutionOrder:
    """One order, as it was wanted and as it is known to be. ``side`` BUY or SELL, ``order_type`` MARKET or LIMIT.

    ``quantity`` in base units, ``price`` of a limit order in quote currency. ``timeout_seconds``: cancelled when it
    works for longer, None: never. ``order_id`` is the exchange's, empty until it is known; ``client_order_id`` ours.
    ``reference_price``: what the order was decided on. Times in ms UTC. Raises ``ValueError`` for an unknown word
    and for what is no positive number.
    """

    symbol: str
    side: str
    quantity: float
    order_type: str = "MARKET"
    price: float | None = None
    reduce_only: bool = False
    timeout_seconds: float | None = None
    order_id: str = ""
    client_order_id: str = ""
    status: ExecutionStatus = ExecutionStatus.PENDING
    filled_quantity: float = 0.0
    average_filled_price: float | None = None
    reference_price: float | None = None
    exchange: str = ""
    created_ms: int | None = None
    finished_ms: int | None = None
    error: str = ""

    def __post_init__(self) -> None:
        if self.side.upper() not in ("BUY", "SELL"):
            raise ValueError(f"side {self.side!r}: wanted BUY or SELL")
        if self.order_type.upper() not in ("MARKET", "LIMIT"):
            raise ValueError(f"order_type {self.order_type!r}: wanted MARKET or LIMIT")
        for name, value in (("quantity", self.quantity), ("price", self.price)):
            if not (isinstance(value, int | float) and 0.0 < value < math.inf) and (name, value) != ("price", None):
                raise ValueError(f"{name} {value!r}: wanted a positive number")
        if (self.order_type.upper() == "LIMIT") != (self.price is not None):
            raise ValueError(f"price {self.price}: a LIMIT order needs one, a MARKET order takes none")

    @property
    def sign(self) -> int:
        return 1 if self.side.upper() == "BUY" else -1

    @property
    def slippage_pct(self) -> float | None:
        """Of the reference price, positive when it cost; None where nothing is known of it."""
        if not self.average_filled_price or not self.reference_price:
            return None
        return 100.0 * self.sign * (self.average_filled_price / self.reference_price - 1.0)

    @property
    def latency_ms(self) -> int | None:
        """From just before it was sent to when its end was known."""
        if self.created_ms is None or self.finished_ms is None:
            return None
        return self.finished_ms - self.created_ms

    def request(self, symbol: str, amount: Decimal) -> OrderRequest:
        """What is sent, by the port's own symbol and on its step."""
        return OrderRequest(
            client_order_id=self.client_order_id,
            symbol=symbol,
            side=Side(self.side.lower()),
            amount=amount,
            type=self.order_type.lower(),
            price=None if self.price is None else Decimal(str(self.price)),
            reduce_only=self.reduce_only,
        )

    # what becomes of it

    def reported(self, report: OrderReport) -> ExecutionOrder:
        """As the exchange says; what has filled stays filled, whatever a late report says."""
        filled = max(self.filled_quantity, float(report.filled))
        status = ENDS.get(report.status, ExecutionStatus.PARTIALLY_FILLED if filled else ExecutionStatus.OPEN)
        known = replace(self, order_id=report.order_id, filled_quantity=filled)
        if report.average is not None:
            known = replace(known, average_filled_price=float(report.average))
        if self.status.is_done:
            return known
        return replace(known, status=status, finished_ms=report.time_ms if status.is_done else None)

    def filled_by(self, fill: Fill) -> ExecutionOrder:
        before, amount = self.filled_quantity, float(fill.amount)
        cost = before * (self.average_filled_price or 0.0) + amount * float(fill.price)
        return replace(
            self,
            order_id=fill.order_id,
            status=ExecutionStatus.PARTIALLY_FILLED,
            filled_quantity=before + amount,
            average_filled_price=cost / (before + amount),
        )

    def refused(self, reason: str, when_ms: int) -> ExecutionOrder:
        return replace(self, status=ExecutionStatus.REJECTED, error=reason, finished_ms=when_ms)


def sent_order(event: OrderSent, exchange: str) -> ExecutionOrder:
    """An order of the engine that is about to be sent."""
    intent = event.intent
    return ExecutionOrder(
        symbol=intent.symbol,
        side=intent.side.name,
        quantity=float(intent.amount),
        reduce_only=intent.reduce_only,
        client_order_id=intent.client_order_id,
        reference_price=intent.reference_price,
        exchange=exchange,
        created_ms=intent.created_ms,
    )


def finished_order(event: OrderFinished, exchange: str) -> ExecutionOrder:
    """An order of the engine at its end."""
    intent = event.intent
    begun = sent_order(OrderSent(event.time, intent), exchange)
    done = replace(
        begun,
        order_id=event.order_id or "",
        filled_quantity=float(intent.filled),
        average_filled_price=None if intent.average is None else float(intent.average),
        finished_ms=datetime_to_ms(event.time),
    )
    known = {status.value: end for status, end in ENDS.items()}
    if event.status in known:
        return replace(done, status=known[event.status])
    return replace(done, status=ExecutionStatus.REJECTED, error=event.status)
