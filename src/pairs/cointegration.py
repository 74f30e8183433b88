"""Do two series keep together? The Engle-Granger test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pairs.mackinnon import critical_values, p_value
from pairs.unit_root import TERMS, Autolag, UnitRoot, adf, finite_series, statistic_of
from pairs.windows import Array

__all__ = ["COLLINEAR", "Autolag", "Cointegration", "UnitRoot", "adf", "engle_granger"]

COLLINEAR = 100.0 * math.sqrt(np.finfo(float).eps)  # 1 - R² below this is one series twice


@dataclass(frozen=True, slots=True)
class Cointegration:
    """``y = intercept + hedge_ratio * x + spread``; ``pvalue`` is the chance of so negative a ``statistic`` if y and x
    do not keep together.

    ``critical_values`` are the statistics of 1, 5 and 10 %. ``collinear``: y is x but for rounding; the statistic is
    -inf, the p-value 0 and the lag 0, and neither means a tradable pair.
    """

    statistic: float
    pvalue: float
    lag: int
    hedge_ratio: float
    intercept: float
    critical_values: tuple[float, float, float]
    collinear: bool = False


def engle_granger(
    y: ArrayLike, x: ArrayLike, trend: str = "c", max_lag: int | None = None, autolag: Autolag = "aic"
) -> Cointegration:
    """Engle-Granger test of y on x, MacKinnon's p-value for two series: Dickey-Fuller, without constant, on the
    residuals of least squares with ``trend`` ("n", "c" or "ct").

    Not symmetric: (x, y) gives another answer. ``max_lag`` and ``autolag`` as in ``adf``. Engle & Granger (1987),
    Co-integration and error correction, Econometrica 55, 251-276.

    Raises ValueError for series that are not equally long, not finite, constant, or too short for their lags.

    >>> x = np.random.default_rng(1).normal(size=500).cumsum()
    >>> noise = np.random.default_rng(2).normal(size=500)
    >>> found = engle_granger(1.5 * x + noise, x)
    >>> found.pvalue < 0.01, round(found.hedge_ratio, 1)
    (True, 1.5)
    """
    ours, theirs = finite_series(y, x)
    if trend not in TERMS:
        raise ValueError(f"wanted a trend of {tuple(TERMS)}, found {trend!r}")
    ratio, intercept, spread = _least_squares(ours, theirs, trend)
    critical = critical_values(series=2, trend=trend, bars=len(ours) - 1)
    if not _unexplained(ours, spread, trend) > COLLINEAR:
        return Cointegration(-math.inf, 0.0, 0, ratio, intercept, critical, collinear=True)
    statistic, lag = statistic_of(spread, trend="n", max_lag=max_lag, autolag=autolag)
    return Cointegration(statistic, p_value(statistic, series=2, trend=trend), lag, ratio, intercept, critical)


def _least_squares(y: Array, x: Array, trend: str) -> tuple[float, float, Array]:
    """Slope, intercept and residuals; both sides are first freed of the trend, which leaves slope and residuals."""
    terms = np.column_stack([np.ones(len(y)), np.linspace(-1.0, 1.0, len(y))])[:, : TERMS[trend]]
    if trend == "n":
        free_y, free_x = y, x
    else:
        free_y, free_x = (values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0] for values in (y, x))
    slope = float(free_x @ free_y) / float(free_x @ free_x)
    spread = free_y - slope * free_x
    return slope, _intercept(y - slope * x, trend), spread


def _intercept(rest: Array, trend: str) -> float:
    """The constant at bar 0 (the first bar is number 1 when there is a line)."""
    if trend == "n":
        return 0.0
    if trend == "c":
        return float(rest.mean())
    line, constant = np.polyfit(np.arange(1.0, len(rest) + 1.0), rest, 1)
    return float(constant)


def _unexplained(y: Array, spread: Array, trend: str) -> float:
    """``1 - R²``, about the mean when there is a constant."""
    total = y if trend == "n" else y - y.mean()
    return float(spread @ spread) / float(total @ total)
