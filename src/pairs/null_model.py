"""Prices like the given ones in which no pair keeps together: what a scan finds in them, it finds by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pairs.all_pairs import pairwise_cointegration
from pairs.pair_tests import Terms
from pairs.windows import Array


@dataclass(frozen=True, slots=True)
class ChanceRate:
    """``rate`` of unrelated pairs whose p is below ``level``, measured on ``tests`` pairs of ``draws`` universes;
    ``error`` is one standard error over the draws."""

    level: float
    rate: float
    error: float
    tests: int
    draws: int


def random_signs(log_prices: ArrayLike, *, seed: int) -> Array:
    """The same moves of each symbol at the same bars, each up or down by the toss of a coin.

    Volatility keeps its clusters, shared by the symbols as they share it; nothing is left to revert or to predict.
    Wu (1986), Jackknife, bootstrap and other resampling methods in regression analysis, Annals of Statistics 14.

    >>> up = [[0.0, 1.0, 3.0], [5.0, 4.0, 6.0]]
    >>> np.abs(np.diff(random_signs(up, seed=1))).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    prices = np.asarray(log_prices, dtype=float)
    moves = np.diff(prices, axis=1)
    signs = 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, size=moves.shape)
    return np.cumsum(np.concatenate([prices[:, :1], moves * signs], axis=1), axis=1)


def chance_rate(
    log_prices: ArrayLike, terms: Terms | None = None, *, level: float = 0.05, draws: int = 20, seed: int = 0
) -> ChanceRate:
    """How often the test of first on second, with ``terms``, calls unrelated pairs like these cointegrated.

    The nominal rate is ``level``; clusters of volatility raise it. Draw d uses ``seed`` + d. Raises ValueError as
    ``pairwise_cointegration`` does, and for fewer than two draws.
    """
    if draws < 2:
        raise ValueError(f"wanted at least 2 draws, found {draws}")
    asked = terms or Terms()
    bare = Terms(asked.max_lag, asked.autolag, reverse=False, diagnostics=False)
    found = [pairwise_cointegration(random_signs(log_prices, seed=seed + draw), bare) for draw in range(draws)]
    rates = np.array([np.mean(tests.coint_p[~tests.collinear] < level) for tests in found])
    error = float(rates.std(ddof=1)) / np.sqrt(draws)
    return ChanceRate(level, float(rates.mean()), float(error), sum(map(len, found)), draws)
