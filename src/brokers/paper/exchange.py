"""Paper trading: the simulated exchange's inside, priced by a real market."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from brokers.funding import FundingSchedule
from brokers.paper.live_tape import LiveTape
from brokers.simulated.faults import Fault, FaultPlan
from brokers.simulated.store import ExchangeStore
from brokers.simulated.trading import SimulatedTrading
from brokers.simulated.venue import Venue, VenueTerms
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketClosed, MarketUnknown
from ccxt_bt_bridge.port import MarketPort
from ccxt_bt_bridge.words import Bar, CreateOutcome, Market, NotPlaced, OrderRequest, Quote, UserEvent

LONGEST_ABSENCE_BARS = 1_000


class PaperExchange(SimulatedTrading):
    """A ``MarketPort``, a ``TradingPort`` and an ``AccountPort``; made by ``open``, played by ``run_market``.

    Every order is priced by a fresh quote. Resting orders are measured against each closed bar's range (those that
    were there when it opened), against its close, and against quotes asked for every ``quote_every_s`` seconds.
    ``market`` is asked for public data alone. ``latency_ms`` and ``horizon_ms``: see ``SimulatedTrading``.
    """

    @classmethod
    async def open(
        cls,
        market: MarketPort,
        store: ExchangeStore,
        *,
        symbols: Sequence[str],
        interval_ms: int,
        clock: Clock,
        initial_balance: Decimal,
        terms: VenueTerms,
        **more: Any,
    ) -> PaperExchange:
        """Begins a new run, or goes on with an unfinished one: what its resting orders and funding missed is made up.

        ``more``: funding, latency_ms, horizon_ms, faults, fault_seed, quote_every_s. Raises ``MarketUnknown`` for a
        symbol the market does not list, ``ExchangeUnreachable`` when it cannot be asked.
        """
        listed = await market.markets()
        unknown = [symbol for symbol in symbols if symbol not in listed]
        if unknown:
            raise MarketUnknown(f"the market does not list {', '.join(unknown)}")
        if store.market_ms is None:
            store.begin(market_ms=clock.now_ms(), initial=initial_balance)
        rules = {symbol: listed[symbol] for symbol in symbols}
        exchange = cls(market, store, rules=rules, interval_ms=interval_ms, clock=clock, terms=terms, **more)
        await exchange._catch_up()
        return exchange

    def __init__(
        self,
        market: MarketPort,
        store: ExchangeStore,
        *,
        rules: Mapping[str, Market],
        interval_ms: int,
        clock: Clock,
        terms: VenueTerms,
        funding: Mapping[str, FundingSchedule] | None = None,
        latency_ms: float = 0.0,
        horizon_ms: int = 14_000,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        fault_seed: int = 0,
        quote_every_s: float = 1.0,
    ) -> None:
        self._market, self._quote_every_ms = market, round(quote_every_s * 1000)
        self._tape = LiveTape(interval_ms, store.load().market_ms)
        plan = FaultPlan(faults, seed=fault_seed, memory=store)

        def make_venue(publish: Callable[[UserEvent], None]) -> Venue:
            return Venue(self._tape, store, markets=rules, funding=funding or {}, terms=terms, publish=publish)

        super().__init__(make_venue, store, faults=plan, clock=clock, latency_ms=latency_ms, horizon_ms=horizon_ms)
        self._incoming, self._changes = market.bars(), market.connections()

    async def run_market(self) -> None:
        """Follow the market until its bars end."""
        helpers = [asyncio.create_task(work()) for work in (self._follow_connections, self._watch_resting_orders)]
        try:
            async for bars in self._incoming:
                self._see(bars, self.clock.now_ms())
                self._line.publish(bars)
        finally:
            for helper in helpers:
                helper.cancel()
            self._bars.end()

    # market port

    async def markets(self) -> dict[str, Market]:
        return dict(self.venue.markets)

    def prices(self) -> AsyncIterator[Quote]:
        """The real market's, except while a fault has this one's stream down."""
        return self._passed_on(self._market.prices())

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        return await self._market.history(symbol, limit=limit)

    async def quote(self, symbol: str) -> Quote:
        quote = await self._market.quote(symbol)
        self._tape.observe(quote)
        return quote

    # trading port

    async def create_order(self, request: OrderRequest) -> CreateOutcome:
        """Not placed while the market gives no price: nothing is filled at an old one."""
        if request.symbol in self.venue.markets:
            try:
                await self.quote(request.symbol)
            except MarketClosed as closed:
                self._tape.end(request.symbol)
                return NotPlaced("-1013", f"market closed: {closed}")
            except ExchangeUnreachable as unreachable:
                return NotPlaced("-1001", f"no price to fill at: {unreachable}")
        return await super().create_order(request)

    async def _passed_on(self, quotes: AsyncIterator[Quote]) -> AsyncIterator[Quote]:
        async for quote in quotes:
            if quote.symbol in self.venue.markets and not self._line.is_down:
                yield quote

    def _see(self, bars: Iterable[Bar], now_ms: int) -> None:
        self._disturb(now_ms)
        self._tape.put(bar for bar in bars if bar.symbol in self.venue.markets)
        self.venue.step(max(now_ms, self.market_ms), is_last=False)

    async def _catch_up(self) -> None:
        """The bars that closed while nobody looked, as far as the market's history and a thousand of them reach."""
        since_ms = self.market_ms
        bars = [bar for s in self.venue.markets for bar in await self._market.history(s, limit=LONGEST_ABSENCE_BARS)]
        for bar in bars:
            if bar.time_ms <= since_ms:
                self._tape.recall(bar)
        missed = sorted((bar for bar in bars if bar.time_ms > since_ms), key=_time)
        for time_ms, closed in groupby(missed, key=_time):
            self._see(closed, time_ms)

    async def _follow_connections(self) -> None:
        async for change in self._changes:
            self._connections.publish(change)

    async def _watch_resting_orders(self) -> None:
        while True:
            await self.clock.sleep_until(self.clock.now_ms() + self._quote_every_ms)
            for symbol in {order.request.symbol: None for order in self.venue.open_orders()}:
                await self._watch(symbol)

    async def _watch(self, symbol: str) -> None:
        try:
            await self.quote(symbol)
        except ExchangeUnreachable:
            return  # the next bar or quote will tell
        self.venue.match_at_prices(self.clock.now_ms())


def _time(bar: Bar) -> int:
    return bar.time_ms
