"""P-values and critical values of Dickey-Fuller and Engle-Granger statistics.

P-values: the response surfaces of MacKinnon (1994), Approximate asymptotic distribution functions for unit-root and
cointegration tests, Journal of Business & Economic Statistics 12, 167-176. Critical values: MacKinnon (2010), Critical
values for cointegration tests, Queen's Economics Department Working Paper 1227; without a constant (1996).

``series`` counts the series believed to be integrated: 1 for Dickey-Fuller, 2 for Engle-Granger on a pair. ``trend`` is
``"n"`` for none, ``"c"`` for a constant, ``"ct"`` for a constant and a line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pairs.windows import Array

SQRT_HALF = math.sqrt(0.5)


@dataclass(frozen=True, slots=True)
class Surface:
    """``p = Φ(polynomial of the statistic)``, ascending powers: ``left`` up to ``split``, ``right`` above it.

    Below ``least`` p is 0, above ``most`` it is 1.
    """

    least: float
    split: float
    most: float
    left: tuple[float, ...]
    right: tuple[float, ...]


SURFACES = {
    ("n", 1): Surface(-19.04, -1.04, math.inf, (0.6344, 1.2378, 3.2496e-2), (0.4797, 0.93557, -0.06999, 3.3066e-2)),
    ("n", 2): Surface(-19.62, -1.53, 1.51, (1.9129, 1.3857, 3.5322e-2), (1.5578, 0.8558, -0.2083, -3.3549e-2)),
    ("c", 1): Surface(-18.83, -1.61, 2.74, (2.1659, 1.4412, 3.8269e-2), (1.7339, 0.93202, -0.12745, -1.0368e-2)),
    ("c", 2): Surface(-18.86, -2.62, 0.92, (2.92, 1.5012, 3.9796e-2), (2.1945, 0.64695, -0.29198, -4.2377e-2)),
    ("ct", 1): Surface(-16.18, -2.89, 0.7, (3.2512, 1.6047, 4.9588e-2), (2.5261, 0.61654, -0.37956, -6.0285e-2)),
    ("ct", 2): Surface(-21.15, -3.19, 0.63, (3.6646, 1.5419, 3.6448e-2), (2.85, 0.5272, -0.36622, -5.1695e-2)),
}
# of 1, 5 and 10 %: coefficients of 1, 1/T, 1/T² and 1/T³
CRITICAL = {
    ("n", 1): ((-2.56574, -2.2358, -3.627, 0.0), (-1.941, -0.2686, -3.365, 31.223), (-1.61682, 0.2656, -2.714, 25.364)),
    ("c", 1): (
        (-3.43035, -6.5393, -16.786, -79.433),
        (-2.86154, -2.8903, -4.234, -40.04),
        (-2.56677, -1.5384, -2.809, 0.0),
    ),
    ("c", 2): (
        (-3.89644, -10.9519, -33.527, 0.0),
        (-3.33613, -6.1101, -6.823, 0.0),
        (-3.04445, -4.2412, -2.72, 0.0),
    ),
    ("c", 3): (
        (-4.29374, -14.4354, -33.195, 47.433),
        (-3.74066, -8.5632, -10.852, 27.982),
        (-3.45218, -6.2143, -3.718, 0.0),
    ),
    ("ct", 1): (
        (-3.95877, -9.0531, -28.428, -134.155),
        (-3.41049, -4.3904, -9.036, -45.374),
        (-3.12705, -2.5856, -3.925, -22.38),
    ),
    ("ct", 2): (
        (-4.32762, -15.4387, -35.679, 0.0),
        (-3.78057, -9.5106, -12.074, 0.0),
        (-3.49631, -7.0815, -7.538, 21.892),
    ),
}


def p_value(statistic: float, *, series: int = 1, trend: str = "c") -> float:
    """The share of unit-root samples with a statistic at least as negative; NaN for NaN.

    >>> round(p_value(-2.86154), 3)
    0.05
    """
    return float(p_values([statistic], series=series, trend=trend)[0])


def p_values(statistics: ArrayLike, *, series: int = 1, trend: str = "c") -> Array:
    """``p_value`` of each statistic."""
    surface = SURFACES[trend, series]
    found = np.asarray(statistics, dtype=float)
    inside = np.clip(found, surface.least, min(surface.most, 1e3))  # a power of an infinity would be NaN
    where = np.where(inside <= surface.split, _polynomial(surface.left, inside), _polynomial(surface.right, inside))
    chance = _normal_cdf(where)
    return np.where(found > surface.most, 1.0, np.where(found < surface.least, 0.0, chance))


def critical_values(*, series: int = 1, trend: str = "c", bars: float = math.inf) -> tuple[float, float, float]:
    """The statistics with p = 1, 5 and 10 % in a sample of ``bars`` rows; NaN where none are published.

    >>> critical_values(series=2)
    (-3.89644, -3.33613, -3.04445)
    """
    rows = CRITICAL.get((trend, series), ((math.nan,),) * 3)
    one, five, ten = (float(_polynomial(row, np.float64(1.0 / bars))) for row in rows)
    return one, five, ten


def _polynomial(coefficients: tuple[float, ...], at: Array | np.float64) -> Array:
    value = np.full_like(at, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * at + coefficient
    return value


def _normal_cdf(at: Array) -> Array:
    # numpy has no erf, and scipy takes longer to load than a scan of thirty symbols
    flat = (-SQRT_HALF * at).ravel().tolist()
    return 0.5 * np.fromiter(map(math.erfc, flat), dtype=float, count=len(flat)).reshape(at.shape)
