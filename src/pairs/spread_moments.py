"""Dickey-Fuller tests of many spreads at once, from sums over time alone.

All arrays have one column a spread, so that one numpy call does one step of every test. Nothing here is approximate:
the moment matrix of a spread's lagged changes follows from its first row and the spread's first and last bars, since
``G[k+1, l+1] = G[k, l] + what joins in front - what leaves at the end``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pairs.windows import Array

Edges = tuple[Array, Array]


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

    def edge_changes(self) -> tuple[Array, Array]:
        """The changes (lags, spreads) that join in front, and those that leave at the end, latest first."""
        return self.head[:-1] - self.head[1:], self.tail[:-1] - self.tail[1:]

    def beginning_earlier(self) -> SpreadMoments:
        """The same with the changes that ``head`` holds before those that ``products`` sum: fewer lags need fewer."""
        joined = len(self.head) - len(self.products)
        if not joined:
            return self
        first = self.head[:-1] - self.head[1:]
        windows = sliding_window_view(first, len(self.products), axis=0)[:joined]
        products = self.products + np.einsum("mr,mrl->lr", first[:joined], windows)
        return replace(self, products=products, head=self.head[joined:])


@dataclass(frozen=True, slots=True)
class NestedFits:
    """The regressions of the change on the level and 0, 1, … ``lags`` lags, all on one sample of ``rows`` changes.

    ``level``, ``shared`` and ``target`` (lags + 1, spreads): squares of the level and of the change, and their product,
    of what the lags (and the constant, if there is one) leave of them. ``alone`` (spreads,): squares of the change
    without level or lags. ``pivot`` (spreads,): the least share of a regressor that the others do not explain.
    """

    rows: int
    level: Array
    shared: Array
    target: Array
    alone: Array
    pivot: Array

    def residuals(self) -> Array:
        """Sums of squares left without level and lags, then with the level, then with each lag: (lags + 2, spreads)."""
        return np.concatenate([self.alone[np.newaxis], self.target - self.shared * self.shared / self.level])

    def statistic(self, *, terms: int) -> Array:
        """The t of the level with all lags and ``terms`` deterministic regressors."""
        level, shared, free = self.level[-1], self.shared[-1], self.rows - len(self.level) - terms
        residual = self.target[-1] - shared * shared / level
        return shared / np.sqrt(level * residual / free)


class Room:
    """Fits chunks of spreads in memory that it keeps: fresh memory would cost as much as the arithmetic.

    ``doubles`` that stay in the cache make it fast.
    """

    def __init__(self, doubles: int) -> None:
        self._factors = np.empty(doubles)
        self._steps = np.empty(doubles)

    def spreads(self, lags: int) -> int:
        """How many spreads to fit at once."""
        return max(1, min(1 << 11, len(self._factors) // ((lags + 1) * (lags + 3))))

    def fit(self, moments: SpreadMoments, *, constant: bool) -> tuple[NestedFits, NestedFits]:
        """The regressions without a constant and, if asked for, with one; one factor serves both."""
        edges = moments.edge_changes()
        level = level_products(moments, edges)
        factor = self._filled(moments, edges, level, constant)
        pivot = self._factorize(factor)
        known, target = factor[:, moments.lags], factor[:, moments.lags + 1]
        whole = _level_squares(moments)
        fits = NestedFits(
            moments.bars - 1 - moments.lags,
            _less(whole, known * known),
            _less(level[0], known * target),
            _less(moments.products[0], target * target),
            moments.products[0],
            pivot,
        )
        np.minimum(pivot, fits.level[-1] / whole, out=pivot)
        return fits, self._freed(fits, moments, factor) if constant else fits

    def _freed(self, fits: NestedFits, moments: SpreadMoments, factor: Array) -> NestedFits:
        """The fits with a constant among the regressors."""
        known, target, ones = (factor[:, moments.lags + column] for column in range(3))
        rise = moments.tail[0] - moments.head[0]
        squares = _less(np.full_like(rise, fits.rows), ones * ones)
        level, change = _less(_level_sum(moments), ones * known), _less(rise, ones * target)
        return NestedFits(
            fits.rows,
            fits.level - level * level / squares,
            fits.shared - level * change / squares,
            fits.target - change * change / squares,
            fits.alone - rise * rise / fits.rows,
            fits.pivot,
        )

    def _filled(self, moments: SpreadMoments, edges: Edges, level: Array, constant: bool) -> Array:
        """Upper moment rows of the lags (lags, columns, spreads): lags, level, change, and the constant if wanted."""
        lags, spreads = moments.lags, len(moments.squares)
        rows = _shaped(self._factors, lags, lags + 2 + constant, spreads)
        (first, last), former = edges, moments.products
        for lag in range(lags):
            own = rows[lag, lag:lags]
            np.multiply(first[lag], first[lag:], out=own)
            own += former[: lags - lag]
            own -= np.multiply(last[lag], last[lag:], out=_shaped(self._steps, lags - lag, spreads))
            former = own
        rows[:, lags], rows[:, lags + 1] = level[1:], moments.products[1:]
        if constant:
            np.subtract(moments.tail[1:], moments.head[1:], out=rows[:, lags + 2])
        return rows

    def _factorize(self, rows: Array) -> Array:
        """Cholesky of upper rows in place; the least pivot ÷ its diagonal."""
        least = np.ones(rows.shape[-1])
        for row in range(len(rows)):
            own = rows[row, row:]
            diagonal = own[0].copy()
            if row:
                step = _shaped(self._steps, *own.shape)
                own -= np.einsum("kr,kcr->cr", rows[:row, row], rows[:row, row:], out=step)
            np.minimum(least, own[0] / diagonal, out=least)
            own *= 1.0 / np.sqrt(own[0])
        return least


def level_products(moments: SpreadMoments, edges: Edges) -> Array:
    """``Σ e_t D_{t-l}`` (lags + 1, spreads), by telescoping."""
    (first, last), (head, tail), products = edges, (moments.head[0], moments.tail[0]), moments.products
    found = np.empty_like(products)
    found[0] = 0.5 * (tail * tail - head * head - products[0])
    np.multiply(head, first, out=found[1:])
    found[1:] += products[:-1]
    found[1:] -= tail * last
    return _running_sum(found)


def _level_squares(moments: SpreadMoments) -> Array:
    """``Σ e²`` over the bars before the changes from number ``lags``."""
    head = moments.head[1:]
    return moments.squares - moments.tail[0] ** 2 - np.einsum("kr,kr->r", head, head)


def _level_sum(moments: SpreadMoments) -> Array:
    return -moments.tail[0] - moments.head[1:].sum(axis=0)  # all bars sum to 0


def _less(whole: Array, parts: Array) -> Array:
    """What is left of ``whole`` before and after each of ``parts`` is taken, one below the other."""
    left = np.empty((len(parts) + 1, len(whole)))
    left[0] = whole
    for row, part in enumerate(parts):
        np.subtract(left[row], part, out=left[row + 1])
    return left


def _running_sum(rows: Array) -> Array:
    """Each row with all above it, in place; numpy's cumsum goes down one column at a time, and is slower."""
    for row in range(1, len(rows)):
        rows[row] += rows[row - 1]
    return rows


def _shaped(memory: Array, *shape: int) -> Array:
    return memory[: math.prod(shape)].reshape(shape)
