"""Dickey-Fuller tests of many spreads at once, from sums over time alone.

All arrays have one column a spread, so that one numpy call does one step of every test. Nothing here is approximate:
the moment matrix of a spread's lagged changes follows from its first row and the spread's first and last bars, since
``G[k+1, l+1] = G[k, l] + what joins in front - what leaves at the end``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pairs.windows import Array


@dataclass(frozen=True, slots=True)
class SpreadMoments:
    """Sums of spreads ``e`` with mean 0 and their changes ``D``, for tests with up to ``lags`` lags.

    ``products`` (lags + 1, spreads): ``Σ D_t D_{t-l}`` over the changes t from number ``lags``; ``head`` and ``tail``
    (lags + 1, spreads): the spread at bars ``lags`` .. 0 and at its last bars, latest first; ``squares`` (spreads,):
    ``Σ e²`` over all ``bars``.
    """

    products: Array
    head: Array
    tail: Array
    squares: Array
    bars: int

    @property
    def lags(self) -> int:
        return len(self.products) - 1

    def part(self, spreads: NDArray[np.intp], lags: int) -> SpreadMoments:
        """The moments of some spreads for tests with fewer lags, whose sums begin earlier."""
        joined = self.lags - lags
        head = self.head.take(spreads, axis=1)
        products, tail = (part[: lags + 1].take(spreads, axis=1) for part in (self.products, self.tail))
        if joined:
            first = head[:-1] - head[1:]
            windows = sliding_window_view(first, lags + 1, axis=0)[:joined]
            products += np.einsum("mr,mrl->lr", first[:joined], windows)
        return SpreadMoments(products, head[joined:], tail, self.squares.take(spreads), self.bars)

    @classmethod
    def joined(cls, parts: Sequence[SpreadMoments]) -> SpreadMoments:
        names = ("products", "head", "tail", "squares")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names}
        return cls(**arrays, bars=parts[0].bars)


def nested_fits(moments: SpreadMoments) -> tuple[Array, Array, Array]:
    """Squared residuals as the level and then each lag join: without a constant, and with one; and the least pivot.

    The first two are (lags + 2, spreads), from nothing but the constant to all regressors. One factor serves all.
    """
    lags = moments.lags
    factor = _empty(moments, lags + 1)
    level = level_products(moments)
    factor[0, 0], factor[0, lags + 1], factor[0, lags + 2] = _level_squares(moments), level[0], _level_sum(moments)
    factor[0, 1 : lags + 1] = level[1:]
    _fill_lags(factor[1:, 1:], moments)
    pivot = _factorize(factor)
    target, constant = factor[:, lags + 1], factor[:, lags + 2]
    without = _less(moments.products[0], target * target)
    ones = _less(np.full_like(moments.squares, moments.bars - 1.0 - lags), constant * constant)
    shared = _less(moments.tail[0] - moments.head[0], target * constant)
    return without, without - shared * shared / ones, pivot


def level_statistics(
    moments: SpreadMoments, lags: NDArray[np.intp], *, constant: bool, doubles: int
) -> tuple[Array, Array]:
    """The t of each spread's level with that spread's number of ``lags``, and the least pivot.

    ``doubles`` is the room for the factors of the spreads that are fitted at once.
    """
    statistic, pivot = np.empty(len(lags)), np.empty(len(lags))
    for lag in np.unique(lags).tolist():
        these = np.flatnonzero(lags == lag)
        chunk = max(1, doubles // ((moments.lags + 1) * (lag + 3)))
        for start in range(0, len(these), chunk):
            part = these[start : start + chunk]
            statistic[part], pivot[part] = _level_statistic(moments.part(part, lag), constant=constant)
    return statistic, pivot


def _level_statistic(moments: SpreadMoments, *, constant: bool) -> tuple[Array, Array]:
    """The t of the level in the regression with all lags of ``moments``; and the least pivot."""
    lags = moments.lags
    factor = _empty(moments, lags)
    level = level_products(moments)
    _fill_lags(factor, moments)
    factor[:, lags] = level[1:]
    pivot = _factorize(factor)
    known, target, ones = factor[:, lags], factor[:, lags + 1], factor[:, lags + 2]
    level_2 = _level_squares(moments)
    s_ll, s_lt = level_2 - _dot(known, known), level[0] - _dot(known, target)
    s_tt, rows = moments.products[0] - _dot(target, target), moments.bars - 1.0 - lags
    if constant:
        s_cc, s_cl = rows - _dot(ones, ones), _level_sum(moments) - _dot(ones, known)
        s_ct = moments.tail[0] - moments.head[0] - _dot(ones, target)
        s_ll, s_lt, s_tt = s_ll - s_cl * s_cl / s_cc, s_lt - s_cl * s_ct / s_cc, s_tt - s_ct * s_ct / s_cc
    residual = s_tt - s_lt * s_lt / s_ll
    return s_lt / np.sqrt(s_ll * residual / (rows - lags - 1.0 - constant)), np.minimum(pivot, s_ll / level_2)


def reversion(moments: SpreadMoments) -> tuple[Array, Array]:
    """``phi`` of an AR(1) with a constant over all bars, and its standard error."""
    points = moments.bars - 1.0
    last, first = moments.tail[0], moments.head[-1]
    moves = moments.head[:-1] - moments.head[1:]
    changes, rise = moments.products[0] + _dot(moves, moves), last - first
    squares = moments.squares - last * last - last * last / points
    cross = 0.5 * (last * last - first * first - changes) + last * rise / points
    slope = cross / squares
    residual = changes - rise * rise / points - slope * cross
    return 1.0 + slope, np.sqrt(residual / (points - 2.0) / squares)


def level_products(moments: SpreadMoments) -> Array:
    """``Σ e_t D_{t-l}`` (lags + 1, spreads), by telescoping."""
    head, tail, products = moments.head, moments.tail, moments.products
    found = np.empty_like(products)
    found[0] = 0.5 * (tail[0] * tail[0] - head[0] * head[0] - products[0])
    found[1:] = products[:-1] + head[0] * (head[:-1] - head[1:]) - tail[0] * (tail[:-1] - tail[1:])
    return np.cumsum(found, axis=0, out=found)


def _level_squares(moments: SpreadMoments) -> Array:
    """``Σ e²`` over the bars before the changes from number ``lags``."""
    return moments.squares - moments.tail[0] ** 2 - _dot(moments.head[1:], moments.head[1:])


def _level_sum(moments: SpreadMoments) -> Array:
    return -moments.tail[0] - moments.head[1:].sum(axis=0)  # all bars sum to 0


def _empty(moments: SpreadMoments, regressors: int) -> Array:
    """Room for upper rows whose last columns are the target and the constant (and the level, if it is no row)."""
    return np.empty((regressors, moments.lags + 3, len(moments.squares)))


def _fill_lags(rows: Array, moments: SpreadMoments) -> None:
    """Moments of the lags with each other, and with target and constant in the last two columns."""
    lags, products = moments.lags, moments.products
    first, last = moments.head[:-1] - moments.head[1:], moments.tail[:-1] - moments.tail[1:]
    former = products[:-1]
    for lag in range(lags):
        own = rows[lag, lag:lags]
        np.multiply(first[lag], first[lag:], out=own)
        own += former[: lags - lag]
        own -= last[lag] * last[lag:]
        former = own
    rows[:lags, -2] = products[1:]
    rows[:lags, -1] = moments.tail[1:] - moments.head[1:]


def _factorize(rows: Array) -> Array:
    """Cholesky of upper rows (regressors, columns, spreads) in place; the least pivot ÷ its diagonal."""
    least = np.ones(rows.shape[-1])
    for row in range(len(rows)):
        own = rows[row, row:]
        diagonal = own[0].copy()
        if row:
            own -= np.einsum("kr,kcr->cr", rows[:row, row], rows[:row, row:])
        np.minimum(least, own[0] / diagonal, out=least)
        own *= 1.0 / np.sqrt(own[0])
    return least


def _less(whole: Array, parts: Array) -> Array:
    """What is left of ``whole`` before and after each of ``parts`` is taken, one below the other."""
    left = np.empty((len(parts) + 1, len(whole)))
    left[0] = whole
    np.negative(parts, out=left[1:])
    return np.cumsum(left, axis=0, out=left)


def _dot(one: Array, other: Array) -> Array:
    return np.einsum("kr,kr->r", one, other)
