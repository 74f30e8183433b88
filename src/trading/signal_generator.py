"""Signals of a pair from every price: z between bars, how strong it is, and what it asks for. Alone or under the bot.

While a trade is open z is measured by the statistics frozen at its entry, else by those of the last closed bar; at a
bar's close it is the bar's own z, to the last bit.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from ccxt_bt_bridge.aligner import Step
from ccxt_bt_bridge.bt_time import datetime_to_ms, ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort
from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.words import Quote
from pairs.spread import transform
from pairs.spread_tracker import SpreadNow, SpreadTracker
from pairs.symbols import compact_symbol, quote_currency
from pairs.words import Direction, HedgeSpec, PairPosition, SpreadStatistics
from trading.config.model import Config
from trading.live.prices import LivePrices
from trading.signal_stream import SignalStream
from trading.signal_terms import SignalTerms
from trading.signals import SignalStrength, SignalType, TradingSignal

log = logging.getLogger(__name__)

Callback = Callable[[TradingSignal], Awaitable[object] | object]
DEFAULT_QUOTE = "USDT"


@dataclass(frozen=True, slots=True)
class _Trade:
    direction: Direction
    statistics: SpreadStatistics


class SignalGenerator:
    """``pair_x`` is the dependent variable; ``BTC`` means BTCUSDT. ``hedge_ratio``: β of the logs, or a HedgeSpec.

    ``position``: the pair's open position, for who has one; without it a trade is open from an entry signal to the
    next exit signal. ``market`` and ``clock``: where ``start`` takes prices from; by default Binance's public ones,
    as the config says.
    """

    def __init__(
        self,
        pair_x: str,
        pair_y: str,
        hedge_ratio: float | HedgeSpec,
        config: Config | SignalTerms | None = None,
        *,
        pair_id: str | None = None,
        position: Callable[[], PairPosition | None] | None = None,
        market: MarketPort | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.pair_x, self.pair_y = pair_x, pair_y
        self.pair_id = pair_id or f"{pair_x}_{pair_y}"
        self.symbols = (market_symbol(pair_x), market_symbol(pair_y))
        self.terms = terms = SignalTerms.of(config)
        self.hedge = _hedge(hedge_ratio, terms)
        self._tracker = SpreadTracker(self.hedge, terms.window)
        self.bars_needed = self._tracker.bars_needed
        self._stream = SignalStream((self,), terms, market, clock)
        self._position = position
        self._callbacks: list[Callback] = []
        self._telling = asyncio.Lock()
        self._closes: list[tuple[float, float, int]] = []
        self._live = LivePrices(max_jump_pct=terms.max_jump_pct, tell=log.warning)
        self._bar: SpreadNow | None = None
        self._own_trade: _Trade | None = None
        self._prices: Mapping[str, float] = {}
        self._time_ms = 0
        self._is_near = False
        self._sent_ms: dict[SignalType, int] = {}
        self._last_signal: TradingSignal | None = None
        self.zscore = math.nan

    # who listens

    def register_signal_callback(self, callback: Callback) -> None:
        """Called, or awaited, with every signal, one at a time; one that raises is logged and called again."""
        self._callbacks.append(callback)

    async def tell(self, signal: TradingSignal) -> None:
        async with self._telling:
            for callback in self._callbacks:
                try:
                    answer = callback(signal)
                    if inspect.isawaitable(answer):
                        await answer
                except Exception:
                    log.exception("signal_callback_failed pair=%s", self.pair_id)

    # what comes in

    async def on_price_update(self, symbol: str, price: float | Decimal, timestamp: datetime) -> TradingSignal | None:
        """A price of one leg. Returns the signal it made, after every callback has had it. What is no number is
        doubted as one that is too far off is; raises TypeError or ValueError for what is no time."""
        if not isinstance(timestamp, datetime):
            raise TypeError(f"timestamp {timestamp!r}: a datetime with a time zone was wanted")
        quote = Quote(market_symbol(symbol), _price(price), datetime_to_ms(timestamp))
        signal = self.take_price(quote)
        if signal is not None:
            await self.tell(signal)
        return signal

    def take_price(self, quote: Quote) -> TradingSignal | None:
        """As ``on_price_update``, told to nobody. A price that is doubted, or whose other leg is old, does nothing."""
        prices = self._live.together(self.symbols) if self._live.admit(quote) else None
        return None if prices is None else self.take_prices(prices, quote.time_ms)

    def take_prices(self, prices: Mapping[str, float], time_ms: int) -> TradingSignal | None:
        """Prices of both legs of one moment."""
        price_a, price_b = (prices[symbol] for symbol in self.symbols)
        statistics = self._statistics()
        self.zscore = math.nan if statistics is None else statistics.zscore(price_a, price_b)
        return self._signal(prices, time_ms)

    def take_step(self, step: Step) -> TradingSignal | None:
        """Both legs' bars of one close."""
        (bar_a, bar_b), length_ms = step, interval_ms(self.terms.interval)
        self._closes.append((bar_a.close, bar_b.close, bar_a.time_ms // length_ms))
        del self._closes[: -self.bars_needed]
        columns = np.array(self._closes, dtype="f8")
        y, x = (transform(columns[:, side], self.hedge.prices) for side in (0, 1))
        self._bar = self._tracker.step(y, x, columns[:, 2].astype("i8"))
        for bar in step:
            self._live.note_close(bar.symbol, bar.close)
        trade = self._trade()
        self.zscore = self._bar.zscore if trade is None else trade.statistics.zscore(bar_a.close, bar_b.close)
        return self._signal({bar.symbol: bar.close for bar in step}, bar_a.time_ms)

    # what is known

    def get_current_state(self) -> dict[str, Any]:
        """JSON values; what is not known yet is None."""
        statistics, trade = self._statistics(), self._trade()
        price_x, price_y = (self._prices.get(symbol) for symbol in self.symbols)
        return {
            "pair_x": self.pair_x,
            "pair_y": self.pair_y,
            "time": ms_to_datetime(self._time_ms).isoformat() if self._time_ms else None,
            "price_x": price_x,
            "price_y": price_y,
            "z_score": _known(self.zscore),
            "spread": self._spread(price_x, price_y),
            "strength": self._strength().value if math.isfinite(self.zscore) else None,
            **{name: _known(getattr(statistics, name, math.nan)) for name in ("mean", "std", "hedge_ratio")},
            "statistics": "last_bar" if trade is None else "frozen",
            "in_trade": None if trade is None else trade.direction.word,
            "bars": len(self._closes),
            "last_signal": None if self._last_signal is None else self._last_signal.signal_type.value,  # type: ignore[union-attr]
        }

    # running by itself

    async def start(self) -> None:
        """Take prices from the market until ``stop`` or its end. Raises BridgeError when there is none to be had."""
        await self._stream.run()

    start_streaming = start

    async def stop(self) -> None:
        """May be called again."""
        await self._stream.stop()

    # the parts

    def _trade(self) -> _Trade | None:
        if self._position is None:
            return self._own_trade
        position = self._position()
        if position is None or not position.is_open or position.statistics is None:
            return None
        return _Trade(position.direction, position.statistics)

    def _spread(self, price_x: float | None, price_y: float | None) -> float | None:
        statistics = self._statistics()
        if statistics is None or price_x is None or price_y is None:
            return None
        return _known(statistics.spread(price_x, price_y))

    def _statistics(self) -> SpreadStatistics | None:
        trade = self._trade()
        if trade is not None:
            return trade.statistics
        return None if self._bar is None else self._bar.statistics(self.hedge.prices)

    def _signal(self, prices: Mapping[str, float], time_ms: int) -> TradingSignal | None:
        self._prices, self._time_ms = prices, time_ms
        if not math.isfinite(self.zscore):
            return None
        trade = self._trade()
        wanted = self._entry() if trade is None else self._exit(trade.direction)
        if wanted is None or self._is_duplicate(wanted[0]):
            return None
        self._sent(wanted[0])
        self._last_signal = self._made(*wanted)
        return self._last_signal

    def _entry(self) -> tuple[SignalType, str] | None:
        """Only on a fresh crossing of the threshold, and short of the stop."""
        distance, terms = abs(self.zscore), self.terms
        if distance < terms.entry_z:
            self._is_near = True
        if not self._is_near or not terms.entry_z <= distance < terms.stop_z:
            return None
        return (SignalType.SELL if self.zscore > 0.0 else SignalType.BUY), "entry"

    def _exit(self, direction: Direction) -> tuple[SignalType, str] | None:
        losing = -direction.sign * self.zscore
        if losing >= self.terms.stop_z:
            return SignalType.EXIT, "stop"
        return (SignalType.EXIT, "reversion") if losing <= self.terms.exit_z else None

    def _is_duplicate(self, kind: SignalType) -> bool:
        sent_ms = self._sent_ms.get(kind)
        return sent_ms is not None and self._time_ms - sent_ms < self.terms.suppress_s * 1_000.0

    def _sent(self, kind: SignalType) -> None:
        """An exit is the duplicate of one of the same trade only."""
        self._is_near = abs(self.zscore) < self.terms.entry_z
        self._sent_ms[kind] = self._time_ms
        if kind is SignalType.EXIT:
            self._own_trade = None
            return
        self._sent_ms.pop(SignalType.EXIT, None)
        statistics = self._statistics()
        if self._position is None and statistics is not None:
            self._own_trade = _Trade(Direction.LONG if kind is SignalType.BUY else Direction.SHORT, statistics)

    def _made(self, kind: SignalType, reason: str) -> TradingSignal:
        terms = self.terms
        return TradingSignal(
            timestamp=ms_to_datetime(self._time_ms),
            pair_x=self.pair_x,
            pair_y=self.pair_y,
            signal_type=kind,
            z_score=self.zscore,
            confidence=min(1.0, abs(self.zscore) / terms.stop_z),
            strength=self._strength(),
            suggested_position_size=terms.position_size,
            stop_loss_z=terms.stop_z if math.isfinite(terms.stop_z) else None,
            take_profit_z=terms.exit_z,
            statistics=self._statistics(),
            strategy_id=self.pair_id,
            reason=reason,
        )

    def _strength(self) -> SignalStrength:
        return SignalStrength.of(abs(self.zscore), entry=self.terms.entry_z, stop=self.terms.stop_z)


class MultiPairSignalGenerator:
    """Several pairs on one market. ``pairs_with_hedges``: ``(pair_x, pair_y, hedge_ratio)`` each."""

    def __init__(
        self,
        pairs_with_hedges: Iterable[tuple[str, str, float | HedgeSpec]],
        config: Config | SignalTerms | None = None,
        *,
        market: MarketPort | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.generators = tuple(SignalGenerator(x, y, ratio, config) for x, y, ratio in pairs_with_hedges)
        self._stream = SignalStream(self.generators, SignalTerms.of(config), market, clock)

    def register_signal_callback(self, callback: Callback) -> None:
        for generator in self.generators:
            generator.register_signal_callback(callback)

    async def on_price_update(
        self, symbol: str, price: float | Decimal, timestamp: datetime
    ) -> tuple[TradingSignal, ...]:
        """A price of one symbol, for every pair that it is a leg of."""
        concerned = [one for one in self.generators if market_symbol(symbol) in one.symbols]
        signals = [await generator.on_price_update(symbol, price, timestamp) for generator in concerned]
        return tuple(signal for signal in signals if signal is not None)

    def get_current_state(self) -> dict[str, dict[str, Any]]:
        """By pair, as ``pair_x`` and ``pair_y`` joined by an underscore."""
        return {generator.pair_id: generator.get_current_state() for generator in self.generators}

    async def start(self) -> None:
        """As that of ``SignalGenerator``."""
        await self._stream.run()

    start_streaming = start

    async def stop(self) -> None:
        """May be called again."""
        await self._stream.stop()


def market_symbol(name: str) -> str:
    """Any notation, compact; a name without a quote currency is traded in USDT."""
    return compact_symbol(name) if quote_currency(name) else compact_symbol(name) + DEFAULT_QUOTE


def _hedge(hedge_ratio: float | HedgeSpec, terms: SignalTerms) -> HedgeSpec:
    if isinstance(hedge_ratio, HedgeSpec):
        return hedge_ratio
    if terms.uses_kalman:
        return HedgeSpec("kalman")
    return HedgeSpec("fixed", ratio=hedge_ratio, window=terms.window.bars)


def _price(given: object) -> Decimal:
    """NaN for what is no number."""
    try:
        return Decimal(repr(float(str(given))))
    except ValueError:
        return Decimal("NaN")


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
