"""The hedge ratio of a pair: how much of ``leg_b`` (x, the regressor) stands against one of ``leg_a`` (y).

All functions take transformed prices: logarithms, where the ratio is one of notionals, or levels, where it is one of
quantities. Least squares, total least squares and Johansen fit a window; the Kalman filter moves at every bar. What
cannot be fitted (too few bars, NaN, a flat series) is NaN, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from pairs.windows import FLAT, Array, blocks, equal_series
from pairs.words import HedgeSpec

Fit = Callable[[Array, Array], tuple[Array, Array]]  # (fits, window) of y and of x -> ratios, intercepts


@dataclass(frozen=True, slots=True)
class Hedge:
    """``y = intercept + ratio * x``; both NaN when there is no such line."""

    ratio: float
    intercept: float


def ols(y: ArrayLike, x: ArrayLike) -> Hedge:
    """Least squares with an intercept: ``ratio = S_xy / S_xx``, the line with the least squared distance in y.

    >>> ols([3.0, 5.0, 7.0], [1.0, 2.0, 3.0])
    Hedge(ratio=2.0, intercept=1.0)
    """
    return _single(_ols_rows, y, x)


def tls(y: ArrayLike, x: ArrayLike) -> Hedge:
    """Total least squares: the line with the least squared distance at a right angle, the same for (y, x) and (x, y).

    ``ratio = (d + sqrt(d² + 4 S_xy²)) / (2 S_xy)`` with ``d = S_yy - S_xx`` (Deming 1943, equal error variances).

    >>> tls([0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]).ratio  # a square has no direction
    nan
    >>> tls([3.0, 5.0, 7.0], [1.0, 2.0, 3.0])
    Hedge(ratio=2.0, intercept=1.0)
    """
    return _single(_tls_rows, y, x)


def johansen(y: ArrayLike, x: ArrayLike) -> Hedge:
    """The first Johansen vector of (y, x), normalised on y; the intercept is the mean of ``y - ratio * x``.

    >>> x = np.cumsum(np.random.default_rng(1).normal(size=400))
    >>> noise = np.random.default_rng(2).normal(size=400)
    >>> round(johansen(1.5 * x + noise, x).ratio, 1)
    1.5
    """
    return _single(_johansen_rows, y, x)


def johansen_vector(prices: Array) -> Array:
    """The weights of the most mean-reverting combination of the columns of ``prices`` (bars, series), first weight 1.

    Johansen (1991) with a constant (det_order 0) and one lagged difference: with the residuals ``R0`` of the
    differences and ``R1`` of the lagged levels, both freed of the constant and the lagged differences, it is the
    eigenvector of the largest λ in ``|λ S11 - S10 S00⁻¹ S01| = 0``, ``Sij = Ri'Rj``. NaN when the moments are singular.

    >>> x = np.cumsum(np.random.default_rng(1).normal(size=400))
    >>> noise = np.random.default_rng(2).normal(size=400)
    >>> [round(float(weight), 1) for weight in johansen_vector(np.column_stack([1.5 * x + noise, x]))]
    [1.0, -1.5]
    """
    bars, series = prices.shape
    nothing = np.full(series, np.nan)
    if bars < 3 * series + 3 or not np.isfinite(prices).all():
        return nothing
    with np.errstate(all="ignore"):
        try:
            vector = _first_vector(*_johansen_moments(prices))
        except np.linalg.LinAlgError:
            return nothing
        weights = vector / vector[0]
    return weights if np.isfinite(weights).all() else nothing


class KalmanRegression:
    """Ratio and intercept as a random walk, one bar at a time.

    With f = (x, 1), state b and covariance P: ``R = P + δ/(1-δ) I``, ``Q = f R f' + V``, ``K = R f' / Q``,
    ``b += K e``, ``P = R - K f R`` (Kalman 1960; E. Chan, Algorithmic Trading, 2013, example 3.3, whose zero state,
    zero P and missing first prediction are kept).

    Raises ValueError unless ``0 < delta < 1`` and ``observation_variance > 0``.
    """

    def __init__(self, *, delta: float = 1e-4, observation_variance: float = 1e-3) -> None:
        if not (0.0 < delta < 1.0 and 0.0 < observation_variance < np.inf):
            raise ValueError(
                f"wanted 0 < delta < 1 and observation_variance > 0, found {delta} and {observation_variance}"
            )
        self._variance = observation_variance
        self._step_walk = delta / (1.0 - delta)
        self._walk = 0.0
        self._ratio = self._intercept = 0.0
        self._p_rr = self._p_ri = self._p_ii = 0.0

    def step(self, y: float, x: float) -> tuple[float, float, float, float]:
        """``(ratio, intercept, error, error_variance)``: the state as predicted, and this bar's error.

        A bar that is not finite has NaN error and variance and teaches nothing.
        """
        # plain floats: a 2 by 2 filter in numpy arrays takes twenty times as long
        p_rr, p_ri, p_ii = self._p_rr + self._walk, self._p_ri, self._p_ii + self._walk
        self._walk = self._step_walk
        ratio, intercept = self._ratio, self._intercept
        gain_r, gain_i = p_rr * x + p_ri, p_ri * x + p_ii
        variance = gain_r * x + gain_i + self._variance
        error = y - intercept - ratio * x
        if not abs(error) + variance < np.inf:
            self._p_rr, self._p_ii = p_rr, p_ii
            return ratio, intercept, float("nan"), float("nan")
        self._ratio, self._intercept = ratio + gain_r / variance * error, intercept + gain_i / variance * error
        self._p_rr = p_rr - gain_r / variance * gain_r
        self._p_ri = p_ri - gain_r / variance * gain_i
        self._p_ii = p_ii - gain_i / variance * gain_i
        return ratio, intercept, error, variance


def kalman(
    y: ArrayLike, x: ArrayLike, *, delta: float = 1e-4, observation_variance: float = 1e-3
) -> tuple[Array, Array, Array, Array]:
    """``KalmanRegression`` over whole series: ``(ratios, intercepts, errors, error_variances)``, each as long as y.

    Element t of the ratios and intercepts is the state predicted from the bars before t.

    >>> ratios, intercepts, errors, variances = kalman([2.0, 2.0, 2.0], [1.0, 1.0, 1.0])
    >>> ratios[:2].tolist(), errors[:2].tolist(), variances[:1].tolist()
    ([0.0, 0.0], [2.0, 2.0], [0.001])
    >>> bool(0.0 < errors[2] < 2.0)
    True
    """
    y, x = equal_series(y, x)
    regression = KalmanRegression(delta=delta, observation_variance=observation_variance)
    rows = [regression.step(price_y, price_x) for price_y, price_x in zip(y.tolist(), x.tolist(), strict=True)]
    columns = np.array(rows, dtype=float).reshape(len(rows), 4).T
    return columns[0], columns[1], columns[2], columns[3]


@dataclass(frozen=True, slots=True)
class Hedges:
    """The hedge in force at the close of every bar. ``errors``: ``y - intercept - ratio * x``, each bar by its own.

    Refused hedges (not positive, not finite) are NaN; with ``kalman`` the errors are the filter's, refused or not.
    """

    ratios: Array
    intercepts: Array
    errors: Array


def hedge_series(spec: HedgeSpec, y: ArrayLike, x: ArrayLike, bar_numbers: ArrayLike | None = None) -> Hedges:
    """The hedge at every bar, from data up to and including that bar.

    ols, tls and johansen are fitted on the last ``spec.window`` bars, at the first bar of every block of
    ``spec.refit_every`` bar numbers, and held in between. ``bar_numbers`` are absolute (epoch hours, say; default 0, 1,
    2, …), so that a bot that restarts with other history refits on the same bars. NaN before the first fit; a fit that
    is not positive and finite is refused, as NaN until the next. ``kalman`` gives the predicted state of each bar,
    refused likewise; ``fixed`` the constants of the spec, whatever their sign.

    Raises ValueError for an unknown method, a fixed one without a ratio, or a window or refit that is too short.

    >>> hedges = hedge_series(HedgeSpec("ols", window=3, refit_every=2), [3, 5, 7, 9, 11], [1, 2, 3, 4, 5])
    >>> hedges.ratios.tolist()
    [nan, nan, 2.0, 2.0, 2.0]
    """
    y, x = equal_series(y, x)
    check_hedge(spec)
    if spec.method == "kalman":
        ratios, intercepts, errors, _ = kalman(y, x)
        return Hedges(*_refuse_unusable(ratios, intercepts), errors)
    if spec.method == "fixed":
        ratios, intercepts = _constants(spec, len(y))
    else:
        numbers = np.asarray(range(len(y)) if bar_numbers is None else bar_numbers)
        ratios, intercepts = _refuse_unusable(*_held_fits(spec, y, x, numbers))
    with np.errstate(all="ignore"):
        return Hedges(ratios, intercepts, y - intercepts - ratios * x)


class HedgeTracker:
    """``hedge_series`` one bar at a time, equal to it to the last bit. Keeps the errors of the last ``keep`` bars."""

    def __init__(self, spec: HedgeSpec, *, keep: int) -> None:
        check_hedge(spec)
        self._spec = spec
        self._keep = keep
        self._kalman = KalmanRegression()
        self._now = Hedge(float("nan"), float("nan"))
        self._errors: list[float] = []

    def step(self, y: Array, x: Array, bar_numbers: Array) -> Hedge:
        """A new bar, the last of the trailing arrays, which hold ``spec.window`` bars once there are so many."""
        spec = self._spec
        if spec.method == "kalman":
            ratio, intercept, error, _ = self._kalman.step(float(y[-1]), float(x[-1]))
            self._errors = [*self._errors[1 - self._keep :], error]
            self._now = _usable(ratio, intercept)
        elif spec.method == "fixed":
            self._now = Hedge(float(spec.ratio or 0.0), float(spec.intercept))
        elif len(y) >= spec.window and _begins_block(bar_numbers[-2:], spec.refit_every):
            window_y, window_x = y[-spec.window :], x[-spec.window :]
            ratios, intercepts = _FITS[spec.method](window_y[np.newaxis], window_x[np.newaxis])
            self._now = _usable(float(ratios[0]), float(intercepts[0]))
        return self._now

    def last_hedges(self, y: Array, x: Array) -> Hedges:
        """The current hedge for every bar of the arrays (kalman: with the errors that those bars had)."""
        ratios, intercepts = np.full(len(y), self._now.ratio), np.full(len(y), self._now.intercept)
        if self._spec.method == "kalman":
            return Hedges(ratios, intercepts, np.array(self._errors[-len(y) :]))
        with np.errstate(all="ignore"):
            return Hedges(ratios, intercepts, y - intercepts - ratios * x)


def check_hedge(spec: HedgeSpec) -> None:
    """Raises ValueError for an unknown method, a fixed one without a ratio, or a window or refit that is too short."""
    if spec.method not in ("fixed", "kalman", *_FITS):
        known = ", ".join(("fixed", *_FITS, "kalman"))
        raise ValueError(f"wanted a hedge method out of {known}, found {spec.method!r}")
    if spec.method == "fixed" and spec.ratio is None:
        raise ValueError("wanted a ratio for the fixed hedge method, found none; give hedge_ratio or another method")
    if spec.method in _FITS and (spec.window < 2 or spec.refit_every < 1):
        raise ValueError(f"wanted window >= 2 and refit_every >= 1, found {spec.window} and {spec.refit_every}")


def _constants(spec: HedgeSpec, bars: int) -> tuple[Array, Array]:
    return np.full(bars, float(spec.ratio or 0.0)), np.full(bars, float(spec.intercept))


def _refuse_unusable(ratios: Array, intercepts: Array) -> tuple[Array, Array]:
    usable = (ratios > 0.0) & np.isfinite(ratios) & np.isfinite(intercepts)
    return np.where(usable, ratios, np.nan), np.where(usable, intercepts, np.nan)


def _held_fits(spec: HedgeSpec, y: Array, x: Array, bar_numbers: Array) -> tuple[Array, Array]:
    """The fits of the refit bars, each held until the next."""
    bars = np.arange(len(y))
    blocks_of = bar_numbers // spec.refit_every
    begins = np.r_[_starts_block(bar_numbers[:1], spec.refit_every), blocks_of[1:] != blocks_of[:-1]].astype(bool)
    refits = bars[(bars >= spec.window - 1) & begins]
    if not len(refits):
        return np.full(len(y), np.nan), np.full(len(y), np.nan)
    ratios, intercepts = _fit_windows(_FITS[spec.method], y, x, refits - (spec.window - 1), spec.window)
    latest = np.searchsorted(refits, bars, side="right") - 1
    fitted = latest >= 0
    return np.where(fitted, ratios[latest], np.nan), np.where(fitted, intercepts[latest], np.nan)


def _starts_block(bar_numbers: Array, refit_every: int) -> Array:
    return bar_numbers % refit_every == 0


def _begins_block(last_two: Array, refit_every: int) -> bool:
    """True when the last bar is the first of its block: the bar before it, where there is one, lies in another."""
    if len(last_two) < 2:
        return bool(_starts_block(last_two, refit_every).all())
    return bool(last_two[0] // refit_every != last_two[1] // refit_every)


def _usable(ratio: float, intercept: float) -> Hedge:
    nothing = float("nan")
    return Hedge(ratio, intercept) if 0.0 < ratio < np.inf and np.isfinite(intercept) else Hedge(nothing, nothing)


def _fit_windows(fit: Fit, y: Array, x: Array, starts: np.ndarray, window: int) -> tuple[Array, Array]:
    windows_y, windows_x = sliding_window_view(y, window), sliding_window_view(x, window)
    ratios, intercepts = np.empty(len(starts)), np.empty(len(starts))
    for block in blocks(len(starts), window):
        # C order, or the order of the sums (and the last bit) would depend on how many windows a block holds
        rows_y = np.ascontiguousarray(windows_y[starts[block]])
        rows_x = np.ascontiguousarray(windows_x[starts[block]])
        ratios[block], intercepts[block] = fit(rows_y, rows_x)
    return ratios, intercepts


def _single(fit: Fit, y: ArrayLike, x: ArrayLike) -> Hedge:
    y, x = equal_series(y, x)
    if len(y) < 2:
        return Hedge(float("nan"), float("nan"))
    ratios, intercepts = fit(y[np.newaxis], x[np.newaxis])
    ratio, intercept = float(ratios[0]), float(intercepts[0])
    return Hedge(ratio, intercept) if np.isfinite(ratio + intercept) else Hedge(float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Means and sums of squares and products about them, one element a window; those of a flat series are zero."""

    mean_y: Array
    mean_x: Array
    yy: Array
    xy: Array
    xx: Array


