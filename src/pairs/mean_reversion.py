"""How a spread moves about its mean: crossings, variance ratio, Hurst exponent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pairs.unit_root import finite_series


@dataclass(frozen=True, slots=True)
class VarianceRatio:
    """``ratio`` is 1 for a walk, below 1 for a series that reverts, above 1 for one that trends; ``pvalue`` of both
    sides against a walk whose volatility may change."""

    ratio: float
    statistic: float
    pvalue: float


def zero_crossings(spread: ArrayLike) -> int:
    """How often the series crosses its mean.

    >>> zero_crossings([1.0, -1.0, -2.0, 3.0, 4.0, -5.0])
    3
    """
    (values,) = finite_series(spread)
    above = values > values.mean()
    return int(np.count_nonzero(above[1:] != above[:-1]))


def variance_ratio(series: ArrayLike, bars: int = 2) -> VarianceRatio:
    """Variance of changes over ``bars`` bars ÷ ``bars`` times that of changes over one, overlapping, both unbiased.

    The statistic allows for heteroskedasticity: Lo & MacKinlay (1988), Stock market prices do not follow random walks,
    Review of Financial Studies 1, 41-66.

    Raises ValueError for a series that is not finite, constant, or not longer than ``bars`` + 1.

    >>> walk = np.random.default_rng(1).normal(size=4000).cumsum()
    >>> variance_ratio(walk, 4).pvalue > 0.05 > variance_ratio(np.diff(walk), 4).pvalue
    True
    """
    (values,) = finite_series(series)
    count = len(values) - 1
    if bars < 2 or count <= bars:
        raise ValueError(f"wanted at least 2 bars and a series longer than bars + 1, found {bars} and {len(values)}")
    mean = (values[-1] - values[0]) / count
    moves = np.diff(values) - mean
    squares = float(moves @ moves)
    longer = values[bars:] - values[:-bars] - bars * mean
    ratio = float(longer @ longer) / (bars * (count - bars + 1) * (1.0 - bars / count)) / (squares / (count - 1))
    error = math.sqrt(_asymptotic_variance(moves**2, squares, bars))
    statistic = (ratio - 1.0) / error if error > 0.0 else math.nan
    return VarianceRatio(ratio, statistic, math.erfc(abs(statistic) * math.sqrt(0.5)))


def _asymptotic_variance(moves_squared: np.ndarray, squares: float, bars: int) -> float:
    weights = [(2.0 * (bars - lag) / bars) ** 2 for lag in range(1, bars)]
    overlaps = [float(moves_squared[lag:] @ moves_squared[:-lag]) / squares**2 for lag in range(1, bars)]
    return sum(weight * overlap for weight, overlap in zip(weights, overlaps, strict=True))


def hurst(series: ArrayLike, max_lag: int = 64) -> float:
    """Hurst exponent H: the slope of ``ln std(s_{t+lag} - s_t)`` on ``ln lag``, for lags 1, 2, 4 .. ``max_lag``.

    Half for a walk, less for a series that reverts, more for one that trends. Lags longer than a quarter of the series
    are left out. NaN when fewer than two lags remain.

    >>> walk = np.random.default_rng(1).normal(size=4000).cumsum()
    >>> round(hurst(walk), 1), abs(hurst(np.diff(walk))) < 0.05
    (0.5, True)
    """
    (values,) = finite_series(series)
    lags = [2**power for power in range(max_lag.bit_length()) if 4 * 2**power <= len(values) and 2**power <= max_lag]
    spans = np.array([np.std(values[lag:] - values[:-lag]) for lag in lags])
    if len(lags) < 2 or not (spans > 0.0).all():
        return math.nan
    return float(np.polyfit(np.log(lags), np.log(spans), 1)[0])
