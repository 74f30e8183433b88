"""How often chance alone gives such a pair, measured on simulated series like the data.

The tables of the test assume calm noise; under volatility that comes in clusters they let too many pairs through. So
each bar's returns of all symbols are given one random sign, and summed up again: volatility, its clusters and the
correlation of the symbols stay as they are, and nothing is left that would bring two of them together again (the wild
bootstrap: Cavaliere, Rahbek & Taylor 2010, Testing for co-integration in vector autoregressions with non-stationary
volatility, Journal of Econometrics 158, 7-24).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pairs.all_pairs import Terms, pairwise_cointegration

Floats = NDArray[np.float64]

Tell = Callable[[int, int], None]

MOST_SYMBOLS = 40
MOST_DRAWS = 250


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """``pvalues``: of unrelated pairs like the data, ascending; ``draws``: simulated markets they come from."""

    pvalues: Floats
    draws: int

    def rate(self, pvalue: float) -> float:
        """The share of unrelated pairs with a p-value of ``pvalue`` or less; by the tables it would be ``pvalue``."""
        return float(np.searchsorted(self.pvalues, pvalue, side="right")) / max(len(self.pvalues), 1)


def measured(log_prices: Floats, terms: Terms, *, tests: int, seed: int, tell: Tell = lambda *_: None) -> Chance:
    """``log_prices``: (symbols, bars). Some ``tests`` simulated pairs, in at most ``MOST_DRAWS`` markets, by ``seed``.

    ``tell`` hears how many of the simulated markets are done, and of how many.
    """
    sample = _sample(log_prices)
    pairs = len(sample) * (len(sample) - 1) // 2
    draws = min(MOST_DRAWS, -(-tests // pairs))
    alone, found = replace(terms, reverse=False, diagnostics=False), []
    for number, market in enumerate(_markets(sample, draws, seed), 1):
        simulated = pairwise_cointegration(market, alone)
        found.append(simulated.coint_p[~simulated.collinear])  # doubles stay doubles: their p of 0 says nothing
        tell(number, draws)
    return Chance(np.sort(np.concatenate(found)), draws)


def _sample(log_prices: Floats) -> Floats:
    """At most ``MOST_SYMBOLS`` of the symbols, evenly from all."""
    chosen = np.unique(np.linspace(0, len(log_prices) - 1, min(len(log_prices), MOST_SYMBOLS)).round().astype(int))
    return log_prices[chosen]


def _markets(log_prices: Floats, draws: int, seed: int) -> Iterator[Floats]:
    returns = np.diff(log_prices, axis=1)
    returns -= returns.mean(axis=1, keepdims=True)
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        signs = generator.choice((-1.0, 1.0), size=returns.shape[1])
        yield np.concatenate([np.zeros((len(returns), 1)), np.cumsum(returns * signs, axis=1)], axis=1)