def _moments(y: Array, x: Array) -> _Moments:
    mean_y, mean_x = y.mean(axis=1, keepdims=True), x.mean(axis=1, keepdims=True)
    dy, dx = _deviations(y, mean_y), _deviations(x, mean_x)
    return _Moments(mean_y[:, 0], mean_x[:, 0], (dy * dy).sum(axis=1), (dx * dy).sum(axis=1), (dx * dx).sum(axis=1))


def _deviations(values: Array, mean: Array) -> Array:
    deviations = values - mean
    flat = np.abs(deviations).max(axis=1, keepdims=True) <= FLAT * np.abs(mean)
    return np.where(flat, 0.0, deviations)


def _ols_rows(y: Array, x: Array) -> tuple[Array, Array]:
    with np.errstate(all="ignore"):
        moments = _moments(y, x)
        ratio = moments.xy / moments.xx
        return ratio, moments.mean_y - ratio * moments.mean_x


def _tls_rows(y: Array, x: Array) -> tuple[Array, Array]:
    with np.errstate(all="ignore"):
        moments = _moments(y, x)
        difference = moments.yy - moments.xx
        root = np.hypot(difference, 2.0 * moments.xy)
        # two forms of one root, each without cancellation on its side
        steep, gentle = (difference + root) / (2.0 * moments.xy), 2.0 * moments.xy / (root - difference)
        ratio = np.where(difference >= 0.0, steep, gentle)
        return ratio, moments.mean_y - ratio * moments.mean_x


