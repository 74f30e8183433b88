"""The market that the simulated exchange plays: bars of several symbols on one time grid.

A *moment* is a time at which some bar closes or opens. Symbols without a bar at a moment are simply absent.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from decimal import Decimal

import numpy as np

from brokers.fills import as_decimal
from brokers.simulated.views import FormingBar
from ccxt_bt_bridge.series import BarSeries
from ccxt_bt_bridge.words import Bar


class MarketSource:
    """Series by compact symbol, all of one interval. From a ``MockMarket`` or from files alike."""

    def __init__(self, series: Mapping[str, BarSeries]) -> None:
        intervals = {one.interval_ms for one in series.values()}
        if len(intervals) != 1:
            raise ValueError(f"a market needs series of one interval, found {sorted(intervals) or 'no series'}")
        empty = [symbol for symbol, one in series.items() if not len(one)]
        if empty:
            raise ValueError(f"no bars for {', '.join(empty)}; leave these symbols out")
        self.series = dict(series)
        self.interval_ms = intervals.pop()
        self.closes_ms = _union(one.time_ms for one in self.series.values())
        self.moments_ms = _union((self.closes_ms, self.closes_ms - self.interval_ms))

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.series)

    @property
    def end_ms(self) -> int:
        return int(self.closes_ms[-1])

    def digest(self) -> str:
        """A hash of every bar: two sources with one digest are one market."""
        digest = hashlib.sha256()
        for symbol, one in self.series.items():
            digest.update(symbol.encode())
            for column in one.columns:
                digest.update(column.tobytes())
        return digest.hexdigest()

    def start_ms(self, warmup_bars: int) -> int:
        """When market time begins: the close of the last warm-up step (the first open without warm-up)."""
        if not 0 <= warmup_bars < len(self.closes_ms):
            raise ValueError(
                f"the market has {len(self.closes_ms)} time steps; a warm-up of {warmup_bars} leaves none to trade"
            )
        return int(self.closes_ms[warmup_bars - 1]) if warmup_bars else int(self.moments_ms[0])

    def moments_after(self, time_ms: int) -> list[int]:
        """Moments later than ``time_ms``, in order."""
        return self.moments_ms[np.searchsorted(self.moments_ms, time_ms, side="right") :].tolist()

    def first_prices(self) -> dict[str, float]:
        """The first close of each symbol."""
        return {symbol: float(one.close[0]) for symbol, one in self.series.items()}


class RecordedTape:
    """A ``Tape``: what can be known at one moment of a source. Never shows more of a forming bar than its open."""

    def __init__(self, source: MarketSource, time_ms: int) -> None:
        self.source = source
        self.time_ms = time_ms
        self._halted_until: dict[str, int] = {}
        self._closes = {symbol: one.time_ms.tolist() for symbol, one in source.series.items()}
        self._done = {symbol: _count_until(one, time_ms) for symbol, one in source.series.items()}
        self._opens: dict[str, tuple[int, Decimal]] = {}

    def advance(self, time_ms: int) -> tuple[Bar, ...]:
        """Go to ``time_ms`` and return the bars that close on the way."""
        self.time_ms = time_ms
        closed = []
        for symbol, times in self._closes.items():
            at = self._done[symbol]
            while at < len(times) and times[at] <= time_ms:
                closed.append(self.source.series[symbol].bar(at))
                at += 1
            self._done[symbol] = at
        return tuple(closed)

    def forming(self, symbol: str) -> FormingBar | None:
        """The bar that is forming now; None when none is: halted, not begun or over."""
        at = self._forming_at(symbol)
        if at is None:
            return None
        close_ms = self._closes[symbol][at]
        return FormingBar(symbol, close_ms - self.source.interval_ms, close_ms, self._open(symbol, at))

    def _open(self, symbol: str, at: int) -> Decimal:
        """Asked for far more often than it changes."""
        known = self._opens.get(symbol)
        if known is None or known[0] != at:
            known = self._opens[symbol] = at, as_decimal(self.source.series[symbol].open[at])
        return known[1]

    def _forming_at(self, symbol: str) -> int | None:
        at, times = self._done[symbol], self._closes[symbol]
        has_begun = at < len(times) and times[at] - self.source.interval_ms <= self.time_ms
        return at if has_begun else None

    def price(self, symbol: str) -> Decimal | None:
        """The open of the bar that is forming now; None when none is."""
        at = self._forming_at(symbol)
        if at is None or self.time_ms < self._halted_until.get(symbol, 0):
            return None
        return self._open(symbol, at)

    def last_bars(self) -> list[Bar]:
        """The last closed bar of each symbol that has one."""
        return [self.source.series[symbol].bar(done - 1) for symbol, done in self._done.items() if done]

    def last_close(self, symbol: str) -> Decimal | None:
        """The close of the last closed bar, None before the first."""
        at = self._done[symbol]
        return as_decimal(self.source.series[symbol].close[at - 1]) if at else None

    def valuation(self, symbol: str) -> Decimal | None:
        return self.price(symbol) or self.last_close(symbol)

    def mark(self, symbol: str) -> Decimal | None:
        return self.last_close(symbol) or self.price(symbol)

    def covers(self, bar: Bar, created_ms: int) -> bool:
        """Always: the recorded price stays at the open until the bar closes, and then shows its range."""
        return bar.time_ms >= self._halted_until.get(bar.symbol, 0)

    def halt(self, symbol: str, until_ms: int) -> None:
        """There is no price of the symbol until then, though its bars go on."""
        self._halted_until[symbol] = until_ms

    def has_begun(self, symbol: str) -> bool:
        return self._done[symbol] > 0 or self.forming(symbol) is not None

    def is_over(self, symbol: str) -> bool:
        """True when no bar of the symbol will follow."""
        return self._done[symbol] >= len(self._closes[symbol])

    def klines(self, symbol: str, *, since_ms: int | None = None, until_ms: int | None = None, limit: int) -> list[Bar]:
        """Closed bars whose close lies between the two times, both included, oldest first.

        At most ``limit``: the first ones from ``since_ms`` on where it is given, else the last ones.
        """
        closes = self._closes[symbol]
        done = self._done[symbol]
        start = 0 if since_ms is None else bisect_left(closes, since_ms, hi=done)
        stop = done if until_ms is None else bisect_right(closes, until_ms, hi=done)
        if since_ms is None:
            start = max(0, stop - limit)
        return [self.source.series[symbol].bar(at) for at in range(start, min(stop, start + limit))]


def _union(times) -> np.ndarray:
    return np.unique(np.concatenate(list(times)))


def _count_until(series: BarSeries, time_ms: int) -> int:
    return int(np.searchsorted(series.time_ms, time_ms, side="right"))
