"""A trading port that does what a script says: what executes, what is answered, what is told, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import (
    Absent,
    Ambiguous,
    Cancelled,
    CancelOutcome,
    CreateOutcome,
    Fill,
    Found,
    LookupOutcome,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderRequest,
    OrderStatus,
    Placed,
    Unknown,
)

D = Decimal


@dataclass
class TakenOrder:
    """An order as the exchange has it."""

    request: OrderRequest
    number: int
    status: OrderStatus = OrderStatus.OPEN
    fills: list[Fill] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((fill.amount for fill in self.fills), D(0))

    def report(self) -> OrderReport:
        one = self.request
        ids = (one.client_order_id, str(self.number), one.symbol, one.side)
        return OrderReport(*ids, self.status, one.amount, self.filled, D(100) if self.fills else None, 0)


class ScriptedPort:
    """``answer``: "placed", "refused" or "lost"; ``takes``: whether a lost one was executed.

    ``is_deaf``: no question is answered. Nothing is told of its own accord: the script tells.
    """

    def __init__(self) -> None:
        self.taken: dict[str, TakenOrder] = {}
        self.sent: list[str] = []
        self.answer, self.takes, self.is_deaf = "placed", True, False
        self._trades = 0

    def trade(self, order: TakenOrder, share: Decimal) -> Fill:
        """A part of what is left, never nothing; the last of it closes the order."""
        left = order.request.amount - order.filled
        amount = max((left * share).quantize(D("0.001")), D("0.001"))
        self._trades += 1
        request = order.request
        ids = (str(self._trades), str(order.number), request.client_order_id, request.symbol)
        fill = Fill(*ids, request.side, min(amount, left), D(100), D("0.1"), 0)
        order.fills.append(fill)
        if order.filled == request.amount:
            order.status = OrderStatus.CLOSED
        return fill

    # the port

    async def create_order(self, request: OrderRequest) -> CreateOutcome:
        self.sent.append(request.client_order_id)
        if self.answer == "refused":
            return NotPlaced("-2010", "refused by the script")
        if self.answer == "lost" and not self.takes:
            return Ambiguous("lost, and never arrived")
        order = self.taken[request.client_order_id] = TakenOrder(request, len(self.taken) + 1)
        return Ambiguous("lost on its way back") if self.answer == "lost" else Placed(order.report())

    async def cancel_order(self, symbol: str, client_order_id: str) -> CancelOutcome:
        order = self.taken.get(client_order_id)
        if self.is_deaf:
            return Ambiguous("deaf")
        if order is None or order.status.is_done:
            return NotCancelled("-2011", "no such open order")
        order.status = OrderStatus.CANCELED
        return Cancelled(order.report())

    async def fetch_order(self, symbol: str, client_order_id: str) -> LookupOutcome:
        if self.is_deaf:
            return Unknown("deaf")
        order = self.taken.get(client_order_id)
        return Absent() if order is None else Found(order.report())

    async def fills(self, *, since_ms: int) -> Sequence[Fill]:
        if self.is_deaf:
            raise ExchangeUnreachable("deaf")
        return [fill for order in self.taken.values() for fill in order.fills]
