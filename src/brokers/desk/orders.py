"""Orders between the wire and the exchange's core, as both dialects have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal

from brokers.desk.core import Core
from brokers.desk.params import Params
from brokers.desk.refusals import Refusal, nothing_to_cancel, told, unknown_order
from brokers.simulated.orders import STOPS, Order
from ccxt_bt_bridge.words import (
    Ambiguous,
    Cancelled,
    Fill,
    Found,
    NotCancelled,
    NotPlaced,
    OrderRequest,
    OrderStatus,
    Side,
    Unknown,
)

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
WEEK_MS = 7 * 86_400_000
WIRE_TYPES = {"market": "MARKET", "limit": "LIMIT", "stop": "STOP_MARKET", "stop_limit": "STOP"}
ENDINGS = {
    OrderStatus.CLOSED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}


def is_conditional(order: Order) -> bool:
    """A stop, whether or not it has been triggered."""
    return order.request.type in STOPS


def is_waiting(order: Order) -> bool:
    """A stop that was not triggered, at least not before it ended."""
    return order.waits_for_trigger


def is_ordinary(order: Order) -> bool:
    """In the matching engine: not a stop that waits, or that ended while it did."""
    return not is_conditional(order) or order.is_triggered


def wire_status(order: Order) -> str:
    if order.status is OrderStatus.OPEN:
        return "PARTIALLY_FILLED" if order.filled else "NEW"
    return ENDINGS[order.status]


class OrderDesk:
    """Places, cancels and looks up through the trading port, so that every fault of the core applies.

    ``shows``: which orders exist as far as this desk's callers can see.
    """

    def __init__(self, core: Core, *, shows: Callable[[Order], bool] = lambda order: True) -> None:
        self._core, self._shows = core, shows
        self._named = 0

    def client_id(self, given: str) -> str:
        """The caller's id, or one of ours. Raises -4015 for one with other characters or more than 36."""
        if not given:
            self._named += 1
            return f"desk-{self._core.exchange.run}-{self._core.now_ms()}-{self._named}"
        if not CLIENT_ID.fullmatch(given):
            raise Refusal(-4015, "Client order id length should be less than 36 chars and of legal characters.")
        return given

    def side(self, params: Params) -> Side:
        side = params.text("side")
        if side not in ("BUY", "SELL"):
            raise Refusal(-1117, "Invalid side.")
        return Side(side.lower())

    async def place(self, request: OrderRequest) -> Order:
        """Raises the exchange's refusal; ``NoAnswer`` where it says nothing."""
        outcome = await self._core.exchange.create_order(request)
        if isinstance(outcome, NotPlaced):
            raise self._told(f"{outcome.code} {outcome.reason}")
        if isinstance(outcome, Ambiguous):
            raise self._told(outcome.reason)
        order = self._core.venue.orders.by_id(outcome.report.order_id)
        assert order is not None
        return order

    async def cancel(self, params: Params) -> Order:
        order = self._find(params)
        if order is None:
            raise nothing_to_cancel()
        outcome = await self._core.exchange.cancel_order(params.symbol(), order.request.client_order_id)
        if isinstance(outcome, Ambiguous):
            raise self._told(outcome.reason)
        if isinstance(outcome, NotCancelled) and outcome.code != "-2011":
            raise self._told(f"{outcome.code} {outcome.reason}")
        cancelled = self._find(params)
        if not isinstance(outcome, Cancelled) or cancelled is None:
            raise nothing_to_cancel()
        return cancelled

    async def look_up(self, params: Params) -> Order:
        """Raises -2013 for an order that is not known (yet)."""
        order = self._find(params)
        client_id = order.request.client_order_id if order else params.get("origClientOrderId")
        outcome = await self._core.exchange.fetch_order(params.symbol(), client_id)
        if isinstance(outcome, Unknown) and not outcome.reason.startswith("-2013"):
            raise self._told(outcome.reason)
        found = self._find(params)
        if not isinstance(outcome, Found) or found is None:
            raise unknown_order()
        return found

    async def open_orders(self, symbol: str | None) -> list[Order]:
        reports = await self._core.exchange.open_orders()
        return self._orders(int(report.order_id) for report in reports if symbol in (None, report.symbol))

    async def cancel_all(self, symbol: str) -> list[Order]:
        """Every open order of the symbol, as cancelled."""
        self._core.market(symbol)
        orders = await self.open_orders(symbol)
        for order in orders:
            await self._core.exchange.cancel_order(symbol, order.request.client_order_id)
        return orders

    async def fills(self, params: Params, *, most: int, span_ms: int = WEEK_MS) -> list[Fill]:
        """Own trades of a symbol as Binance pages them: those of ``span_ms``, oldest first after ``startTime``."""
        symbol, now_ms = params.symbol(), self._core.now_ms()
        self._core.market(symbol)
        since_ms, until_ms = window(params, now_ms, span_ms)
        limit = min(max(1, params.integer("limit", 500)), most)
        fills = await self._core.exchange.fills(since_ms=0 if _by_id(params) else since_ms)
        wanted = [fill for fill in fills if fill.symbol == symbol and self._is_asked(fill, params, until_ms)]
        return wanted[:limit] if "startTime" in params or "fromId" in params else wanted[-limit:]

    def _told(self, text: str) -> Exception:
        # The core's word for a duplicate is the futures'.
        spoken = text.replace("-4116", "-2010", 1) if self._core.venue.kind == "spot" else text
        return told(spoken, self._core.now_ms())

    def _is_asked(self, fill: Fill, params: Params, until_ms: int) -> bool:
        if "orderId" in params and fill.order_id != params.get("orderId"):
            return False
        if "fromId" in params:
            return int(fill.trade_id) >= params.integer("fromId")
        return "orderId" in params or fill.time_ms <= until_ms

    def _find(self, params: Params) -> Order | None:
        symbol = params.symbol()
        self._core.market(symbol)
        if "orderId" not in params and "origClientOrderId" not in params:
            raise Refusal(-1102, "Either orderId or origClientOrderId must be sent.")
        order_id = params.integer("orderId") if "orderId" in params else None
        order = self._core.order(symbol, order_id=order_id, client_id=params.get("origClientOrderId"))
        return order if order is not None and self._shows(order) else None

    def _orders(self, ids: Iterable[int]) -> list[Order]:
        found = (self._core.venue.orders.by_id(order_id) for order_id in ids)
        return [order for order in found if order is not None and self._shows(order)]


def window(params: Params, now_ms: int, span_ms: int) -> tuple[int, int]:
    """``(since, until)`` in ms: at most ``span_ms``, the last of it unless told otherwise. Raises -1127."""
    since_ms = params.integer("startTime", now_ms - span_ms)
    until_ms = params.integer("endTime", since_ms + span_ms)
    if until_ms - since_ms > span_ms:
        raise Refusal(-1127, "Lookup interval is too big. Maximum is 7 days.")
    return since_ms, until_ms


def average(order: Order) -> Decimal:
    return order.value / order.filled if order.filled else Decimal(0)


def _by_id(params: Params) -> bool:
    return "fromId" in params or "orderId" in params
