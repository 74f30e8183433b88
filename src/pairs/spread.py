"""The spread of a pair and its z-score, free of look-ahead and with one hedge ratio a window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from pairs.windows import FLAT, Array, blocks, equal_series

SMALLEST_STD = 1e-140  # the squares of anything smaller lose digits, or vanish


@dataclass(frozen=True, slots=True)
class RollingSpread:
    """One element a bar: ``spread``, and the ``mean`` and ``std`` it is measured by, ``zscore = (spread-mean)/std``.

    ``spread`` is NaN without prices or hedge; ``mean`` and ``std`` are NaN together, where the statistics are not
    usable.
    """

    spread: Array
    mean: Array
    std: Array
    zscore: Array


def transform(prices: ArrayLike, kind: str) -> Array:
    """A new float array: the natural logarithm of the prices ("log"; NaN where not positive) or a copy ("level").

    Raises ValueError for any other kind.

    >>> transform([1.0, 0.0, -5.0], "log").tolist()
    [0.0, nan, nan]
    >>> transform([1, 2], "level").tolist()
    [1.0, 2.0]
    """
    values = np.array(prices, dtype=float)
    if kind == "level":
        return values
    if kind != "log":
        raise ValueError(f"wanted prices 'log' or 'level', found {kind!r}")
    logs: Array = np.full_like(values, np.nan)
    np.log(values, out=logs, where=values > 0.0)
    return logs


def rolling_statistics(
    y: ArrayLike,
    x: ArrayLike,
    ratios: ArrayLike,
    intercepts: ArrayLike,
    window: int,
    *,
    inclusive: bool = False,
    ddof: int = 1,
) -> RollingSpread:
    """Spread and z of every bar t, with the whole window's spread by bar t's own ratio and intercept.

    ``spread = y - intercept - ratio * x``; mean and std (``ddof``) over the bars t-n .. t-1, or t-n+1 .. t when
    ``inclusive``. NaN while the window is not full, when it holds a NaN, and when it is flat (std within rounding
    noise). The last element needs no more than the last ``window + 1`` bars, to the bit, so a live bot that asks bar
    by bar and a backtest that asks once agree.

    Raises ValueError for series of unequal length, a window under 2, or a ddof other than 0 or 1.

    >>> ones, zeros = [1.0] * 4, [0.0] * 4
    >>> rolling_statistics([0.0, 1.0, 2.0, 5.0], zeros, ones, zeros, 3).zscore.tolist()
    [nan, nan, nan, 4.0]
    >>> rolling_statistics([7.0, 7.0, 7.0, 7.0], zeros, ones, zeros, 3).zscore.tolist()
    [nan, nan, nan, nan]
    """
    _check_window(window, ddof)
    y, x, ratios, intercepts = equal_series(y, x, ratios, intercepts)
    first = window - 1 if inclusive else window
    mean, std = np.full(len(y), np.nan), np.full(len(y), np.nan)
    with np.errstate(all="ignore"):
        spread = (y - intercepts) - ratios * x
        for block in blocks(len(y) - first, window):
            bars = slice(first + block.start, first + block.stop)
            mean[bars], std[bars] = _window_statistics(
                _windows(y, block, window),
                _windows(x, block, window),
                ratios[bars, np.newaxis],
                intercepts[bars, np.newaxis],
                ddof,
            )
        return RollingSpread(spread, mean, std, (spread - mean) / std)


def kalman_statistics(
    y: ArrayLike, x: ArrayLike, ratios: ArrayLike, intercepts: ArrayLike, errors: ArrayLike, variances: ArrayLike
) -> RollingSpread:
    """Spread and z of a Kalman hedge: the one-step error e by its own standard deviation, ``z = e / sqrt(Q)``.

    NaN wherever the hedge is (refused, or unknown). Raises ValueError for series of unequal length.

    >>> kalman_statistics([3.0], [1.0], [2.0], [0.5], [0.5], [0.25]).zscore.tolist()
    [1.0]
    """
    y, x, ratios, intercepts, errors, variances = equal_series(y, x, ratios, intercepts, errors, variances)
    with np.errstate(all="ignore"):
        spread = (y - intercepts) - ratios * x
        usable = np.isfinite(spread) & np.isfinite(variances) & (variances > 0.0)
        std = np.where(usable, np.sqrt(variances), np.nan)
        return RollingSpread(spread, np.where(usable, 0.0, np.nan), std, errors / std)


def largest_inclusive_z(window: int, ddof: int) -> float:
    """The |z| that a window holding its own last bar cannot exceed: ``(n-1)/sqrt(n)`` for ddof 1, ``sqrt(n-1)`` for 0.

    A stop at or beyond it never fires (Shiffler 1988, Maximum Z scores and outliers).

    >>> largest_inclusive_z(10, 0), largest_inclusive_z(16, 1)
    (3.0, 3.75)
    """
    _check_window(window, ddof)
    return math.sqrt(window - 1) if ddof == 0 else (window - 1) / math.sqrt(window)


def _check_window(window: int, ddof: int) -> None:
    if window < 2 or ddof not in (0, 1):
        raise ValueError(f"wanted window >= 2 and ddof 0 or 1, found {window} and {ddof}")


def _windows(values: Array, block: slice, window: int) -> Array:
    """The windows that begin in ``block``, one a row."""
    if block.stop - block.start == 1:  # a live bar: numpy's view of windows costs more than what is done with it
        return values[np.newaxis, block.start : block.start + window]
    rows: Array = sliding_window_view(values, window)[block]
    return rows


def _window_statistics(y: Array, x: Array, ratio: Array, intercept: Array, ddof: int) -> tuple[Array, Array]:
    """Mean and std of each row's spread, NaN together. ``y``, ``x``: (bars, window) views; the others (bars, 1)."""
    # Into C-ordered buffers: numpy may lay a fresh result out by columns, and then the order of the sums, and with
    # it the last bit, would depend on how many bars were asked for at once.
    spread, hedge = np.empty(y.shape), np.empty(x.shape)
    np.subtract(y, intercept, out=spread)
    np.multiply(x, ratio, out=hedge)
    size = np.maximum(np.maximum(_largest(spread), _largest(hedge)), np.abs(intercept[:, 0]))
    spread -= hedge
    mean = spread.mean(axis=1)
    spread -= mean[:, np.newaxis]
    np.square(spread, out=spread)
    std = np.sqrt(spread.sum(axis=1) / (y.shape[1] - ddof))
    usable = (std > np.maximum(FLAT * size, SMALLEST_STD)) & np.isfinite(std)
    return np.where(usable, mean, np.nan), np.where(usable, std, np.nan)


def _largest(rows: Array) -> Array:
    """The largest magnitude of each row, without a temporary of the size of the rows."""
    largest: Array = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    return largest
