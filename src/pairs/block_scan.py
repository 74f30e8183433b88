"""The tests of one block of pairs, a cache's worth of spreads at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairs.blas import one_thread
from pairs.cointegration import engle_granger
from pairs.half_life import half_life, half_lives
from pairs.lag_products import LagProducts, Legs, Symbols, lag_products
from pairs.mackinnon import p_values
from pairs.mean_reversion import zero_crossings
from pairs.pair_tests import Block, PairTests, Terms
from pairs.spread_moments import Room, SpreadMoments, level_statistics, reversion
from pairs.unit_root import TERMS, adf, best_lags, longest_lag
from pairs.windows import Array

CACHE = 1 << 19  # doubles of the factors of one chunk of spreads: 4 MB
LEAST_BARS = 24  # with fewer, the longest lag of the tests with and without a constant would differ
# where a subtraction leaves less than these shares, rounding nears the eighth digit: such pairs are fitted one by one
UNEXPLAINED, REMAINING, PIVOT = 1e-4, 1e-4, 1e-5

Mask = NDArray[np.bool_]
Lags = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Spreads:
    """One direction of some pairs: hedge ratios, moments, the lags chosen without and with a constant, and which pairs
    rounding may have touched."""

    ratio: Array
    moments: SpreadMoments
    lag: Lags
    lag_constant: Lags
    doubtful: Mask

    @classmethod
    def joined(cls, parts: list[Spreads]) -> Spreads:
        ratio, lag, constant, doubtful = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("ratio", "lag", "lag_constant", "doubtful")
        )
        return cls(ratio, SpreadMoments.joined([part.moments for part in parts]), lag, constant, doubtful)


def scan_block(prices: Array, block: Block, terms: Terms) -> PairTests:
    """The tests of the pairs of one ``block`` of ``prices``, the same bits whatever else is computed, and where."""
    with one_thread():
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
        self._room = Room(CACHE)

    def run(self) -> PairTests:
        with np.errstate(all="ignore"):  # what divides by nothing is doubtful, and fitted by itself
            there, back = self._both_directions()
            columns = self._columns(there)
            columns |= self._tested(there, "") | (self._tested(back, "_reverse") if back else {})
            if self._terms.diagnostics:
                columns |= self._diagnosed(there)
        doubtful = there.doubtful | back.doubtful if back else there.doubtful
        for pair in np.flatnonzero(doubtful):
            self._fit_alone(int(pair), columns)
        return PairTests(**columns)

    def _both_directions(self) -> tuple[Spreads, Spreads | None]:
        there, back = [], []
        chunk = self._room.spreads(len(self._pairs.crossed) - 1)
        for start in range(0, len(self._pairs.levels), chunk):
            pairs = self._pairs.part(slice(start, start + chunk))
            left, right = self._left.of_pairs(pairs.rows), self._right.of_pairs(pairs.columns)
            there.append(self._spreads(left, right, pairs))
            if self._terms.reverse:
                back.append(self._spreads(right, left, pairs))
        return Spreads.joined(there), Spreads.joined(back) if back else None

    def _spreads(self, y: Legs, x: Legs, pairs: LagProducts) -> Spreads:
        ratio = pairs.levels / x.squares
        moments = SpreadMoments(
            y.lagged - ratio * pairs.crossed + ratio * ratio * x.lagged,
            y.head - ratio * x.head,
            y.tail - ratio * x.tail,
            y.squares - ratio * pairs.levels,
            self._bars,
        )
        doubtful = ~(moments.squares > UNEXPLAINED * y.squares)
        doubtful |= ~(moments.products[0] > REMAINING * (y.lagged[0] + ratio * ratio * x.lagged[0]))
        lag, lag_constant, pivot = self._lags(moments)
        return Spreads(ratio, moments, lag, lag_constant, doubtful | ~(pivot > PIVOT))

    def _lags(self, moments: SpreadMoments) -> tuple[Lags, Lags, Array]:
        if self._terms.autolag is None:
            fixed = np.full(len(moments.squares), moments.lags)
            return fixed, fixed, np.ones(len(fixed))
        both, rule = self._terms.diagnostics, self._terms.autolag
        fits, freed = self._room.fit(moments, constant=both)
        lag = best_lags(fits.residuals(), rows=fits.rows, terms=TERMS["n"], autolag=rule)
        if not both:
            return lag, lag, fits.pivot
        return lag, best_lags(freed.residuals(), rows=fits.rows, terms=TERMS["c"], autolag=rule), fits.pivot

    def _columns(self, there: Spreads) -> dict[str, Any]:
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
            "spread_std": np.sqrt(there.moments.squares / (self._bars - 1.0)),
            "collinear": np.zeros(count, dtype=bool),
        }

    def _tested(self, spreads: Spreads, suffix: str) -> dict[str, Any]:
        statistic, pivot = level_statistics(spreads.moments, spreads.lag, constant=False, room=self._room)
        np.logical_or(spreads.doubtful, ~((pivot > PIVOT) & np.isfinite(statistic)), out=spreads.doubtful)
        return {
            f"coint_t{suffix}": statistic,
            f"coint_p{suffix}": p_values(statistic, series=2),
            f"coint_lag{suffix}": spreads.lag.astype(np.int32),
        }

    def _diagnosed(self, there: Spreads) -> dict[str, Any]:
        statistic, _ = level_statistics(there.moments, there.lag_constant, constant=True, room=self._room)
        bars, low, high = half_lives(*reversion(there.moments))
        return {
            "adf_t": statistic,
            "adf_p": p_values(statistic, series=1),
            "adf_lag": there.lag_constant.astype(np.int32),
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
        return {"adf_t": np.nan, "adf_p": np.nan, "adf_lag": -1, "zero_crossings": 0}
    unit, life = adf(spread, "c", terms.max_lag, terms.autolag), half_life(spread)
    found = {"half_life_bars": life.bars, "half_life_low": life.low, "half_life_high": life.high}
    found |= {"adf_t": unit.statistic, "adf_p": unit.pvalue, "adf_lag": unit.lag}
    return found | {"zero_crossings": zero_crossings(spread)}