def _johansen_rows(y: Array, x: Array) -> tuple[Array, Array]:
    vectors = [johansen_vector(np.column_stack(window)) for window in zip(y, x, strict=True)]
    ratios = -np.array([vector[1] for vector in vectors])
    with np.errstate(all="ignore"):
        return ratios, y.mean(axis=1) - ratios * x.mean(axis=1)


def _johansen_moments(prices: Array) -> tuple[Array, Array, Array]:
    """``S00``, ``S01`` and ``S11`` of Johansen's residuals, through the moments of everything that enters them."""
    series = prices.shape[1]
    differences = np.diff(prices, axis=0)
    columns = np.hstack([differences[1:], prices[1:-1], differences[:-1]]).T
    columns = np.ascontiguousarray(columns - columns.mean(axis=1, keepdims=True))
    sums = (columns[:, np.newaxis] * columns[np.newaxis]).sum(axis=-1)
    scale = np.sqrt(np.diag(sums))
    if not (scale > 0.0).all() or not np.linalg.cond(sums / np.outer(scale, scale)) < 1.0 / FLAT:
        raise np.linalg.LinAlgError("the series are flat or move as one")
    both, lagged = sums[: 2 * series], sums[2 * series :, 2 * series :]
    freed = both[:, : 2 * series] - both[:, 2 * series :] @ np.linalg.solve(lagged, both[:, 2 * series :].T)
    return freed[:series, :series], freed[:series, series:], freed[series:, series:]


def _first_vector(s00: Array, s01: Array, s11: Array) -> Array:
    """The generalised eigenvector of the largest eigenvalue, through the symmetric problem of the Cholesky factor."""
    factor = np.linalg.cholesky(s11)
    half = np.linalg.solve(factor, s01.T)
    symmetric = half @ np.linalg.solve(s00, half.T)
    _, vectors = np.linalg.eigh((symmetric + symmetric.T) / 2.0)
    return np.linalg.solve(factor.T, vectors[:, -1])


_FITS: dict[str, Fit] = {"ols": _ols_rows, "tls": _tls_rows, "johansen": _johansen_rows}
