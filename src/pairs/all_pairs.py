"""Engle-Granger tests of every pair of many symbols.

tests = pairwise_cointegration(log_prices)                      # all at once
parts = [block_cointegration(log_prices, block) for block in partition(len(log_prices))]
tests = join(parts)                                             # the same to the last bit, wherever each part ran
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from pairs.block_scan import scan_block
from pairs.pair_tests import Block, PairTests, Terms, join
from pairs.windows import Array

__all__ = [
    *("Block", "PairTests", "Terms", "block_cointegration", "join", "pairwise_cointegration", "partition"),
    "checked_prices",
]

GROUP = 100  # symbols; the products of a block of 100 x 100 symbols and 25 lags are 2 MB


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
        parts.append(scan_block(prices, block, terms or Terms()))
        if on_block:
            on_block(block)
    return join(parts)


def block_cointegration(log_prices: ArrayLike, block: Block, terms: Terms | None = None) -> PairTests:
    """The tests of one block's pairs; reads no other row of ``log_prices``. Raises as ``pairwise_cointegration``."""
    return scan_block(checked_prices(log_prices), block, terms or Terms())


def checked_prices(log_prices: ArrayLike) -> Array:
    """The prices as a float matrix. Raises ValueError for what cannot be tested."""
    prices = np.ascontiguousarray(log_prices, dtype=float)
    if prices.ndim != 2 or len(prices) < 2:
        raise ValueError(f"wanted log prices of at least two symbols (symbols, bars), found shape {prices.shape}")
    with np.errstate(invalid="ignore"):
        span = prices.max(axis=1) - prices.min(axis=1)  # NaN or infinite when a price is
    wrong = np.flatnonzero(~((span > 0.0) & (span < np.inf)))
    if len(wrong):
        raise ValueError(f"rows {wrong.tolist()} of the prices are constant or not finite; leave those symbols out")
    return prices
