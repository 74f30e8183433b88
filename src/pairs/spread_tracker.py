"""A pair's hedge, spread, mean, deviation and z bar by bar, the same to the last bit as of the whole series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pairs.hedge import Hedges, HedgeTracker, hedge_series
from pairs.spread import RollingSpread, rolling_statistics, transform
from pairs.windows import Array
from pairs.words import HedgeSpec, SpreadStatistics


@dataclass(frozen=True, slots=True)
class SpreadNow:
    """At the close of one bar; NaN where something is not known."""

    spread: float
    zscore: float
    hedge_ratio: float
    intercept: float
    mean: float
    std: float

    def statistics(self, prices: str) -> SpreadStatistics:
        """``prices``: of the hedge, log or level."""
        return SpreadStatistics(self.hedge_ratio, self.intercept, self.mean, self.std, prices)


@dataclass(frozen=True, slots=True)
class SpreadWindow:
    """What z is measured by: ``bars`` of the rolling mean and deviation, with the bar itself or without; ``ddof``."""

    bars: int = 100
    inclusive: bool = False
    ddof: int = 1

    def statistics(self, hedge: HedgeSpec, y: Array, x: Array, hedges: Hedges) -> RollingSpread:
        """One hedge for a whole window; with kalman each bar's own error, as the filter saw it."""
        if hedge.method == "kalman":
            y, x, intercepts = hedges.errors, np.zeros(len(y)), np.zeros(len(y))
        else:
            intercepts = hedges.intercepts
        return rolling_statistics(y, x, hedges.ratios, intercepts, self.bars, inclusive=self.inclusive, ddof=self.ddof)


def spread_series(
    hedge: HedgeSpec, window: SpreadWindow, close_a: Array, close_b: Array, *, bar_numbers: Array
) -> tuple[Hedges, RollingSpread]:
    """Every bar of two aligned legs at once; ``hedges.errors`` is the spread by the hedge of each bar."""
    y, x = transform(close_a, hedge.prices), transform(close_b, hedge.prices)
    hedges = hedge_series(hedge, y, x, bar_numbers)
    return hedges, window.statistics(hedge, y, x, hedges)


class SpreadTracker:
    """Takes a bar at a time. ``bars_needed``: the trailing bars that a step reads, once there are so many."""

    def __init__(self, hedge: HedgeSpec, window: SpreadWindow) -> None:
        self._hedge, self._window = hedge, window
        self._hedges = HedgeTracker(hedge, keep=window.bars + 1)
        self.bars_needed = max(window.bars + 1, hedge.window)

    def step(self, y: Array, x: Array, bar_numbers: Array) -> SpreadNow:
        """A new bar, the last of the trailing arrays of transformed prices; ``bar_numbers`` as in ``hedge_series``."""
        now = self._hedges.step(y, x, bar_numbers)
        y, x = y[-self._window.bars - 1 :], x[-self._window.bars - 1 :]
        hedges = self._hedges.last_hedges(y, x)
        result = self._window.statistics(self._hedge, y, x, hedges)
        return SpreadNow(
            float(hedges.errors[-1]),
            float(result.zscore[-1]),
            now.ratio,
            now.intercept,
            float(result.mean[-1]),
            float(result.std[-1]),
        )
