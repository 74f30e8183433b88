"""The tests of one block of pairs, a cache's worth of spreads at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairs.blas import BLAS
from pairs.cointegration import engle_granger
from pairs.directed_tests import DirectedTests, Leg
from pairs.half_life import half_life, half_lives
from pairs.lag_products import Symbols, lag_products
from pairs.mackinnon import p_values
from pairs.mean_reversion import zero_crossings
from pairs.pair_tests import Block, PairTests, Terms
from pairs.spread_moments import Room
from pairs.unit_root import adf, longest_lag
from pairs.windows import Array

Positions = NDArray[np.intp]

CACHE = 1 << 19  # doubles of the factors of one chunk of spreads: 4 MB
LEAST_BARS = 24  # with fewer, the longest lag of the tests with and without a constant would differ


def scan_block(prices: Array, block: Block, terms: Terms) -> PairTests:
    """The tests of the pairs of one ``block`` of ``prices``, the same bits whatever else is computed, and where."""
    with BLAS.one():
        return BlockScan(prices, block, terms).run()


class BlockScan:
    """Tests the pairs of one ``block`` of ``prices`` (symbols, bars). Raises ValueError for too few bars."""

    def __init__(self, prices: Array, block: Block, terms: Terms) -> None:
        self._prices, self._block, self._terms = prices, block, terms
        self._bars = prices.shape[1]
        if terms.max_lag is None and self._bars < LEAST_BARS:
            raise ValueError(f"wanted at least {LEAST_BARS} bars, found {self._bars}: too short to test")
        lags = longest_lag(self._bars, trend="c", max_lag=terms.max_lag)
        self._left = Symbols.of(prices[slice(*block.rows)], lags)
        whole = block.rows == block.columns
        self._right = self._left if whole else Symbols.of(prices[slice(*block.columns)], lags)
        self._pairs = lag_products(self._left, self._right)
        self._room = Room(max(CACHE, (lags + 1) * (lags + 3)))

    def run(self) -> PairTests:
        with np.errstate(all="ignore"):  # what divides by nothing is doubtful, and fitted by itself
            there = self._tests(self._left, self._pairs.rows, self._right, self._pairs.columns)
            columns = self._columns(there) | self._tested(there, "", constant=self._terms.diagnostics)
            doubtful = there.doubtful
            if self._terms.diagnostics:
                columns |= self._diagnosed(there)
            if self._terms.reverse:
                back = self._tests(self._right, self._pairs.columns, self._left, self._pairs.rows)
                columns |= self._tested(back, "_reverse", constant=False)
                doubtful = doubtful | back.doubtful
        for pair in np.flatnonzero(doubtful):
            self._fit_alone(int(pair), columns)
        return PairTests(**columns)

    def _tests(self, y: Symbols, own: Positions, x: Symbols, other: Positions) -> DirectedTests:
        return DirectedTests(Leg(y, own), Leg(x, other), self._pairs, bars=self._bars, room=self._room)

    def _columns(self, there: DirectedTests) -> dict[str, Any]:
        """Everything but the tests; what may not be asked for is NaN or -1."""
        pairs, count = self._pairs, len(self._pairs.levels)
        floats = ("coint_t_reverse", "coint_p_reverse", "adf_t", "adf_p", "half_life_bars", "half_life_low")
        spans = np.sqrt(self._left.returns[pairs.rows] * self._right.returns[pairs.columns])
        return {
            "first": (pairs.rows + self._block.rows[0]).astype(np.int32),
            "second": (pairs.columns + self._block.columns[0]).astype(np.int32),
            "n_bars": np.full(count, self._bars, dtype=np.int32),
            "hedge_ratio": there.ratio,
            "intercept": self._left.means[pairs.rows] - there.ratio * self._right.means[pairs.columns],
            **{name: np.full(count, np.nan) for name in (*floats, "half_life_high")},
            **{name: np.full(count, -1, np.int32) for name in ("coint_lag_reverse", "adf_lag", "zero_crossings")},
            "correlation": pairs.returns / spans,
            "spread_std": np.sqrt(there.squares / (self._bars - 1.0)),
            "collinear": np.zeros(count, dtype=bool),
        }

    def _tested(self, tests: DirectedTests, suffix: str, *, constant: bool) -> dict[str, Any]:
        if self._terms.autolag is not None:
            tests.choose_lags(self._terms.autolag, constant=constant)
        statistics = tests.statistics(constant=False)
        return {
            f"coint_t{suffix}": statistics,
            f"coint_p{suffix}": p_values(statistics, series=2),
            f"coint_lag{suffix}": tests.lags.astype(np.int32),
        }

    def _diagnosed(self, there: DirectedTests) -> dict[str, Any]:
        statistics = there.statistics(constant=True)
        bars, low, high = half_lives(*there.reversion())
        return {
            "adf_t": statistics,
            "adf_p": p_values(statistics, series=1),
            "adf_lag": there.lags_constant.astype(np.int32),
            "half_life_bars": bars,
            "half_life_low": low,
            "half_life_high": high,
            "zero_crossings": self._crossings(there.ratio),
        }

    def _crossings(self, ratio: Array) -> NDArray[np.int32]:
        found = np.empty(len(ratio), dtype=np.int32)
        edges = np.searchsorted(self._pairs.rows, np.arange(len(self._left.levels) + 1))
        for levels, start, stop in zip(self._left.levels, edges, edges[1:], strict=False):
            others = self._right.levels[len(self._right.levels) - (stop - start) :]  # the last ones, in their order
            above = levels > ratio[start:stop, np.newaxis] * others
            found[start:stop] = np.count_nonzero(above[:, 1:] != above[:, :-1], axis=1)
        return found

    def _fit_alone(self, pair: int, columns: dict[str, Any]) -> None:
        """The same tests from the prices themselves, by orthogonal factors, which square no rounding."""
        y, x = self._prices[columns["first"][pair]], self._prices[columns["second"][pair]]
        for name, value in fitted_alone(y, x, self._terms).items():
            columns[name][pair] = value


def fitted_alone(y: Array, x: Array, terms: Terms) -> dict[str, float]:
    """The columns of ``PairTests`` that depend on the tests, for one pair."""
    there = engle_granger(y, x, max_lag=terms.max_lag, autolag=terms.autolag)
    spread = y - there.intercept - there.hedge_ratio * x
    found = {"hedge_ratio": there.hedge_ratio, "intercept": there.intercept, "collinear": there.collinear}
    found |= {
        "coint_t": there.statistic,
        "coint_p": there.pvalue,
        "coint_lag": there.lag,
        "spread_std": spread.std(ddof=1),
    }
    if terms.reverse:
        back = engle_granger(x, y, max_lag=terms.max_lag, autolag=terms.autolag)
        found |= {"coint_t_reverse": back.statistic, "coint_p_reverse": back.pvalue, "coint_lag_reverse": back.lag}
    return found | (_diagnosed_alone(spread, terms) if terms.diagnostics else {})


def _diagnosed_alone(spread: Array, terms: Terms) -> dict[str, float]:
    if not np.ptp(spread) > 0.0:  # one series twice, to the last bit
        lives = dict.fromkeys(("half_life_bars", "half_life_low", "half_life_high"), np.nan)
        return {"adf_t": np.nan, "adf_p": np.nan, "adf_lag": -1, "zero_crossings": 0, **lives}
    unit, life = adf(spread, "c", terms.max_lag, terms.autolag), half_life(spread)
    found = {"half_life_bars": life.bars, "half_life_low": life.low, "half_life_high": life.high}
    found |= {"adf_t": unit.statistic, "adf_p": unit.pvalue, "adf_lag": unit.lag}
    return found | {"zero_crossings": zero_crossings(spread)}
