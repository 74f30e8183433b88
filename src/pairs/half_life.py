"""How many bars a spread needs to lose half of its distance from its mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from pairs.windows import FLAT, Array, equal_series

LEVEL = 0.90


@dataclass(frozen=True, slots=True)
class HalfLife:
    """``bars`` with its 90 % interval ``low`` .. ``high``; all NaN when it cannot be measured.

    ``phi`` is the share of a deviation left after one bar. ``noise`` is True when phi is not positive: less than one
    bar, ``bars`` is 0.
    """

    bars: float
    low: float
    high: float
    phi: float
    noise: bool = False


def half_life(spread: ArrayLike) -> HalfLife:
    """Half-life of an AR(1) fitted to the spread (oldest first; bars next to a NaN are left out).

    Regress ``Δs`` on ``s₋₁`` and a constant, slope b, ``φ = 1 + b``: ``-ln 2 / ln φ`` bars for 0 < φ < 1, infinite
    for φ >= 1, 0 and noise for φ <= 0. The interval maps ``φ ± 1.645`` standard errors of the slope. Least squares
    biases φ downwards, so a short sample gives too short a half-life (Kendall 1954, Note on bias in the estimation of
    autocorrelation).

    >>> round(half_life([8.0, 4.0, 2.0, 1.0, 0.5]).bars, 9)
    1.0
    >>> half_life([1.0, 2.0, 4.0, 8.0]).bars
    inf
    """
    (values,) = equal_series(spread)
    before, change = values[:-1], np.diff(values)
    known = np.isfinite(before) & np.isfinite(change)
    slope, error = _slope(change[known], before[known])
    if not math.isfinite(slope):
        return HalfLife(math.nan, math.nan, math.nan, math.nan)
    phi = 1.0 + slope
    margin = NormalDist().inv_cdf((1.0 + LEVEL) / 2.0) * error
    return HalfLife(_bars(phi), _bars(phi - margin), _bars(phi + margin), phi, noise=phi <= 0.0)


def half_lives(phi: Array, error: Array) -> tuple[Array, Array, Array]:
    """``bars``, ``low`` and ``high`` of many spreads, from their ``phi`` and its standard errors."""
    margin = NormalDist().inv_cdf((1.0 + LEVEL) / 2.0) * error
    with np.errstate(all="ignore"):  # np.where computes both sides
        found = [
            np.where(share <= 0.0, 0.0, np.where(share >= 1.0, np.inf, -math.log(2.0) / np.log(share)))
            for share in (phi, phi - margin, phi + margin)
        ]
    return found[0], found[1], found[2]


def _bars(phi: float) -> float:
    if phi <= 0.0:
        return 0.0
    return math.inf if phi >= 1.0 else -math.log(2.0) / math.log(phi)


def _slope(change: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    """Least-squares slope with a constant, and its standard error; NaN when fewer than three points or a flat level."""
    points = len(before)
    if points < 3:
        return math.nan, math.nan
    with np.errstate(all="ignore"):
        level, move = before - before.mean(), change - change.mean()
        squares = float((level * level).sum())
        if not math.sqrt(squares / points) > FLAT * abs(float(before.mean())):
            return math.nan, math.nan
        slope = float((level * move).sum()) / squares
        residual = move - slope * level
        return slope, math.sqrt(float((residual * residual).sum()) / (points - 2) / squares)
