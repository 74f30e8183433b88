"""SuperTrend, which Backtrader does not bring along."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt


class SuperTrend(bt.Indicator):
    """A trailing band of the average true range that flips side when the close breaks through it.

    With ``m = (high + low) / 2`` the raw bands are ``m ± multiplier * ATR`` (ATR: Wilder's, of ``period``). The upper
    band may only fall while the close stays at or below it, the lower one only rise while it stays at or
    above that.
    ``direction`` is +1 while the lower band carries the price and -1 while the upper one caps it; it starts at +1 when
    the first close is at or above ``m``. ``supertrend`` is the band in force. NaN prices give NaN.

    After Olivier Seban's indicator, with the bands as charting packages draw them.
    """

    lines: Any = ("supertrend", "direction", "upper", "lower")
    params: Any = (("period", 10), ("multiplier", 3.0))
    plotinfo = {"subplot": False}

    def __init__(self) -> None:
        middle = (self.data.high + self.data.low) / 2.0
        width = bt.ind.ATR(self.data, period=self.p.period) * self.p.multiplier
        self.middle, self.raw_upper, self.raw_lower = middle, middle + width, middle - width

    def nextstart(self) -> None:
        self._restart()

    def next(self) -> None:
        if math.isnan(self.lines.direction[-1]):
            self._restart()
            return
        last_close = self.data.close[-1]
        upper, lower = self.lines.upper[-1], self.lines.lower[-1]
        upper = min(self.raw_upper[0], upper) if last_close <= upper else self.raw_upper[0]
        lower = max(self.raw_lower[0], lower) if last_close >= lower else self.raw_lower[0]
        was_up = self.lines.direction[-1] > 0
        is_up = self.data.close[0] >= lower if was_up else self.data.close[0] > upper
        self._store(upper, lower, is_up)

    def _restart(self) -> None:
        self._store(self.raw_upper[0], self.raw_lower[0], self.data.close[0] >= self.middle[0])

    def _store(self, upper: float, lower: float, is_up: bool) -> None:
        known = math.isfinite(upper + lower + self.raw_upper[0] + self.data.close[0])
        self.lines.upper[0] = upper if known else math.nan
        self.lines.lower[0] = lower if known else math.nan
        self.lines.direction[0] = (1.0 if is_up else -1.0) if known else math.nan
        self.lines.supertrend[0] = (lower if is_up else upper) if known else math.nan
