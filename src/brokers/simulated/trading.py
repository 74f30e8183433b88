"""What simulated exchanges share: trading and account ports over a venue, streams, latency, faults, the file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from brokers.simulated.faults import Fault, FaultPlan
from brokers.simulated.gate import NO_ANSWER, Gate
from brokers.simulated.lines import BarLine, UserLine
from brokers.simulated.store import ExchangeStore
from brokers.simulated.venue import ADL, Venue
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.streams import Stream
from ccxt_bt_bridge.words import (
    Absent,
    Account,
    AccountSettings,
    Ambiguous,
    Bar,
    Cancelled,
    CancelOutcome,
    Connection,
    CreateOutcome,
    Fill,
    Found,
    FundingPayment,
    KeyPermissions,
    LookupOutcome,
    NotCancelled,
    OrderReport,
    OrderRequest,
    Quote,
    Unknown,
    UserEvent,
)

PERMISSIONS = KeyPermissions(may_trade=True, may_withdraw=False, may_transfer=False, ip_restricted=True)
# It was done, and the answer does not say so.
SILENT = {
    "timeout_after_execution": NO_ANSWER,
    "backend_timeout": "-1007: Timeout waiting for response from backend server; execution status unknown",
    "duplicate": "-4116: Duplicate order sent; an order of this id exists",
}


class SimulatedTrading:
    """A ``TradingPort``, an ``AccountPort`` and the streams of a ``MarketPort``, over one run of ``store``.

    ``make_venue`` receives where its events go; who subclasses publishes bars by ``_line`` and ends what it streams.
    ``latency_ms``: round trip of a call, half on the way there and half on the way back. ``horizon_ms``: how long after
    it was sent an order that the exchange does not know may still turn up.
    """

    def __init__(
        self,
        make_venue: Callable[[Callable[[UserEvent], None]], Venue],
        store: ExchangeStore,
        *,
        faults: FaultPlan,
        clock: Clock,
        latency_ms: float,
        horizon_ms: int,
    ) -> None:
        self.clock, self._store, self._faults = clock, store, faults
        self._half_latency_s, self._horizon_ms = latency_ms / 2000.0, horizon_ms
        self._opened_ms = clock.now_ms()
        self._sent_ms: dict[str, int] = {}
        self._unseen_until: dict[str, int] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._events: Stream[UserEvent] = Stream()
        self._bars: Stream[tuple[Bar, ...]] = Stream()
        self._prices: Stream[Quote] = Stream()
        self._connections: Stream[Connection] = Stream()
        self._user = UserLine(self._events.publish, faults, clock)
        self._line = BarLine(self._bars.publish, self._connections.publish, faults, clock)
        self.venue = make_venue(self._user.publish)
        self._gate = Gate(faults, clock, kind=self.venue.kind)

    @property
    def run(self) -> int:
        """The number of this run in the exchange's file."""
        return self._store.run

    @property
    def remembers(self) -> bool:
        """False for an exchange in memory: it is gone with the process."""
        return self._store.is_lasting

    @property
    def market_ms(self) -> int:
        """Market time: the last moment that the account has seen."""
        return self.venue.tape.time_ms

    def close(self) -> None:
        """End every stream and let go of the file; what was to happen later never does. May be called again."""
        for task in self._late:
            task.cancel()
        for line in (self._line, self._user):
            line.close()
        for stream in (self._bars, self._prices, self._connections, self._events):
            stream.end()
        self._store.close()

    # streams

    def bars(self) -> AsyncIterator[tuple[Bar, ...]]:
        """Told once the account has seen them."""
        return self._bars.subscribe()

    def prices(self) -> AsyncIterator[Quote]:
        return self._prices.subscribe()

    def connections(self) -> AsyncIterator[Connection]:
        return self._connections.subscribe()

    def events(self) -> AsyncIterator[UserEvent]:
        return self._events.subscribe()

    # trading port

    async def create_order(self, request: OrderRequest) -> CreateOutcome:
        self._sent_ms[request.client_order_id] = self.clock.now_ms()
        await self._travel()
        fault = self._gate.strike("create_order", request.symbol)
        return await self._answer(self._create(request, fault), fault)

    async def cancel_order(self, symbol: str, client_order_id: str) -> CancelOutcome:
        await self._travel()
        fault = self._gate.strike("cancel_order", symbol)
        return await self._answer(self._cancel(symbol, client_order_id, fault), fault)

    async def fetch_order(self, symbol: str, client_order_id: str) -> LookupOutcome:
        """``Unknown`` until the horizon: "no such order" proves nothing while the order may still be on its way."""
        await self._travel()
        fault = self._gate.strike("fetch_order", symbol)
        return await self._answer(self._look_up(symbol, client_order_id, fault), fault)

    async def open_orders(self) -> Sequence[OrderReport]:
        fault = await self._ask("open_orders")
        seen = [order for order in self.venue.open_orders() if not self._is_unseen(order.request.client_order_id)]
        return await self._answer([order.report() for order in seen], fault)

    async def fills(self, *, since_ms: int) -> Sequence[Fill]:
        fault = await self._ask("fills")
        return await self._answer([fill for fill in self.venue.fills if fill.time_ms >= since_ms], fault)

    async def funding(self, *, since_ms: int) -> Sequence[FundingPayment]:
        fault = await self._ask("funding")
        return await self._answer([paid for paid in self.venue.payments if paid.time_ms >= since_ms], fault)

    async def account(self) -> Account:
        fault = await self._ask("account")
        return await self._answer(self.venue.report(self.clock.now_ms()), fault)

    # account port

    async def server_time_ms(self) -> int:
        fault = await self._ask("server_time")
        return await self._answer(self.clock.now_ms(), fault)

    async def key_permissions(self) -> KeyPermissions:
        fault = await self._ask("key_permissions")
        return await self._answer(PERMISSIONS, fault)

    async def settings(self, symbols: Sequence[str]) -> AccountSettings:
        """Of a spot account: one way, and no symbol has any."""
        fault = await self._ask("settings")
        return await self._answer(self.venue.settings.report(() if self.venue.kind == "spot" else symbols), fault)

    def _disturb(self, moment_ms: int) -> None:
        """What the exchange does to its own market by script."""
        if self._faults.strikes_on("market"):
            for symbol in self.venue.markets:
                fault = self._faults.strike("market", symbol, moment_ms)
                if fault is not None:
                    self.venue.tape.halt(symbol, moment_ms + fault.lasts_ms)
        if self._faults.strikes_on("positions"):
            for position in self.venue.positions():
                if self._faults.strike("positions", position.symbol, moment_ms) is not None:
                    self.venue.close_position(position.symbol, prefix=ADL, now_ms=moment_ms)

    # what a call does

    def _create(self, request: OrderRequest, fault: Fault | None) -> CreateOutcome:
        kind = fault.kind if fault else None
        refusal = None if fault is None else self._gate.refusal(fault)
        if refusal is not None and not (kind == "overloaded" and request.reduce_only):
            return refusal
        if fault is not None and kind == "late_execution":
            self._do_late(fault, lambda: self._place(request, None))
        if kind in ("timeout_before_execution", "late_execution"):
            return Ambiguous(NO_ANSWER)
        outcome = self._place(request, fault)
        return Ambiguous(SILENT[kind]) if kind in SILENT else outcome

    def _place(self, request: OrderRequest, fault: Fault | None) -> CreateOutcome:
        kind, ratio = (fault.kind if fault else None), None
        if fault is not None and kind in ("partial_fill", "overfill"):
            ratio = fault.ratio if kind == "partial_fill" else fault.multiple
        self._user.report_delay_ms = fault.lasts_ms if fault is not None and kind == "fill_before_ack" else 0
        outcome = self.venue.place(request, now_ms=self.clock.now_ms(), fill_ratio=ratio)
        self._user.report_delay_ms = 0
        if fault is not None and kind == "query_lag":
            self._unseen_until[request.client_order_id] = self.clock.now_ms() + fault.lasts_ms
        return outcome

    def _cancel(self, symbol: str, client_order_id: str, fault: Fault | None) -> CancelOutcome:
        kind = fault.kind if fault else None
        if kind == "reject":
            return NotCancelled("-2011", "cancel rejected (scripted fault)")
        refusal = None if fault is None else self._gate.refusal(fault)
        if refusal is not None:
            return NotCancelled(refusal.code, refusal.reason)
        if kind == "filled_before_cancel":
            self.venue.fill_now(symbol, client_order_id, now_ms=self.clock.now_ms())
        if fault is not None and kind == "late_execution":
            self._do_late(fault, lambda: self._cancel_now(symbol, client_order_id))
        if kind in ("timeout_before_execution", "late_execution"):
            return Ambiguous(NO_ANSWER)
        outcome = self._cancel_now(symbol, client_order_id)
        return Ambiguous(SILENT[kind]) if kind in SILENT else outcome

    def _cancel_now(self, symbol: str, client_order_id: str) -> CancelOutcome:
        order = self.venue.cancel(symbol, client_order_id, now_ms=self.clock.now_ms())
        return Cancelled(order.report()) if order else NotCancelled("-2011", f"no open order {client_order_id}")

    def _look_up(self, symbol: str, client_order_id: str, fault: Fault | None) -> LookupOutcome:
        error = None if fault is None else self._gate.error(fault, "fetch_order")
        if error is not None:
            return Unknown(str(error).removeprefix("fetch_order: "))
        order = self.venue.order(symbol, client_order_id)
        if order is not None and not self._is_unseen(client_order_id):
            return Found(order.report())
        sent_ms = self._sent_ms.get(client_order_id, self._opened_ms)
        if order is not None or self.clock.now_ms() - sent_ms < self._horizon_ms:
            return Unknown(f"-2013: no order {client_order_id} so far")
        return Absent()

    def _is_unseen(self, client_order_id: str) -> bool:
        return self.clock.now_ms() < self._unseen_until.get(client_order_id, 0)

    def _do_late(self, fault: Fault, act: Callable[[], Any]) -> None:
        """The request has arrived, and the exchange gets to it only then."""

        async def later() -> None:
            await asyncio.sleep(fault.lasts_ms / 1000.0)
            act()

        self._spawn(later())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _ask(self, operation: str, symbol: str | None = None) -> Fault | None:
        """The way there of a read, and its faults: raises, or returns one that only delays the answer."""
        await self._travel()
        fault = self._gate.strike(operation, symbol)
        error = None if fault is None else self._gate.error(fault, operation)
        if error is not None:
            raise error
        return fault

    async def _answer(self, answer: Any, fault: Fault | None = None) -> Any:
        """The way back."""
        await self._travel()
        if fault is not None and fault.kind in ("slow", "fill_before_ack"):
            await asyncio.sleep(fault.lasts_ms / 1000.0)
        return answer

    async def _travel(self) -> None:
        if self._half_latency_s:
            await asyncio.sleep(self._half_latency_s)
