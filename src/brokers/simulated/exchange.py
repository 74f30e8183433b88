"""The simulated exchange: every port of the bridge, in process, on the event loop and by the injected clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from brokers.funding import FundingSchedule
from brokers.market_rules import markets_for
from brokers.simulated.faults import Fault, FaultPlan
from brokers.simulated.source import MarketSource, RecordedTape
from brokers.simulated.store import ExchangeStore
from brokers.simulated.trading import SimulatedTrading
from brokers.simulated.venue import OPENING_SETTINGS, Venue, VenueTerms
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import MarketClosed, MarketHalted, MarketUnknown
from ccxt_bt_bridge.words import AccountSettings, Bar, Market, Quote, UserEvent


def market_start_ms(source: MarketSource, store: ExchangeStore, *, warmup_bars: int) -> int:
    """Where market time stands when the exchange is opened: the clock's epoch. A resumed run goes on where it was."""
    resumed = store.market_ms
    return source.start_ms(warmup_bars) if resumed is None else resumed


class SimulatedExchange(SimulatedTrading):
    """A ``MarketPort``, a ``TradingPort`` and an ``AccountPort``.

    The first ``warmup_bars`` time steps are history; the caller starts ``run_market()`` as a task. ``latency_ms`` and
    ``horizon_ms``: see ``SimulatedTrading``. ``initial_balance`` and ``settings`` count for a new run only; a resumed
    one has its account from the store. ``taker_fee`` as a fraction, ``maintenance_margin_pct`` of gross, 0 to 100;
    ``max_volume_share``, ``book_depth`` and ``fees_in_base``: see ``VenueTerms``. Spot or futures: as the ``markets``.
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
        settings: AccountSettings = OPENING_SETTINGS,
        max_volume_share: Decimal | None = None,
        book_depth: Decimal | None = None,
        fees_in_base: bool = True,
    ) -> None:
        start_ms = market_start_ms(source, store, warmup_bars=warmup_bars)
        if store.market_ms is None:
            store.begin(market_ms=start_ms, initial=initial_balance)
        self.source, self.tape = source, RecordedTape(source, start_ms)
        plan = FaultPlan(faults, seed=fault_seed, memory=store)

        terms = VenueTerms(
            taker_fee,
            slippage_bps,
            leverage,
            maintenance_margin_pct,
            settings=settings,
            max_volume_share=max_volume_share,
            book_depth=book_depth,
            fees_in_base=fees_in_base,
        )

        def make_venue(publish: Callable[[UserEvent], None]) -> Venue:
            return Venue(
                self.tape,
                store,
                markets=markets or markets_for(source.symbols, source.first_prices(), taker_fee=taker_fee),
                funding=funding or {},
                terms=terms,
                publish=publish,
            )

        super().__init__(make_venue, store, faults=plan, clock=clock, latency_ms=latency_ms, horizon_ms=horizon_ms)

    @property
    def has_ended(self) -> bool:
        return self._store.ended

    async def run_market(self) -> None:
        """Walk the market to its end, moment by moment, as the clock allows. The bars end with it."""
        moments = self.source.moments_after(self.market_ms)
        for moment in moments:
            await self.clock.sleep_until(moment)
            self._disturb(moment)
            closed = self.venue.step(moment, is_last=moment == moments[-1])
            if closed:
                self._line.publish(closed)
            self._tell_prices(moment)
        self._bars.end()
        self._prices.end()

    def _tell_prices(self, moment_ms: int) -> None:
        """Of every symbol that trades: a recorded market knows no price between its moments."""
        if self._prices.has_readers and not self._line.is_down:
            for symbol in self.source.symbols:
                price = self.tape.price(symbol)
                if price is not None:
                    self._prices.publish(Quote(symbol, price, moment_ms))

    # market port

    async def markets(self) -> dict[str, Market]:
        fault = await self._ask("markets")
        return await self._answer(dict(self.venue.markets), fault)

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        """Closed bars up to market time. Raises ``MarketUnknown``."""
        fault = await self._ask("history", self._known(symbol))
        return await self._answer(self.tape.klines(symbol, limit=limit), fault)

    async def quote(self, symbol: str) -> Quote:
        """Raises ``MarketHalted`` while the symbol is halted: an old price is not a quote.

        ``MarketClosed`` means that it will not come back.
        """
        fault = await self._ask("quote", self._known(symbol))
        price = self.tape.price(symbol)
        if price is None and self.tape.is_over(symbol):
            raise MarketClosed(f"{symbol} trades no more")
        if price is None:
            raise MarketHalted(f"{symbol} does not trade at the moment; there is no quote")
        return await self._answer(Quote(symbol, price, self.clock.now_ms()), fault)

    def _known(self, symbol: str) -> str:
        if symbol not in self.source.series:
            raise MarketUnknown(f"this market has no {symbol}; it has {', '.join(self.source.symbols)}")
        return symbol
