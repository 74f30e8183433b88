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


def kalman(
    y: ArrayLike, x: ArrayLike, *, delta: float = 1e-4, observation_variance: float = 1e-3
) -> tuple[Array, Array, Array, Array]:
    """Ratio and intercept as a random walk: ``(ratios, intercepts, errors, error_variances)``, each as long as y.

    Element t of the ratios and intercepts is the state predicted from the bars before t; bar t enters only its own
    error ``e = y - intercept - ratio * x`` and that error's variance ``Q``. With f = (x, 1), state b and covariance P:
    ``R = P + δ/(1-δ) I``, ``Q = f R f' + V``, ``K = R f' / Q``, ``b += K e``, ``P = R - K f R`` (Kalman 1960; E. Chan,
    Algorithmic Trading, 2013, example 3.3, whose zero state, zero P and missing first prediction are kept). A bar
    that is not finite has NaN error and variance and teaches nothing.

    Raises ValueError unless ``0 < delta < 1`` and ``observation_variance > 0``.

    >>> ratios, intercepts, errors, variances = kalman([2.0, 2.0, 2.0], [1.0, 1.0, 1.0])
    >>> ratios[:2].tolist(), errors[:2].tolist(), variances[:1].tolist()
    ([0.0, 0.0], [2.0, 2.0], [0.001])
    >>> bool(0.0 < errors[2] < 2.0)
    True
    """
    if not (0.0 < delta < 1.0 and 0.0 < observation_variance < np.inf):
        raise ValueError(f"wanted 0 < delta < 1 and observation_variance > 0, found {delta} and {observation_variance}")
    y, x = equal_series(y, x)
    walk = delta / (1.0 - delta)
    out = np.full((4, len(y)), np.nan)
    ratio = intercept = p_rr = p_ri = p_ii = 0.0
    # plain floats: a 2 by 2 filter in numpy arrays takes twenty times as long
    for t, (price_y, price_x) in enumerate(zip(y.tolist(), x.tolist(), strict=True)):
        if t > 0:
            p_rr, p_ii = p_rr + walk, p_ii + walk
        out[0, t], out[1, t] = ratio, intercept
        gain_r, gain_i = p_rr * price_x + p_ri, p_ri * price_x + p_ii
        variance = gain_r * price_x + gain_i + observation_variance
        error = price_y - intercept - ratio * price_x
        if not abs(error) + variance < np.inf:
            continue
        out[2, t], out[3, t] = error, variance
        ratio, intercept = ratio + gain_r / variance * error, intercept + gain_i / variance * error
        p_rr -= gain_r / variance * gain_r
        p_ri -= gain_r / variance * gain_i
        p_ii -= gain_i / variance * gain_i
    return out[0], out[1], out[2], out[3]


def hedge_series(spec: HedgeSpec, y: ArrayLike, x: ArrayLike, *, first_bar: int = 0) -> tuple[Array, Array]:
    """``(ratios, intercepts)`` in force at the close of every bar, from data up to and including that bar.

    ols, tls and johansen are fitted on the last ``spec.window`` bars, at bars whose absolute number ``first_bar + t``
    is a multiple of ``spec.refit_every``, and held in between: a bot that restarts with other history, but the same
    numbering (epoch hours, say), refits on the same bars; its last ``window + refit_every - 1`` bars give the last
    element to the bit. NaN before the first fit; a fit that is not positive and finite is refused, as NaN until the
    next. ``kalman`` gives the predicted state of each bar, refused likewise, and depends on all bars since the first;
    ``fixed`` gives the constants of the spec, whatever their sign.

    Raises ValueError for an unknown method, a fixed one without a ratio, or a window or refit that is too short.

    >>> ratios, _ = hedge_series(HedgeSpec("ols", window=3, refit_every=2), [3, 5, 7, 9, 11], [1, 2, 3, 4, 5])
    >>> ratios.tolist()
    [nan, nan, 2.0, 2.0, 2.0]
    """
    y, x = equal_series(y, x)
    if spec.method == "fixed":
        return _constants(spec, len(y))
    if spec.method == "kalman":
        ratios, intercepts, _, _ = kalman(y, x)
        return _refuse_unusable(ratios, intercepts)
    if spec.method not in _FITS:
        known = ", ".join(("fixed", *_FITS, "kalman"))
        raise ValueError(f"wanted a hedge method out of {known}, found {spec.method!r}")
    if spec.window < 2 or spec.refit_every < 1:
        raise ValueError(f"wanted window >= 2 and refit_every >= 1, found {spec.window} and {spec.refit_every}")
    return _refuse_unusable(*_held_fits(spec, y, x, first_bar))


def _constants(spec: HedgeSpec, bars: int) -> tuple[Array, Array]:
    if spec.ratio is None:
        raise ValueError("wanted a ratio for the fixed hedge method, found none; give hedge_ratio or another method")
    return np.full(bars, float(spec.ratio)), np.full(bars, float(spec.intercept))


def _refuse_unusable(ratios: Array, intercepts: Array) -> tuple[Array, Array]:
    usable = (ratios > 0.0) & np.isfinite(ratios) & np.isfinite(intercepts)
    return np.where(usable, ratios, np.nan), np.where(usable, intercepts, np.nan)


def _held_fits(spec: HedgeSpec, y: Array, x: Array, first_bar: int) -> tuple[Array, Array]:
    """The fits of the refit bars, each held until the next."""
    bars = np.arange(len(y))
    refits = bars[(bars >= spec.window - 1) & ((bars + first_bar) % spec.refit_every == 0)]
    if not len(refits):
        return np.full(len(y), np.nan), np.full(len(y), np.nan)
    ratios, intercepts = _fit_windows(_FITS[spec.method], y, x, refits - (spec.window - 1), spec.window)
    latest = np.searchsorted(refits, bars, side="right") - 1
    fitted = latest >= 0
    return np.where(fitted, ratios[latest], np.nan), np.where(fitted, intercepts[latest], np.nan)


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
