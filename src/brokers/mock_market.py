"""A market made up from a seed: cointegrated pairs, random walks, jumps, gaps and volume.

The same seed gives the same bars on every platform: the generator is PCG64, each symbol draws from a stream of its own,
and prices are rounded to ticks, far above the last bit in which machines differ.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from brokers.market_rules import tick_and_step
from ccxt_bt_bridge.series import BarSeries, interval_ms
from pairs.symbols import compact_symbol
from pairs.words import Pair

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01T00:00Z, the open of the first bar
FIRST_PRICES = {
    "BTCUSDT": 60_000.0,
    "ETHUSDT": 3_000.0,
    "BNBUSDT": 550.0,
    "SOLUSDT": 150.0,
    "LTCUSDT": 80.0,
    "BCHUSDT": 400.0,
    "LINKUSDT": 15.0,
    "DOTUSDT": 7.0,
    "NEARUSDT": 4.0,
    "XRPUSDT": 0.6,
    "ADAUSDT": 0.5,
    "DOGEUSDT": 0.15,
}
HOURLY_VOLATILITY = 0.006
SHARED_SHARE = 0.5  # how much of a walk's variance is the market's
CLUSTERING = (0.08, 0.9)  # weights of the last squared return and of the last variance
JUMP_SIZE = (0.02, 0.05)
SPREAD_JUMP_SIZE = (3.0, 6.0)  # in stationary standard deviations of the spread
LONGEST_GAP_BARS = 3
QUIET_BARS = 2  # no gap at either end


@dataclass(frozen=True, slots=True)
class MockPair:
    """``ln A = intercept + hedge_ratio · ln B + s``; ``s`` reverts with ``half_life_bars`` around 0.

    ``spread_std``: the stationary deviation of s in logs. Without ``cointegrated`` both legs walk on their own.
    """

    leg_a: str
    leg_b: str
    hedge_ratio: float = 1.0
    half_life_bars: float = 18.0
    spread_std: float = 0.012
    cointegrated: bool = True

    @classmethod
    def of(cls, pair: Pair) -> MockPair:
        """The market that the config's pair expects (its defaults where the pair leaves them open)."""
        if pair.leg_b is None:
            raise ValueError(f"{pair.pair_id} has one leg; pass its symbol as a random walk instead")
        ratio = 1.0 if pair.hedge.ratio is None else pair.hedge.ratio
        return cls(pair.leg_a, pair.leg_b, ratio, 18.0 if pair.half_life_bars is None else pair.half_life_bars)


