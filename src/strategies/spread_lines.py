"""A pair's statistics as a Backtrader indicator: vectorised in a backtest, bar by bar live, the same to the last bit.

Both ways call the same functions of ``pairs`` on the same windows, so a live run cannot see another z than a backtest.
NaN stands for "not ready"; the indicator adds no minimum period, so one late pair does not hold back the others.
"""

from __future__ import annotations

import array

import backtrader as bt
import numpy as np

from ccxt_bt_bridge.bt_time import num_to_ms
from pairs.spread import transform
from pairs.spread_tracker import SpreadTracker, SpreadWindow, spread_series

LINES = ("spread", "zscore", "hedge_ratio", "intercept", "mean", "std")

MISALIGNED = "the legs' bars are of different times; align them first: keep only the times that both legs have"


class SpreadLines(bt.Indicator):
    """Spread, z-score and the hedge in force of two datas whose bars are aligned one to one.

    Parameters: ``hedge`` (a HedgeSpec), ``window`` of the z, ``inclusive``, ``ddof``, ``interval_ms``.

    Raises ValueError when the legs' bars turn out to be of different times.
    """

    lines = LINES
    params = (("hedge", None), ("window", 100), ("inclusive", False), ("ddof", 1), ("interval_ms", 3_600_000))
    plotinfo = {"plot": False}

    def __init__(self) -> None:
        super().__init__()
        self._window = SpreadWindow(self.p.window, self.p.inclusive, self.p.ddof)
        self._tracker = SpreadTracker(self.p.hedge, self._window)
        self._seen = 0

    def once(self, start: int, end: int) -> None:
        if self.data0.datetime.array[:end] != self.data1.datetime.array[:end]:
            raise ValueError(MISALIGNED)
        close_a, close_b, stamps = (
            np.frombuffer(line.array, dtype="f8", count=end)
            for line in (self.data0.close, self.data1.close, self.data0.datetime)
        )
        bar_numbers = self._bar_numbers(stamps)
        hedges, result = spread_series(self.p.hedge, self._window, close_a, close_b, bar_numbers=bar_numbers)
        columns = (hedges.errors, result.zscore, hedges.ratios, hedges.intercepts, result.mean, result.std)
        for line, column in zip(self.lines, columns, strict=True):
            line.array = array.array("d", np.ascontiguousarray(column, dtype="f8").tobytes())

    def oncestart(self, start: int, end: int) -> None:
        """Nothing comes before the first bar: ``once`` writes the lines whole."""

    preonce = oncestart

    def next(self) -> None:
        # Live, the legs' bars of one close may come in two steps: the spread waits for the second.
        if not len(self.data0) == len(self.data1) > self._seen:
            return
        if self.data0.datetime[0] != self.data1.datetime[0]:
            raise ValueError(MISALIGNED)
        self._seen = len(self.data0)
        now = self._tracker.step(*self._tail(self._tracker.bars_needed))
        values = (now.spread, now.zscore, now.hedge_ratio, now.intercept, now.mean, now.std)
        for line, value in zip(self.lines, values, strict=True):
            line[0] = value

    prenext = nextstart = next

    def spread_window(self, size: int) -> np.ndarray:
        """The last ``size`` bars' spread by the hedge in force now (fewer bars when there are fewer)."""
        y, x, _ = self._tail(size)
        return y - self.lines.intercept[0] - self.lines.hedge_ratio[0] * x

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
