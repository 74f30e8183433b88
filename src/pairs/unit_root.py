"""Does a series return to a level, or wander? The augmented Dickey-Fuller test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairs.mackinnon import p_value
from pairs.windows import Array, equal_series

Autolag = Literal["aic", "bic", "t-stat"] | None
LAG_RULES = ("aic", "bic", "t-stat", None)
T_STOP = 1.6448536269514722  # 95 % of a normal: the last lag must be this many standard errors from 0
TERMS = {"n": 0, "c": 1, "ct": 2}  # deterministic regressors of each trend


@dataclass(frozen=True, slots=True)
class UnitRoot:
    """``pvalue`` is the chance of so negative a ``statistic`` if the series wanders; ``nobs`` rows of the last fit."""

    statistic: float
    pvalue: float
    lag: int
    nobs: int


def adf(series: ArrayLike, trend: str = "c", max_lag: int | None = None, autolag: Autolag = "aic") -> UnitRoot:
    """Augmented Dickey-Fuller test: the t of ``s₋₁`` when ``Δs`` is regressed on it and on lags of ``Δs``.

    ``autolag`` chooses the lags among 0 .. ``max_lag`` on one common sample, then the test is fitted on all bars
    that the chosen lag leaves; None takes ``max_lag`` itself. ``max_lag`` None: Schwert's ``12 (n/100)^¼``, rounded up.
    Dickey & Fuller (1979), Distribution of the estimators for autoregressive time series with a unit root.

    Raises ValueError for a series that is not finite, constant, or too short for its lags.

    >>> walk = np.random.default_rng(1).normal(size=500).cumsum()
    >>> adf(walk).pvalue > 0.05 > adf(np.diff(walk)).pvalue
    True
    """
    (values,) = finite_series(series)
    statistic, lag = statistic_of(values, trend=trend, max_lag=max_lag, autolag=autolag)
    return UnitRoot(statistic, p_value(statistic, series=1, trend=trend), lag, len(values) - 1 - lag)


def finite_series(*series: ArrayLike) -> tuple[Array, ...]:
    """The series as float arrays. Raises ValueError unless they are equally long, finite, and none is constant."""
    arrays = equal_series(*series)
    for number, values in enumerate(arrays, start=1):
        unknown = np.flatnonzero(~np.isfinite(values))
        if len(unknown):
            where, first = int(unknown[0]), float(values[unknown[0]])
            raise ValueError(
                f"wanted finite values, found {first} at position {where} of series {number} ({len(unknown)} in all); "
                "leave those bars out of all series"
            )
        if len(values) and values.max() == values.min():
            raise ValueError(f"series {number} is constant at {float(values[0])}: there is nothing to test")
    return arrays


def longest_lag(bars: int, *, trend: str, max_lag: int | None) -> int:
    """The longest lag to try in ``bars`` bars. Raises ValueError when they are too few for it."""
    if max_lag is not None and max_lag < 0:
        raise ValueError(f"wanted a max_lag of at least 0, found {max_lag}")
    lag = min(math.ceil(12.0 * (bars / 100.0) ** 0.25), bars // 2 - TERMS[trend] - 1) if max_lag is None else max_lag
    needed = 2 * lag + TERMS[trend] + 3  # one row more than the longest regression has regressors
    if lag < 0 or bars < needed:
        raise ValueError(f"wanted at least {max(needed, 4)} bars for {max(lag, 0)} lags, found {bars}: too short")
    return lag


def statistic_of(values: Array, *, trend: str, max_lag: int | None, autolag: Autolag) -> tuple[float, int]:
    """The t statistic and the lag it was taken at. Raises ValueError as ``adf`` does."""
    if autolag not in LAG_RULES or trend not in TERMS:
        raise ValueError(f"wanted autolag of {LAG_RULES} and trend of {tuple(TERMS)}, found {autolag!r} and {trend!r}")
    lag = longest_lag(len(values), trend=trend, max_lag=max_lag)
    with np.errstate(all="ignore"):  # a perfect fit: its logarithm is -inf and its t may be NaN
        if autolag is not None:
            residuals = _nested_fits(values, trend, lag)
            rows = len(values) - 1 - lag
            lag = int(best_lags(residuals, rows=rows, terms=TERMS[trend], autolag=autolag))
        return _level_t(values, trend, lag), lag


def best_lags(residuals: Array, *, rows: int, terms: int, autolag: Autolag) -> NDArray[np.intp]:
    """The lag that the rule prefers for each series; the shortest of equals.

    ``residuals`` (lags + 2, …) are the sums of squares of ``rows`` observations left by the ``terms`` deterministic
    regressors alone, then with the level, then with each lag.
    """
    left = residuals[1:]
    regressors = (terms + 1.0 + np.arange(len(left))).reshape(-1, *[1] * (left.ndim - 1))
    if autolag == "t-stat":
        telling = (residuals[:-1] - left) * (rows - regressors) >= T_STOP**2 * left
        return np.where(telling.any(axis=0), len(left) - 1 - np.argmax(telling[::-1], axis=0), 0)
    penalty = 2.0 if autolag == "aic" else math.log(rows)
    return np.argmin(rows * np.log(left) + penalty * regressors, axis=0)


def _nested_fits(values: Array, trend: str, lags: int) -> Array:
    """``residuals`` for ``best_lags``: one orthogonal factor holds every nested regression."""
    level, lagged, target = _regression(values, lags)
    factor = _factor(*_deterministic(trend, len(target)), level, *lagged, target)
    return np.cumsum(factor[::-1, -1] ** 2)[::-1][TERMS[trend] :]


def _level_t(values: Array, trend: str, lags: int) -> float:
    level, lagged, target = _regression(values, lags)
    factor = _factor(*_deterministic(trend, len(target)), *lagged, level, target)
    free = len(target) - factor.shape[0] + 1
    return float(np.sign(factor[-2, -2]) * factor[-2, -1] / (abs(factor[-1, -1]) / math.sqrt(free)))


def _regression(values: Array, lags: int) -> tuple[Array, list[Array], Array]:
    """The level before each change, ``lags`` earlier changes, and the change; rows from bar ``lags`` on."""
    changes = np.diff(values)
    rows = len(changes)
    return values[lags:-1], [changes[lags - lag : rows - lag] for lag in range(1, lags + 1)], changes[lags:]


def _deterministic(trend: str, rows: int) -> list[Array]:
    return [np.ones(rows), np.arange(1.0, rows + 1.0)][: TERMS[trend]]


def _factor(*columns: Array) -> Array:
    factor: Array = np.linalg.qr(np.column_stack(columns), mode="r")  # type: ignore[assignment]  # mode "r" is one array
    return factor