class MockMarket:
    """``bars`` bars per symbol at ``interval``, before gaps. ``symbols`` walk at random; ``pairs`` may share symbols.

    ``gaps_per_1000``: holes of one to three bars, half of them in every symbol at once. ``jumps_per_1000``: jumps of a
    walk, and as many of one leg of a pair alone.
    """

    def __init__(
        self,
        seed: int,
        bars: int,
        interval: str,
        *,
        pairs: Sequence[MockPair] = (),
        symbols: Iterable[str] = (),
        gaps_per_1000: float = 1.0,
        jumps_per_1000: float = 0.5,
        start_ms: int = START_MS,
    ) -> None:
        if bars < 1 or seed < 0:
            raise ValueError(f"expected at least one bar and a seed of 0 or more, found bars={bars}, seed={seed}")
        self._seed, self._bars, self._interval_ms = seed, bars, interval_ms(interval)
        self._pairs, self._symbols = tuple(pairs), tuple(map(compact_symbol, symbols))
        self._gap_rate, self._jump_rate = gaps_per_1000 / 1000.0, jumps_per_1000 / 1000.0
        self._start_ms = start_ms
        self._volatility = HOURLY_VOLATILITY * math.sqrt(self._interval_ms / HOUR_MS)

    def series(self) -> dict[str, BarSeries]:
        """Bars by compact symbol, in order of first mention."""
        log_prices: dict[str, np.ndarray] = {}
        for pair in self._pairs:
            self._add_pair(log_prices, pair)
        for symbol in self._symbols:
            if symbol not in log_prices:
                log_prices[symbol] = self._walk(symbol)
        return {symbol: self._bars_of(symbol, path) for symbol, path in log_prices.items()}

    def _add_pair(self, log_prices: dict[str, np.ndarray], pair: MockPair) -> None:
        """Give the pair's missing legs a path; a leg that an earlier pair made keeps its own."""
        a, b = compact_symbol(pair.leg_a), compact_symbol(pair.leg_b)
        if not pair.cointegrated:
            for symbol in (a, b):
                if symbol not in log_prices:
                    log_prices[symbol] = self._walk(symbol)
            return
        if a in log_prices and b not in log_prices:
            deviation = log_prices[a] - math.log(_first_price(a)) - self._spread(pair)
            log_prices[b] = math.log(_first_price(b)) + deviation / pair.hedge_ratio
        if b not in log_prices:
            log_prices[b] = self._walk(b)
        if a not in log_prices:
            deviation = log_prices[b] - math.log(_first_price(b))
            log_prices[a] = math.log(_first_price(a)) + pair.hedge_ratio * deviation + self._spread(pair)

    def _walk(self, symbol: str) -> np.ndarray:
        """Log closes: a random walk with a common factor, clustered volatility and rare jumps."""
        own = self._stream(symbol).standard_normal(self._bars)
        shared = self._stream("market").standard_normal(self._bars)
        shocks = math.sqrt(SHARED_SHARE) * shared + math.sqrt(1.0 - SHARED_SHARE) * own
        returns = self._cluster(shocks) + self._jumps(f"{symbol} jumps", *JUMP_SIZE)
        return math.log(_first_price(symbol)) + np.cumsum(returns)

    def _cluster(self, shocks: np.ndarray) -> np.ndarray:
        """GARCH(1,1) returns whose long-run deviation is the market's volatility."""
        recent, persistent = CLUSTERING
        base = self._volatility**2
        variance, returns = base, []
        for shock in shocks.tolist():
            change = math.sqrt(variance) * shock
            returns.append(change)
            variance = (1.0 - recent - persistent) * base + recent * change**2 + persistent * variance
        return np.array(returns)

    def _spread(self, pair: MockPair) -> np.ndarray:
        """An Ornstein-Uhlenbeck path with the pair's half-life, started in its stationary state."""
        name = f"{compact_symbol(pair.leg_a)}/{compact_symbol(pair.leg_b)}"
        phi = 2.0 ** (-1.0 / max(pair.half_life_bars, 1.0))
        shocks = self._stream(name).standard_normal(self._bars + 1) * pair.spread_std
        jumps = self._jumps(f"{name} jumps", *SPREAD_JUMP_SIZE) * pair.spread_std
        innovations = (shocks[1:] * math.sqrt(1.0 - phi**2) + jumps).tolist()
        value, path = float(shocks[0]), []
        for innovation in innovations:
            value = phi * value + innovation
            path.append(value)
        return np.array(path)

    def _jumps(self, name: str, smallest: float, largest: float) -> np.ndarray:
        stream = self._stream(name)
        happens = stream.random(self._bars) < self._jump_rate
        signs = np.where(stream.random(self._bars) < 0.5, -1.0, 1.0)
        return happens * signs * stream.uniform(smallest, largest, self._bars)

    def _bars_of(self, symbol: str, log_closes: np.ndarray) -> BarSeries:
        tick = float(tick_and_step(_first_price(symbol))[0])
        stream = self._stream(f"{symbol} bars")
        noise, up, down, volume = stream.standard_normal((4, self._bars))
        close = _to_ticks(np.exp(log_closes), tick)
        before = np.concatenate(([_to_ticks(np.array([_first_price(symbol)]), tick)[0]], close[:-1]))
        opened = _to_ticks(before * (1.0 + 0.02 * self._volatility * noise), tick)
        reach = 0.4 * self._volatility
        high = np.maximum(
            _to_ticks(np.maximum(opened, close) * (1.0 + reach * np.abs(up)), tick), np.maximum(opened, close)
        )
        low = np.minimum(
            _to_ticks(np.minimum(opened, close) * (1.0 - reach * np.abs(down)), tick), np.minimum(opened, close)
        )
        moved = np.abs(close / opened - 1.0) / self._volatility
        traded = np.round(2e6 / close * np.exp(0.5 * volume) * (1.0 + moved), 3)
        time_ms = self._start_ms + self._interval_ms * np.arange(1, self._bars + 1, dtype=np.int64)
        series = BarSeries(symbol, self._interval_ms, time_ms, opened, high, low, close, traded)
        return series.take(np.flatnonzero(~self._missing(symbol)))

    def _missing(self, symbol: str) -> np.ndarray:
        """True where the symbol has no bar: outages of the exchange, and holes of its own."""
        return self._holes("exchange gaps") | self._holes(f"{symbol} gaps")

    def _holes(self, name: str) -> np.ndarray:
        stream = self._stream(name)
        begins = np.flatnonzero(stream.random(self._bars) < self._gap_rate / 2.0)
        lengths = stream.integers(1, LONGEST_GAP_BARS + 1, size=len(begins))
        holes = np.zeros(self._bars, dtype=bool)
        for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True):
            holes[begin : begin + length] = True
        holes[:QUIET_BARS] = holes[-QUIET_BARS:] = False
        return holes

    def _stream(self, name: str) -> np.random.Generator:
        """A generator of its own per name, so that adding a symbol changes no other's bars."""
        return np.random.Generator(np.random.PCG64([self._seed, zlib.crc32(name.encode())]))


def _first_price(symbol: str) -> float:
    """A price to start from: between 0.2 and 200, by the symbol's name, where none is listed."""
    share = zlib.crc32(symbol.encode()) / 2**32
    return FIRST_PRICES.get(symbol, float(f"{0.2 * 1000.0**share:.3g}"))


def _to_ticks(prices: np.ndarray, tick: float) -> np.ndarray:
    """Onto the tick, at least one of it, as the shortest decimal."""
    decimals = max(0, round(-math.log10(tick)))
    return np.round(np.maximum(np.round(prices / tick), 1.0) * tick, decimals)
