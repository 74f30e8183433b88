"""The last counter before the wire: it knows nothing of pairs, limits of risk or strategies, only of orders sent.

What it refuses was never sent. An order that adds is refused and trips the breaker: whoever sends that many, or one
that large, has a defect. An order that only reduces, the account's position or what its sender holds of it, waits for
its turn instead, and has a share of the minute kept for it. Cancels and questions always pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.words import (
    Account,
    CancelOutcome,
    CreateOutcome,
    Fill,
    FundingPayment,
    LookupOutcome,
    NotPlaced,
    OrderReport,
    OrderRequest,
    UserEvent,
)

ZERO = Decimal(0)
MINUTE_MS = 60_000
RESERVED_SHARE = 0.25  # of the minute's orders, for those that only reduce
TRADE_PACE_MS = 2_000  # between orders that reduce a trade which has used up its number
REMEMBERED = 10_000  # trades and ids


@dataclass(frozen=True, slots=True)
class WireLimits:
    """``network``: where the config wants orders to go ("simulated", "desk", "testnet", "live"); nothing is sent
    elsewhere. Notionals in quote currency, None: no limit. ``price_band_pct``: of the last price, for limit orders.
    """

    network: str = "simulated"
    max_orders_per_minute: int = 600
    max_orders_per_trade: int = 60
    max_order_notional: Decimal | None = None
    max_notional_per_minute: Decimal | None = None
    price_band_pct: Decimal = Decimal(10)


class WireGuard:
    """A ``TradingPort`` in front of another one, whose orders go to ``network``.

    ``on_trip(reason)`` is called for a refused order that adds; ``last_price`` knows the last price of a symbol.
    """

    def __init__(self, port: TradingPort, clock: Clock, limits: WireLimits, *, network: str) -> None:
        self._port, self._clock, self._limits = port, clock, limits
        self._network = network
        self._tokens, self._filled_ms = float(limits.max_orders_per_minute), clock.now_ms()
        self._reserved = int(limits.max_orders_per_minute * RESERVED_SHARE)
        self._of_trade: dict[str, int] = {}
        self._ids: dict[str, None] = {}
        self._added: deque[tuple[int, Decimal]] = deque()
        self.on_trip: Callable[[str], None] = lambda reason: None
        self.last_price: Callable[[str], Decimal | None] = lambda symbol: None

    @property
    def room(self) -> int:
        """Orders that add which may be sent now."""
        self._refill()
        return max(0, int(self._tokens) - self._reserved)

    async def create_order(self, request: OrderRequest) -> CreateOutcome:
        reason = self._malformed(request) or (None if _reduces(request) else self._too_much(request))
        if reason is not None:
            if not _reduces(request):
                self.on_trip(reason)
            return NotPlaced("local", reason)
        if _reduces(request):
            await self._wait_for_turn(request.group)
        self._count(request)
        return await self._port.create_order(request)

    async def cancel_order(self, symbol: str, client_order_id: str) -> CancelOutcome:
        return await self._port.cancel_order(symbol, client_order_id)

    async def fetch_order(self, symbol: str, client_order_id: str) -> LookupOutcome:
        return await self._port.fetch_order(symbol, client_order_id)

    async def open_orders(self) -> Sequence[OrderReport]:
        return await self._port.open_orders()

    async def fills(self, *, since_ms: int) -> Sequence[Fill]:
        return await self._port.fills(since_ms=since_ms)

    async def funding(self, *, since_ms: int) -> Sequence[FundingPayment]:
        return await self._port.funding(since_ms=since_ms)

    async def account(self) -> Account:
        return await self._port.account()

    def events(self) -> AsyncIterator[UserEvent]:
        return self._port.events()

    # what is refused

    def _malformed(self, request: OrderRequest) -> str | None:
        """What no order may be, whatever it is for."""
        if self._network != self._limits.network:
            return f"wire_guard:mode: orders go to {self._network}, the config wants {self._limits.network}"
        if not (request.amount.is_finite() and request.amount > 0):
            return f"wire_guard:amount: {request.symbol} {request.amount}"
        if request.client_order_id in self._ids:
            return f"wire_guard:sent_before: {request.client_order_id}"
        return self._off_the_market(request)

    def _off_the_market(self, request: OrderRequest) -> str | None:
        if request.price is None:
            return None
        if not (request.price.is_finite() and request.price > 0):
            return f"wire_guard:price: {request.symbol} {request.price}"
        last, band_pct = self.last_price(request.symbol), self._limits.price_band_pct
        if last is None or abs(request.price - last) * 100 <= last * band_pct:
            return None
        return f"wire_guard:price_band: {request.symbol} at {request.price}, the market is at {last}"

    def _too_much(self, request: OrderRequest) -> str | None:
        limits = self._limits
        if self.room < 1:
            return f"wire_guard:orders_per_minute: more than {limits.max_orders_per_minute}"
        if self._of_trade.get(request.group or "", 0) >= limits.max_orders_per_trade:
            return f"wire_guard:orders_per_trade: more than {limits.max_orders_per_trade} for {request.group}"
        return self._too_large(request)

    def _too_large(self, request: OrderRequest) -> str | None:
        limits, notional = self._limits, self._notional(request)
        if notional is None:
            return f"wire_guard:no_price: {request.symbol} has never had one"
        if limits.max_order_notional is not None and notional > limits.max_order_notional:
            return f"wire_guard:order_notional: {notional:.2f}, at most {limits.max_order_notional:.2f}"
        most, together = limits.max_notional_per_minute, self._added_lately() + notional
        if most is not None and together > most:
            return f"wire_guard:notional_per_minute: {together:.2f}, at most {most:.2f}"
        return None

    def _notional(self, request: OrderRequest) -> Decimal | None:
        known = [price for price in (request.price, self.last_price(request.symbol)) if price is not None]
        return request.amount * max(known) if known else None

    # what is counted

    async def _wait_for_turn(self, group: str | None) -> None:
        if self._of_trade.get(group or "", 0) >= self._limits.max_orders_per_trade:
            await self._clock.sleep_until(self._clock.now_ms() + TRADE_PACE_MS)
        while self._refill() < 1.0:
            wait_ms = (1.0 - self._tokens) * MINUTE_MS / self._limits.max_orders_per_minute
            await self._clock.sleep_until(self._clock.now_ms() + int(wait_ms) + 1)

    def _count(self, request: OrderRequest) -> None:
        self._tokens -= 1.0
        _remember(self._ids, request.client_order_id, None)
        if request.group is not None:
            _remember(self._of_trade, request.group, self._of_trade.pop(request.group, 0) + 1)
        if not _reduces(request):
            self._added.append((self._clock.now_ms(), self._notional(request) or ZERO))

    def _refill(self) -> float:
        now_ms, most = self._clock.now_ms(), self._limits.max_orders_per_minute
        self._tokens = min(float(most), self._tokens + (now_ms - self._filled_ms) * most / MINUTE_MS)
        self._filled_ms = now_ms
        return self._tokens

    def _added_lately(self) -> Decimal:
        since_ms = self._clock.now_ms() - MINUTE_MS
        while self._added and self._added[0][0] <= since_ms:
            self._added.popleft()
        return sum((notional for _, notional in self._added), ZERO)


def _remember(known: dict[str, Any], name: str, value: Any) -> None:
    """The latest so many."""
    known[name] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]


def _reduces(request: OrderRequest) -> bool:
    return request.reduce_only or request.closes
