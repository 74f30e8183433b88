"""Johansen's test: how many combinations of several series keep together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pairs.unit_root import finite_series
from pairs.windows import Array

# a constant; 90, 95 and 99 %; row n - 1 for n series less the rank under test. MacKinnon, Haug & Michelis (1999),
# Numerical distribution functions of likelihood ratio tests for cointegration, Journal of Applied Econometrics 14.
TRACE_CRITICAL = np.array(
    [
        [2.7055, 3.8415, 6.6349],
        [13.4294, 15.4943, 19.9349],
        [27.0669, 29.7961, 35.4628],
        [44.4929, 47.8545, 54.6815],
        [65.8202, 69.8189, 77.8202],
        [91.1090, 95.7542, 104.9637],
    ]
)
EIGEN_CRITICAL = np.array(
    [
        [2.7055, 3.8415, 6.6349],
        [12.2971, 14.2639, 18.5200],
        [18.8928, 21.1314, 25.8650],
        [25.1236, 27.5858, 32.7172],
        [31.2379, 33.8777, 39.3693],
        [37.2786, 40.0763, 45.8662],
    ]
)


@dataclass(frozen=True, slots=True)
class JohansenTest:
    """One row a rank r = 0, 1, …: is the number of cointegrating combinations at most r?

    ``trace`` and ``eigen`` (series,) are the statistics; their ``_critical`` (series, 3) hold 90, 95 and 99 %.
    ``eigenvalues`` fall; ``vectors`` (series, series) are the combinations, one a column, most mean-reverting first.
    """

    trace: Array
    trace_critical: Array
    eigen: Array
    eigen_critical: Array
    eigenvalues: Array
    vectors: Array

    def rank(self, level: int = 95) -> int:
        """How many combinations keep together, by the trace at a ``level`` of 90, 95 or 99 per cent."""
        kept = self.trace <= self.trace_critical[:, (90, 95, 99).index(level)]
        return int(np.argmax(kept)) if kept.any() else len(kept)


def johansen_trace(*series: ArrayLike, lags: int = 1) -> JohansenTest:
    """Trace and largest-eigenvalue tests with a constant and ``lags`` lagged differences; two to six series.

    Johansen (1991), Estimation and hypothesis testing of cointegration vectors in Gaussian vector autoregressive
    models, Econometrica 59, 1551-1580.

    Raises ValueError for series that are not equally long, not finite, constant, too short, or moving as one.

    >>> x = np.random.default_rng(1).normal(size=500).cumsum()
    >>> noise = np.random.default_rng(2).normal(size=500)
    >>> johansen_trace(1.5 * x + noise, x).rank()
    1
    """
    prices = np.column_stack(finite_series(*series))
    bars, count = prices.shape
    if not 2 <= count <= len(TRACE_CRITICAL) or lags < 0 or bars < count * (lags + 2) + 3:
        raise ValueError(
            f"wanted two to six series, lags of at least 0 and {count * (lags + 2) + 3} bars for them, "
            f"found {count} series, lags {lags} and {bars} bars"
        )
    changes, levels = _freed(prices - prices.mean(axis=0), lags)
    values, vectors = _eigen(changes, levels)
    eigen = -len(levels) * np.log1p(-values)
    trace = np.cumsum(eigen[::-1])[::-1]
    rows = np.arange(count)[::-1]
    return JohansenTest(trace, TRACE_CRITICAL[rows], eigen, EIGEN_CRITICAL[rows], values, vectors)


def _freed(prices: Array, lags: int) -> tuple[Array, Array]:
    """Changes and the levels before them, both freed of their mean and of ``lags`` lagged changes."""
    moves = np.diff(prices, axis=0)
    rows = len(moves)
    lagged = [moves[lags - lag : rows - lag] for lag in range(1, lags + 1)]
    both = np.hstack([moves[lags:], prices[lags:-1]])
    both = both - both.mean(axis=0)
    if lagged:
        known = np.hstack(lagged)
        known = known - known.mean(axis=0)
        both = both - known @ np.linalg.lstsq(known, both, rcond=None)[0]
    count = prices.shape[1]
    return both[:, :count], both[:, count:]


def _eigen(changes: Array, levels: Array) -> tuple[Array, Array]:
    """Squared canonical correlations, falling, and the combinations of the levels that have them (unit variance)."""
    basis_0, factor_0 = np.linalg.qr(changes)
    basis_1, factor_1 = np.linalg.qr(levels)
    for factor in (factor_0, factor_1):
        spans = np.abs(np.diag(factor)) / np.linalg.norm(factor, axis=0)
        if not (spans > 1e-10).all():
            raise ValueError("the series move as one, or one is made of the others; leave one out")
    _, singular, right = np.linalg.svd(basis_0.T @ basis_1)
    return singular**2, np.linalg.solve(factor_1, right.T) * np.sqrt(len(levels))
