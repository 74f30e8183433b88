"""Performance arithmetic of reports. Every answer is a number: what is undefined is 0.0, never NaN."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pairs.windows import FLAT, Array, equal_series


def simple_returns(equity: ArrayLike) -> Array:
    """``equity_t / equity_{t-1} - 1``, one fewer than equity; 0.0 where the former is not positive.

    >>> simple_returns([100.0, 110.0, 99.0]).round(6).tolist()
    [0.1, -0.1]
    """
    (values,) = equal_series(equity)
    before = values[:-1]
    with np.errstate(all="ignore"):
        return np.divide(np.diff(values), before, out=np.zeros_like(before), where=before > 0.0)


def sharpe(returns: ArrayLike, periods_per_year: float) -> float:
    """``sqrt(periods_per_year) · mean / std`` of the returns of equal periods, ddof 1, no risk-free rate.

    0.0 when undefined: fewer than two returns, no variation, a value that is not finite (Sharpe 1994, The Sharpe
    ratio).

    >>> round(sharpe([0.01, -0.01, 0.02, 0.0], 252), 6)
    6.14817
    >>> sharpe([0.01, 0.01, 0.01], 252)
    0.0
    """
    (values,) = equal_series(returns)
    if len(values) < 2 or not np.isfinite(values).all():
        return 0.0
    with np.errstate(all="ignore"):
        mean, std = float(values.mean()), float(values.std(ddof=1))
    if not (math.isfinite(mean) and FLAT * float(np.abs(values).max()) < std < math.inf):
        return 0.0
    return math.sqrt(periods_per_year) * mean / std


def apr(returns: ArrayLike, periods_per_year: float) -> float:
    """Compound growth in a year as a fraction, ``Π(1+r)^(periods_per_year/n) - 1``; -1.0 once everything is lost.

    0.0 when undefined: no returns, a value that is not finite.

    >>> round(apr([0.1, 0.1], 1), 6)
    0.1
    >>> apr([0.5, -1.0, 0.5], 252)
    -1.0
    """
    (values,) = equal_series(returns)
    if not len(values) or not np.isfinite(values).all():
        return 0.0
    if (values <= -1.0).any():
        return -1.0
    growth = float(np.log1p(values).sum()) * periods_per_year / len(values)
    return math.expm1(min(growth, 700.0))  # beyond it exp overflows


def max_drawdown_pct(equity: ArrayLike) -> float:
    """The largest fall from a former peak, in per cent of that peak (0 to 100, more when equity turns negative).

    0.0 when undefined: no equity, or a value that is not finite; a peak that is not positive does not count.

    >>> max_drawdown_pct([100.0, 120.0, 90.0, 130.0])
    25.0
    """
    (values,) = equal_series(equity)
    if not len(values) or not np.isfinite(values).all():
        return 0.0
    peak = np.maximum.accumulate(values)
    with np.errstate(all="ignore"):
        falls = np.divide(peak - values, peak, out=np.zeros_like(values), where=peak > 0.0)
        deepest = 100.0 * float(falls.max())
    return deepest if math.isfinite(deepest) else 0.0


def annual_volatility(returns: ArrayLike, periods_per_year: float) -> float:
    """``sqrt(periods_per_year) · std`` of the returns, ddof 1, as a fraction.

    >>> round(annual_volatility([0.01, -0.01, 0.02, 0.0], 252), 6)
    0.204939
    """
    (values,) = equal_series(returns)
    if len(values) < 2 or not np.isfinite(values).all():
        return 0.0
    return math.sqrt(periods_per_year) * float(values.std(ddof=1))


def sortino(returns: ArrayLike, periods_per_year: float) -> float:
    """``sqrt(periods_per_year) · mean / downside``, downside = ``sqrt(mean(min(r, 0)²))`` over all returns.

    0.0 when undefined: nothing was lost, a value that is not finite (Sortino and van der Meer 1991, Downside risk).

    >>> round(sortino([0.01, -0.01, 0.02, 0.0], 252), 6)
    15.874508
    """
    (values,) = equal_series(returns)
    if not len(values) or not np.isfinite(values).all():
        return 0.0
    downside = math.sqrt(float(np.square(np.minimum(values, 0.0)).mean()))
    return math.sqrt(periods_per_year) * float(values.mean()) / downside if downside > 0.0 else 0.0


def value_at_risk(returns: ArrayLike, share: float = 0.05) -> float:
    """The return that ``share`` of the periods stay below: the empirical quantile, negative for a loss.

    >>> round(value_at_risk([-0.04, -0.02, 0.0, 0.01, 0.03], 0.25), 6)
    -0.02
    """
    (values,) = equal_series(returns)
    return float(np.quantile(values, share)) if len(values) and np.isfinite(values).all() else 0.0


def expected_shortfall(returns: ArrayLike, share: float = 0.05) -> float:
    """The mean of the worst ``share`` of the returns, of the worst one at least (conditional value at risk).

    >>> round(expected_shortfall([-0.04, -0.02, 0.0, 0.01, 0.03], 0.25), 6)
    -0.03
    """
    (values,) = equal_series(returns)
    if not len(values) or not np.isfinite(values).all():
        return 0.0
    worst = int((len(values) - 1) * share) + 1
    return float(np.partition(values, worst - 1)[:worst].mean())


def beta(returns: ArrayLike, market: ArrayLike) -> float:
    """``cov(returns, market) / var(market)``; 0.0 when the market did not move.

    >>> round(beta([0.02, -0.02, 0.04], [0.01, -0.01, 0.02]), 6)
    2.0
    """
    values, reference = equal_series(returns, market)
    if len(values) < 2:
        return 0.0
    away = reference - reference.mean()
    variance = float(away @ away)
    return float(away @ (values - values.mean())) / variance if variance > 0.0 else 0.0


def rolling_beta(returns: ArrayLike, market: ArrayLike, window: int) -> Array:
    """``beta`` of each ``window`` consecutive periods, ``len - window + 1`` of them; empty for a shorter series."""
    values, reference = equal_series(returns, market)
    if len(values) < window:
        return np.empty(0)
    views = (np.lib.stride_tricks.sliding_window_view(series, window) for series in (values, reference))
    return np.array([beta(own, others) for own, others in zip(*views, strict=True)])
