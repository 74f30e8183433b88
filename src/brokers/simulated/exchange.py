"""The simulated exchange: both ports of the bridge, in process, on the event loop and by the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from brokers.funding import FundingSchedule
from brokers.market_rules import markets_for
from brokers.simulated.faults import Fault, FaultPlan
from brokers.simulated.source import MarketSource, RecordedTape
from brokers.simulated.store import ExchangeStore
from brokers.simulated.streams import Stream
from brokers.simulated.venue import Venue, VenueTerms
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketClosed, MarketUnknown
from ccxt_bt_bridge.words import (
    Absent,
    Account,
    Ambiguous,
    Bar,
    Cancelled,
    CancelOutcome,
    Connection,
    CreateOutcome,
    Fill,
    Found,
    FundingPayment,
    LookupOutcome,
    Market,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderRequest,
    Quote,
    Unknown,
    UserEvent,
)

NO_ANSWER = "no answer in time"


def market_start_ms(source: MarketSource, store: ExchangeStore, *, warmup_bars: int) -> int:
    """Where market time stands when the exchange is opened: the clock's epoch. A resumed run goes on where it was."""
    resumed = store.market_ms
    return source.start_ms(warmup_bars) if resumed is None else resumed


class SimulatedExchange:
    """A ``MarketPort`` and a ``TradingPort``.

    The first ``warmup_bars`` time steps are history; the caller starts ``run_market()`` as a task. ``latency_ms``:
    round trip of a call, half on the way there and half on the way back. ``horizon_ms``: how long after it was sent an
    order that the exchange does not know may still turn up. ``initial_balance`` counts for a new run only; a resumed
    one has its account from the store. ``taker_fee`` as a fraction, ``maintenance_margin_pct`` of gross, 0 to 100.
    """

    def __init__(
        self,
        source: MarketSource,
        store: ExchangeStore,
        *,
        clock: Clock,
        initial_balance: Decimal,
        taker_fee: Decimal = Decimal("0.0005"),
        slippage_bps: Decimal = Decimal(1),
        funding: Mapping[str, FundingSchedule] | None = None,
        warmup_bars: int = 0,
        latency_ms: float = 0.0,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        fault_seed: int = 0,
        leverage: Decimal = Decimal(2),
        maintenance_margin_pct: Decimal = Decimal("0.5"),
        horizon_ms: int = 14_000,
        markets: Mapping[str, Market] | None = None,
    ) -> None:
        start_ms = market_start_ms(source, store, warmup_bars=warmup_bars)
        if store.market_ms is None:
            store.begin(market_ms=start_ms, initial=initial_balance)
        self._source, self._store, self._clock = source, store, clock
        self._half_latency_s = latency_ms / 2000.0
        self._horizon_ms, self._opened_ms = horizon_ms, clock.now_ms()
        self._sent_ms: dict[str, int] = {}
        self._faults = FaultPlan(faults, seed=fault_seed, memory=store)
        self._bars: Stream[tuple[Bar, ...]] = Stream()
        self._events: Stream[UserEvent] = Stream()
        self._connections: Stream[Connection] = Stream()
        self.venue = Venue(
            RecordedTape(source, start_ms),
            store,
            markets=markets or markets_for(source.symbols, source.first_prices(), taker_fee=taker_fee),
            funding=funding or {},
            terms=VenueTerms(taker_fee, slippage_bps, leverage, maintenance_margin_pct),
            publish=self._events.publish,
        )

    @property
    def run(self) -> int:
        """The number of this run in the exchange's file."""
        return self._store.run

    @property
    def source(self) -> MarketSource:
        return self._source

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def market_ms(self) -> int:
        """Market time: the last moment that has happened."""
        return self.venue.tape.time_ms

    @property
    def has_ended(self) -> bool:
        return self._store.ended

    async def run_market(self) -> None:
        """Walk the market to its end, moment by moment, as the clock allows. The bars end with it."""
        moments = self._source.moments_after(self.market_ms)
        for moment in moments:
            await self._clock.sleep_until(moment)
            closed = self.venue.step(moment, is_last=moment == moments[-1])
            if closed:
                self._bars.publish(closed)
        self._bars.end()

    def close(self) -> None:
        """End both streams and let go of the file. May be called again."""
        self._bars.end()
        self._connections.end()
        self._events.end()
        self._store.close()

    # market port

    async def markets(self) -> dict[str, Market]:
        await self._ask("markets")
        return await self._answer(dict(self.venue.markets))

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        """Closed bars up to market time. Raises ``MarketUnknown``."""
        await self._ask("history", self._known(symbol))
        return await self._answer(self.venue.tape.klines(symbol, limit=limit))

    def bars(self) -> AsyncIterator[tuple[Bar, ...]]:
        return self._bars.subscribe()

    async def quote(self, symbol: str) -> Quote:
        """Raises ``ExchangeUnreachable`` while the symbol is halted: an old price is not a quote.

        ``MarketClosed`` means that it will not come back.
        """
        await self._ask("quote", self._known(symbol))
        price = self.venue.tape.price(symbol)
        if price is None and self.venue.tape.is_over(symbol):
            raise MarketClosed(f"{symbol} trades no more")
        if price is None:
            raise ExchangeUnreachable(f"{symbol} does not trade at the moment; there is no quote")
        return await self._answer(Quote(symbol, price, self._clock.now_ms()))

    def connections(self) -> AsyncIterator[Connection]:
        return self._connections.subscribe()

    # trading port

    async def create_order(self, request: OrderRequest) -> CreateOutcome:
        self._sent_ms[request.client_order_id] = self._clock.now_ms()
        await self._travel()
        return await self._answer(self._create(request))

    async def cancel_order(self, symbol: str, client_order_id: str) -> CancelOutcome:
        await self._travel()
        return await self._answer(self._cancel(symbol, client_order_id))

    async def fetch_order(self, symbol: str, client_order_id: str) -> LookupOutcome:
        """``Unknown`` until the horizon: "no such order" proves nothing while the order may still be on its way."""
        await self._travel()
        return await self._answer(self._look_up(symbol, client_order_id))

    async def open_orders(self) -> Sequence[OrderReport]:
        await self._ask("open_orders")
        return await self._answer([order.report() for order in self.venue.open_orders()])

    async def fills(self, *, since_ms: int) -> Sequence[Fill]:
        await self._ask("fills")
        return await self._answer([fill for fill in self.venue.fills if fill.time_ms >= since_ms])

    async def funding(self, *, since_ms: int) -> Sequence[FundingPayment]:
        await self._ask("funding")
        return await self._answer([payment for payment in self.venue.payments if payment.time_ms >= since_ms])

    async def account(self) -> Account:
        await self._ask("account")
        return await self._answer(self.venue.report(self._clock.now_ms()))

    def events(self) -> AsyncIterator[UserEvent]:
        return self._events.subscribe()

    def _create(self, request: OrderRequest) -> CreateOutcome:
        fault = self._strike("create_order", request.symbol)
        kind = fault.kind if fault else None
        if kind == "reject":
            return NotPlaced("-2010", "new order rejected (scripted fault)")
        if kind == "timeout_before_execution":
            return Ambiguous(NO_ANSWER)
        ratio = fault.fill_ratio if fault and kind == "partial_fill" else None
        outcome = self.venue.place(request, now_ms=self._clock.now_ms(), fill_ratio=ratio)
        return Ambiguous(NO_ANSWER) if kind == "timeout_after_execution" else outcome

    def _cancel(self, symbol: str, client_order_id: str) -> CancelOutcome:
        fault = self._strike("cancel_order", symbol)
        kind = fault.kind if fault else None
        if kind == "reject":
            return NotCancelled("-2011", "cancel rejected (scripted fault)")
        if kind == "timeout_before_execution":
            return Ambiguous(NO_ANSWER)
        order = self.venue.cancel(symbol, client_order_id, now_ms=self._clock.now_ms())
        if kind == "timeout_after_execution":
            return Ambiguous(NO_ANSWER)
        return Cancelled(order.report()) if order else NotCancelled("-2011", f"no open order {client_order_id}")

    def _look_up(self, symbol: str, client_order_id: str) -> LookupOutcome:
        if self._strike("fetch_order", symbol) is not None:
            return Unknown(NO_ANSWER)
        order = self.venue.order(symbol, client_order_id)
        if order is not None:
            return Found(order.report())
        sent_ms = self._sent_ms.get(client_order_id, self._opened_ms)
        if self._clock.now_ms() - sent_ms < self._horizon_ms:
            return Unknown(f"-2013: no order {client_order_id} so far")
        return Absent()

    def _strike(self, operation: str, symbol: str | None) -> Fault | None:
        return self._faults.strike(operation, symbol, self._clock.now_ms())

    def _known(self, symbol: str) -> str:
        if symbol not in self._source.series:
            raise MarketUnknown(f"this market has no {symbol}; it has {', '.join(self._source.symbols)}")
        return symbol

    async def _ask(self, operation: str, symbol: str | None = None) -> None:
        """The way there of a read, and its faults."""
        await self._travel()
        if self._strike(operation, symbol) is not None:
            raise ExchangeUnreachable(f"{operation}: {NO_ANSWER}")

    async def _answer(self, answer: Any) -> Any:
        """The way back."""
        await self._travel()
        return answer

    async def _travel(self) -> None:
        if self._half_latency_s:
            await asyncio.sleep(self._half_latency_s)
