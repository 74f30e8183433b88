"""A pair's statistics as a Backtrader indicator: vectorised in a backtest, bar by bar live, the same to the last bit.

Both ways call the same functions of ``pairs`` on the same windows, so a live run cannot see another z than a backtest.
NaN stands for "not ready"; the indicator adds no minimum period, so one late pair does not hold back the others.
"""

from __future__ import annotations

import array

import backtrader as bt
import numpy as np
from ccxt_bt_bridge.bt_time import num_to_ms

from pairs.hedge import HedgeTracker, hedge_series
from pairs.spread import RollingSpread, kalman_statistics, rolling_statistics, transform

LINES = ("spread", "zscore", "hedge_ratio", "intercept", "mean", "std")


class SpreadLines(bt.Indicator):
    """Spread, z-score and the hedge in force of two datas whose bars are aligned one to one.

    Parameters: ``hedge`` (a HedgeSpec), ``window`` of the z, ``inclusive``, ``ddof``, ``interval_ms``.
    """

    lines = LINES
    params = (("hedge", None), ("window", 100), ("inclusive", False), ("ddof", 1), ("interval_ms", 3_600_000))
    plotinfo = {"plot": False}

    def __init__(self) -> None:
        super().__init__()
        self._hedges = HedgeTracker(self.p.hedge)
        self._seen = 0

    def once(self, start: int, end: int) -> None:
        close_a, close_b = (np.frombuffer(d.close.array, dtype="f8", count=end) for d in self.datas[:2])
        stamps = np.frombuffer(self.data0.datetime.array, dtype="f8", count=end)
        y, x = transform(close_a, self.p.hedge.prices), transform(close_b, self.p.hedge.prices)
        hedges = hedge_series(self.p.hedge, y, x, self._bar_numbers(stamps))
        self._write(self._statistics(y, x, hedges), hedges)

    def oncestart(self, start: int, end: int) -> None:
        """Nothing comes before the first bar: ``once`` writes the lines whole."""

    preonce = oncestart

    def next(self) -> None:
        if len(self.data0) == self._seen:
            return
        self._seen = len(self.data0)
        size = max(self.p.window + 1, self.p.hedge.window)
        y, x, numbers = self._tail(size)
        hedge = self._hedges.step(y, x, numbers)
        last = self._statistics_of_last(y, x, hedge)
        for line, value in zip(self.lines, last, strict=True):
            line[0] = value

    prenext = nextstart = next

    def spread_window(self, size: int) -> np.ndarray:
        """The last ``size`` bars' spread by the hedge in force now (fewer bars when there are fewer)."""
        y, x, _ = self._tail(size)
        return y - self.lines.intercept[0] - self.lines.hedge_ratio[0] * x

    def _statistics(self, y: np.ndarray, x: np.ndarray, hedges) -> RollingSpread:
        if self.p.hedge.method == "kalman":
            return kalman_statistics(y, x, hedges.ratios, hedges.intercepts, hedges.errors, hedges.variances)
        return rolling_statistics(
            y, x, hedges.ratios, hedges.intercepts, self.p.window, inclusive=self.p.inclusive, ddof=self.p.ddof
        )

    def _statistics_of_last(self, y: np.ndarray, x: np.ndarray, hedge) -> tuple[float, ...]:
        rows = self.p.window + 1
        y, x = y[-rows:], x[-rows:]
        result = self._statistics(y, x, hedge.repeated(len(y)))
        return (
            result.spread[-1],
            result.zscore[-1],
            hedge.ratio,
            hedge.intercept,
            result.mean[-1],
            result.std[-1],
        )

    def _tail(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count = min(size, len(self.data0))
        close_a, close_b, stamps = (
            np.asarray(line.get(size=count), dtype="f8")
            for line in (self.data0.close, self.data1.close, self.data0.datetime)
        )
        prices = self.p.hedge.prices
        return transform(close_a, prices), transform(close_b, prices), self._bar_numbers(stamps)

    def _bar_numbers(self, stamps: np.ndarray) -> np.ndarray:
        return num_to_ms(stamps) // self.p.interval_ms

    def _write(self, result: RollingSpread, hedges) -> None:
        columns = (result.spread, result.zscore, hedges.ratios, hedges.intercepts, result.mean, result.std)
        for line, column in zip(self.lines, columns, strict=True):
            line.array = array.array("d", np.ascontiguousarray(column, dtype="f8").tobytes())
