"""Engle-Granger tests of every pair of many symbols.

tests = pairwise_cointegration(log_prices)                      # all at once
parts = [block_cointegration(log_prices, block) for block in partition(len(log_prices))]
tests = join(parts)                                             # the same to the last bit, wherever each part ran
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pairs.cointegration import engle_granger
from pairs.half_life import half_life
from pairs.mean_reversion import zero_crossings
from pairs.pair_tests import PairTests, join
from pairs.unit_root import Autolag, adf
from pairs.windows import Array

GROUP = 100  # symbols; the products of a block of 100 x 100 symbols and 25 lags are 2 MB


@dataclass(frozen=True, slots=True)
class Terms:
    """How to test: ``max_lag`` and ``autolag`` as in ``engle_granger``; ``reverse`` also tests second on first;
    ``diagnostics`` adds what is no cointegration test (``adf_*``, ``half_life_*``, ``zero_crossings``).
    """

    max_lag: int | None = None
    autolag: Autolag = "aic"
    reverse: bool = True
    diagnostics: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """The pairs of symbols ``rows`` with symbols ``columns`` (half-open ranges); within one range, each pair once."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def pairs(self) -> int:
        height, width = (stop - start for start, stop in (self.rows, self.columns))
        return height * (height - 1) // 2 if self.rows == self.columns else height * width


def partition(symbols: int) -> tuple[Block, ...]:
    """The blocks that hold every pair of ``symbols`` once; the same for the same number.

    >>> [block.pairs for block in partition(150)], 150 * 149 // 2
    ([2775, 5625, 2775], 11175)
    """
    groups = -(-symbols // GROUP)
    edges = [symbols * group // groups for group in range(groups + 1)] if groups else [0]
    ranges = list(zip(edges, edges[1:], strict=False))
    blocks = [Block(rows, columns) for k, rows in enumerate(ranges) for columns in ranges[k:]]
    return tuple(block for block in blocks if block.pairs)


def pairwise_cointegration(
    log_prices: ArrayLike, terms: Terms | None = None, *, on_block: Callable[[Block], None] | None = None
) -> PairTests:
    """The tests of every pair of rows of ``log_prices`` (symbols, bars; oldest first, no gaps).

    ``on_block`` is called with each block of ``partition`` when it is done. Memory grows with the number of pairs.

    Raises ValueError for fewer than two symbols, for a row that is not finite or is constant, or for too few bars.
    """
    prices = checked_prices(log_prices)
    parts = []
    for block in partition(len(prices)):
        parts.append(block_cointegration(prices, block, terms))
        if on_block:
            on_block(block)
    return join(parts)


def block_cointegration(log_prices: ArrayLike, block: Block, terms: Terms | None = None) -> PairTests:
    """The tests of one block's pairs; reads no other row of ``log_prices``. Raises as ``pairwise_cointegration``."""
    prices, wanted = checked_prices(log_prices), terms or Terms()
    return join(_single(prices, i, j, wanted) for i, j in _pairs(block))


def checked_prices(log_prices: ArrayLike) -> Array:
    """The prices as a float matrix. Raises ValueError for what cannot be tested."""
    prices = np.ascontiguousarray(log_prices, dtype=float)
    if prices.ndim != 2 or len(prices) < 2:
        raise ValueError(f"wanted log prices of at least two symbols (symbols, bars), found shape {prices.shape}")
    return prices


def _pairs(block: Block) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(*block.rows) for j in range(*block.columns) if i < j)


def _single(prices: Array, i: int, j: int, terms: Terms) -> PairTests:
    forward = engle_granger(prices[i], prices[j], max_lag=terms.max_lag, autolag=terms.autolag)
    back = engle_granger(prices[j], prices[i], max_lag=terms.max_lag, autolag=terms.autolag)
    spread = prices[i] - forward.intercept - forward.hedge_ratio * prices[j]
    unit, life = adf(spread, "c", terms.max_lag, terms.autolag), half_life(spread)
    row = (
        *(i, j, len(spread), forward.hedge_ratio, forward.intercept),
        *(forward.statistic, forward.pvalue, forward.lag, back.statistic, back.pvalue, back.lag),
        *(unit.statistic, unit.pvalue, unit.lag, life.bars, life.low, life.high),
        float(np.corrcoef(np.diff(prices[i]), np.diff(prices[j]))[0, 1]),
        *(float(spread.std(ddof=1)), zero_crossings(spread), forward.collinear),
    )
    return PairTests(*(np.array([value]) for value in row))
