"""The sums over time that every pair of symbols needs, as one matrix product a lag.

A Dickey-Fuller test of a spread ``e = y - b x`` sums products of its changes with its earlier changes. Such a sum is
bilinear in the symbols, so ``lags + 1`` products of all symbols' changes serve every pair, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairs.windows import Array


@dataclass(frozen=True, slots=True)
class Symbols:
    """Some symbols' prices without their means, and the sums and bars that a test reads of each symbol alone.

    ``levels`` (symbols, bars) and their ``changes``, whose means are ``drift``; ``returns``: sums of squared changes
    about it; ``means``: of the prices; ``squares``: sums of squared levels. One column a symbol: ``lagged`` (lags + 1,
    symbols), ``Σ D_t D_{t-l}`` over the changes D from number ``lags``; ``head`` and ``tail`` (lags + 1, symbols): the
    levels at bars ``lags`` .. 0 and at the last bars, latest first.
    """

    levels: Array
    changes: Array
    drift: Array
    returns: Array
    means: Array
    squares: Array
    lagged: Array
    head: Array
    tail: Array

    @classmethod
    def of(cls, prices: Array, lags: int) -> Symbols:
        means = prices.mean(axis=1)
        levels = prices - means[:, np.newaxis]
        changes = np.diff(levels, axis=1)
        head, tail = levels[:, lags::-1].T.copy(), levels[:, : -lags - 2 : -1].T.copy()
        drift = (levels[:, -1] - levels[:, 0]) / changes.shape[1]
        returns = np.vecdot(changes, changes) - drift * drift * changes.shape[1]
        squares, lagged = np.vecdot(levels, levels), _lagged_squares(changes, lags)
        return cls(levels, changes, drift, returns, means, squares, lagged, head, tail)


@dataclass(frozen=True, slots=True)
class LagProducts:
    """Sums of pairs of symbols, of which ``rows`` and ``columns`` are the positions in their groups.

    ``crossed`` (lags + 1, pairs): ``Σ D_t E_{t-l} + E_t D_{t-l}`` for the changes D and E of the two symbols, over the
    changes from number ``lags``. ``levels`` and ``returns`` (pairs,): the products of their levels, and of their
    changes, over all bars and about their means.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    crossed: Array
    levels: Array
    returns: Array


def lag_products(left: Symbols, right: Symbols) -> LagProducts:
    """The products of every symbol of ``left`` with every one of ``right``; of each pair once when they are one object.

    The two products of a lag come from one: ``(D_t + D_{t-l})(E_t + E_{t-l})`` less the products of equal times.
    """
    shape, lags = (len(left.levels), len(right.levels)), len(left.lagged) - 1
    rows, columns = np.triu_indices(shape[0], 1) if left is right else np.indices(shape).reshape(2, -1)
    flat = rows * shape[1] + columns
    crossed = np.empty((lags + 1, len(flat)))
    for lag, both in enumerate(_crossed(left.changes, right.changes, lags)):
        np.take(both.ravel(), flat, out=crossed[lag])
    returns = 0.5 * crossed[0] + (left.changes[:, :lags] @ right.changes[:, :lags].T).take(flat)
    returns -= left.drift[rows] * right.drift[columns] * left.changes.shape[1]
    return LagProducts(rows, columns, crossed, (left.levels @ right.levels.T).take(flat), returns)


def _lagged_squares(changes: Array, lags: int) -> Array:
    now, rows = changes[:, lags:], changes.shape[1]
    return np.array([np.vecdot(now, changes[:, lags - lag : rows - lag]) for lag in range(lags + 1)])


def _crossed(left: Array, right: Array, lags: int) -> Iterator[Array]:
    now, other = left[:, lags:], right[:, lags:]
    equal_times = now @ (now if left is right else other).T
    yield 2.0 * equal_times
    earlier = equal_times.copy()
    sums, sums_right = np.empty(now.shape), np.empty(other.shape)
    for lag in range(1, lags + 1):
        # of the products ``lag`` bars before: one joins in front, the last of the lag before leaves
        joins, leaves = lags - lag, left.shape[1] - lag
        earlier += np.outer(left[:, joins], right[:, joins])
        earlier -= np.outer(left[:, leaves], right[:, leaves])
        np.add(now, left[:, joins:leaves], out=sums)
        if left is not right:
            np.add(other, right[:, joins:leaves], out=sums_right)
        both = sums @ (sums if left is right else sums_right).T  # of one matrix with itself numpy computes only half
        both -= equal_times
        both -= earlier
        yield both
