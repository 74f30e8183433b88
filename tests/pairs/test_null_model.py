"""How often chance looks like cointegration: the promised rate where the test promises it, more where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from pairs.all_pairs import Terms, pairwise_cointegration
from pairs.null_model import chance_rate, random_signs
from tests.pairs.reference import market, walks

BARE = Terms(diagnostics=False)
UNIVERSES = 150  # of 435 pairs; their share of finds has a standard error of a quarter of a point


def rates(universes) -> tuple[float, float]:
    """Share of pairs with p < 5 %, of first on second and of second on first."""
    tests = [pairwise_cointegration(universe, BARE) for universe in universes]
    found = [(np.mean(one.coint_p < 0.05), np.mean(one.coint_p_reverse < 0.05)) for one in tests]
    return tuple(np.mean(found, axis=0))


def clustered(rng: np.random.Generator, symbols: int, bars: int) -> np.ndarray:
    """Walks whose moves are GARCH(0.1, 0.895) with Student's t of 4 degrees."""
    shocks = rng.standard_t(4, (bars + 500, symbols)) * np.sqrt(0.5)
    variance, moves = np.ones(symbols), np.empty((bars + 500, symbols))
    for bar in range(bars + 500):
        moves[bar] = np.sqrt(variance) * shocks[bar]
        variance = 0.005 + 0.1 * moves[bar] ** 2 + 0.895 * variance
    return np.cumsum(0.006 * moves[500:], axis=0).T


def test_unrelated_walks_pass_at_the_nominal_rate_within_a_point():
    rng = np.random.default_rng(1)

    found = rates(walks(rng, 30, 1_440) for _ in range(UNIVERSES))

    assert found == pytest.approx((0.05, 0.05), abs=0.01)


def test_walks_with_a_common_factor_pass_at_the_nominal_rate_within_a_point():
    rng = np.random.default_rng(2)

    def universe() -> np.ndarray:
        factor = walks(rng, 1, 1_440)
        return rng.uniform(0.5, 1.5, (30, 1)) * 2.0 * factor + walks(rng, 30, 1_440)

    assert rates(universe() for _ in range(UNIVERSES)) == pytest.approx((0.05, 0.05), abs=0.01)


def test_clusters_of_volatility_pass_too_often():
    rng = np.random.default_rng(3)

    found = rates(clustered(rng, 30, 1_440) for _ in range(20))

    assert min(found) > 0.07


def test_the_rate_measured_on_prices_like_clustered_ones_shows_it():
    rng = np.random.default_rng(4)

    calm, wild = (
        np.mean([chance_rate(make(rng, 30, 1_440), draws=10, seed=10 * universe).rate for universe in range(8)])
        for make in (walks, clustered)
    )

    assert calm == pytest.approx(0.0525, abs=0.01)
    assert wild > calm + 0.01


def test_the_rate_is_told_with_its_error_and_what_it_stands_on():
    prices = walks(np.random.default_rng(7), 20, 300)

    found = chance_rate(prices, level=0.1, draws=40)

    assert (found.level, found.tests, found.draws) == (0.1, 190 * 40, 40)
    assert abs(found.rate - 0.1) < 5.0 * found.error and 0.002 < found.error < 0.02
    assert found == chance_rate(prices, level=0.1, draws=40) != chance_rate(prices, level=0.1, draws=40, seed=9)


def test_random_signs_keep_every_move_but_its_direction():
    prices = market(np.random.default_rng(5), 8, 600)

    made = random_signs(prices, seed=3)

    assert np.abs(np.diff(made)) == pytest.approx(np.abs(np.diff(prices)), abs=1e-12)
    assert np.array_equal(made, random_signs(prices, seed=3)) and not np.array_equal(made, random_signs(prices, seed=4))
    correlations = np.corrcoef(np.diff(made))[np.triu_indices(8, 1)]
    assert np.abs(correlations).max() < 5.0 / np.sqrt(600)


def test_true_pairs_do_not_raise_the_rate():
    prices = market(np.random.default_rng(6), 30, 1_440)
    finds = np.mean(pairwise_cointegration(prices, BARE).coint_p < 0.05)

    found = chance_rate(prices, draws=10)

    assert found.rate == pytest.approx(0.05, abs=0.015) and finds > 2.0 * found.rate


def test_one_draw_has_no_error_and_is_refused():
    with pytest.raises(ValueError, match="at least 2 draws, found 1"):
        chance_rate(walks(np.random.default_rng(0), 3, 100), draws=1)
