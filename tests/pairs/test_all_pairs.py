"""Every pair of many symbols: what a row says, and that blocks give the same bits wherever they are computed."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from pairs.all_pairs import (
    Block,
    PairTests,
    Terms,
    block_cointegration,
    join,
    pairwise_cointegration,
    partition,
)
from pairs.block_scan import fitted_alone
from pairs.false_discovery import q_values
from pairs.half_life import half_life
from pairs.mean_reversion import zero_crossings
from tests.pairs.reference import autoregression, market, walks

ALL_RULES = [(rule, most) for rule in ("aic", "bic", "t-stat", None) for most in (0, 1, 7)] + [("aic", None)]
INTEGERS = ("coint_lag", "coint_lag_reverse", "adf_lag", "zero_crossings")


@pytest.fixture(scope="module")
def prices() -> np.ndarray:
    return market(np.random.default_rng(2), 11, 420)


def same_bits(one: PairTests, other: PairTests) -> bool:
    return all(getattr(one, field.name).tobytes() == getattr(other, field.name).tobytes() for field in fields(one))


def test_one_row_a_pair_ordered_by_first_then_second(prices):
    tests = pairwise_cointegration(prices)

    wanted = [(i, j) for i in range(11) for j in range(i + 1, 11)]
    assert list(zip(tests.first.tolist(), tests.second.tolist(), strict=True)) == wanted
    assert len(tests) == 55 and set(tests.n_bars.tolist()) == {420}


@pytest.mark.parametrize(("rule", "most"), ALL_RULES)
def test_a_row_is_what_the_pair_gives_when_it_is_fitted_alone(prices, rule, most):
    terms = Terms(most, rule)
    tests = pairwise_cointegration(prices, terms)
    for row in range(len(tests)):
        y, x = prices[tests.first[row]], prices[tests.second[row]]
        alone = {name: float(value) for name, value in fitted_alone(y, x, terms).items()}
        found = {name: float(getattr(tests, name)[row]) for name in alone}
        assert {name: found[name] for name in INTEGERS} == {name: alone[name] for name in INTEGERS}
        assert found == pytest.approx(alone, rel=1e-9, abs=1e-9)


def test_hedge_ratio_spread_correlation_and_half_life_are_the_plain_formulas(prices):
    tests = pairwise_cointegration(prices)
    for row in range(len(tests)):
        y, x = prices[tests.first[row]], prices[tests.second[row]]
        slope, intercept = np.polyfit(x, y, 1)
        spread = y - intercept - slope * x
        life = half_life(spread)
        lives = (tests.half_life_bars[row], tests.half_life_low[row], tests.half_life_high[row])
        assert (tests.hedge_ratio[row], tests.intercept[row]) == pytest.approx((slope, intercept), rel=1e-8)
        assert lives == pytest.approx((life.bars, life.low, life.high), rel=1e-7)
        assert tests.spread_std[row] == pytest.approx(spread.std(ddof=1), rel=1e-9)
        assert tests.correlation[row] == pytest.approx(np.corrcoef(np.diff(y), np.diff(x))[0, 1], abs=1e-11)
        assert tests.zero_crossings[row] == zero_crossings(spread)


def test_what_is_not_asked_for_is_not_made_up(prices):
    whole = pairwise_cointegration(prices)
    bare = pairwise_cointegration(prices, Terms(reverse=False, diagnostics=False))

    for name in ("coint_t_reverse", "coint_p_reverse", "adf_t", "adf_p", "half_life_bars", "half_life_high"):
        assert np.isnan(getattr(bare, name)).all()
    for name in ("coint_lag_reverse", "adf_lag", "zero_crossings"):
        assert (getattr(bare, name) == -1).all()
    assert bare.coint_t == pytest.approx(whole.coint_t, abs=1e-11) and np.array_equal(bare.coint_lag, whole.coint_lag)


@pytest.mark.parametrize("symbols", [2, 3, 99, 100, 101, 150, 200, 201, 500])
def test_the_blocks_hold_every_pair_once(symbols):
    seen = np.zeros((symbols, symbols), dtype=int)
    for block in partition(symbols):
        rows, columns = (range(*span) for span in (block.rows, block.columns))
        mine = [(i, j) for i in rows for j in columns if i < j]
        assert len(mine) == block.pairs > 0
        seen[tuple(np.array(mine).T)] += 1

    assert np.array_equal(seen, np.triu(np.ones((symbols, symbols), dtype=int), 1))


def test_blocks_computed_anywhere_in_any_order_give_the_same_bits():
    prices = market(np.random.default_rng(6), 210, 120)
    whole = pairwise_cointegration(prices)

    def elsewhere(block: Block) -> PairTests:
        given, where, terms = pickle.loads(pickle.dumps((prices, block, Terms())))
        return pickle.loads(pickle.dumps(block_cointegration(given, where, terms)))

    parts = [elsewhere(block) for block in reversed(partition(210))]

    assert len(parts) == 6
    assert same_bits(join(parts), whole)


def test_a_block_reads_no_other_symbol():
    prices = market(np.random.default_rng(6), 120, 60)
    block = partition(120)[0]
    others = prices.copy()
    others[slice(*partition(120)[-1].rows)] += 1.0

    assert same_bits(block_cointegration(prices, block), block_cointegration(others, block))


def test_each_block_is_told_when_it_is_done():
    told: list[Block] = []

    pairwise_cointegration(walks(np.random.default_rng(0), 130, 40), on_block=told.append)

    assert tuple(told) == partition(130)


def test_rows_can_be_taken_by_mask(prices):
    tests = pairwise_cointegration(prices)
    few = tests.take(tests.first == 0)

    assert len(few) == 10 and few.second.tolist() == list(range(1, 11))


def test_twins_are_marked_and_not_counted_as_finds():
    rng = np.random.default_rng(3)
    given = walks(rng, 4, 300)
    given[1] = given[0] * 2.0 + 1.0  # to the last bit but for rounding
    given[2] = given[0] + 1e-6 * rng.normal(size=300)

    tests = pairwise_cointegration(given)

    twins = (tests.first < 3) & (tests.second < 3)
    assert np.array_equal(tests.collinear, twins)
    assert (tests.coint_t[twins] == -math.inf).all() and (tests.coint_p_reverse[twins] == 0.0).all()
    assert np.isfinite(tests.coint_t[~twins]).all()


def test_identical_series_do_not_stop_a_scan():
    given = walks(np.random.default_rng(3), 3, 80)
    given[2] = given[0]

    tests = pairwise_cointegration(given)

    assert tests.collinear.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda given: np.where(np.arange(60) == 7, np.nan, given), r"rows \[0, 1, 2\] .* not finite"),
        (lambda given: np.where([[False], [True], [False]], np.inf, given), r"rows \[1\]"),
        (lambda given: np.where([[False], [False], [True]], 4.0, given), r"rows \[2\] .* constant"),
        (lambda given: given[:1], "at least two symbols"),
        (lambda given: given[0], "at least two symbols"),
        (lambda given: given[:, :23], "wanted at least 24 bars, found 23"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_the_reason(change, message):
    given = walks(np.random.default_rng(1), 3, 60)

    with pytest.raises(ValueError, match=message):
        pairwise_cointegration(change(given))


def test_too_many_lags_are_refused():
    with pytest.raises(ValueError, match="too short"):
        pairwise_cointegration(walks(np.random.default_rng(1), 3, 60), Terms(max_lag=40))


def test_an_unknown_rule_for_the_lags_is_refused():
    with pytest.raises(ValueError, match="found 'hqic'"):
        Terms(autolag="hqic")


def test_hundreds_of_lags_are_possible():
    given = walks(np.random.default_rng(1), 2, 1_700)

    tests = pairwise_cointegration(given, Terms(max_lag=800, autolag=None))

    assert tests.coint_t[0] == pytest.approx(fitted_alone(*given, Terms(800, None))["coint_t"], abs=1e-9)


def test_twenty_four_bars_are_enough():
    tests = pairwise_cointegration(walks(np.random.default_rng(1), 5, 24))

    assert np.isfinite(tests.coint_t).all() and (tests.coint_lag <= 9).all()


BIG = """
import re
from pathlib import Path
import numpy as np
from pairs.all_pairs import Terms, pairwise_cointegration
prices = np.random.default_rng(0).normal(size=(500, 720)).cumsum(axis=1)
tests = pairwise_cointegration(prices, Terms(diagnostics=False))
print(len(tests), re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the memory's peak from")
def test_five_hundred_symbols_both_ways_take_far_less_than_two_gigabytes():
    outcome = subprocess.run([sys.executable, "-c", BIG], check=True, capture_output=True, text=True)

    pairs, kilobytes = map(int, outcome.stdout.split())
    assert pairs == 124_750
    assert kilobytes < 512 * 1024


# The five validations of a scanner, as functions of the statistics.


def planted(rng: np.random.Generator, *, ratio: float, phi: float, bars: int = 1_440) -> np.ndarray:
    """Log prices (2, bars): the first is ``ratio`` times the second and a spread that reverts by ``phi``."""
    second = walks(rng, 1, bars)[0] + 5.0
    return np.array([ratio * second + 0.004 * autoregression(rng, phi, bars), second])


def test_hedge_ratio_calculation():
    """Seeded: within 1.4 % of the ratio that made the prices."""
    for seed, ratio in enumerate((0.5, 1.0, 1.35, 2.0)):
        tests = pairwise_cointegration(planted(np.random.default_rng(seed), ratio=ratio, phi=0.9))
        assert tests.hedge_ratio[0] == pytest.approx(ratio, rel=0.014)


def test_stationarity_detection():
    rng = np.random.default_rng(1)
    together, apart = planted(rng, ratio=1.2, phi=0.9), walks(rng, 2, 1_440)

    assert pairwise_cointegration(together).adf_p[0] < 0.05 < pairwise_cointegration(apart).adf_p[0]


def test_cointegration_detection():
    rng = np.random.default_rng(2)
    together, apart = planted(rng, ratio=0.8, phi=0.9), walks(rng, 2, 1_440)

    for tests, below in ((pairwise_cointegration(together), True), (pairwise_cointegration(apart), False)):
        assert (tests.coint_p[0] < 0.05) == (tests.coint_p_reverse[0] < 0.05) == below


def test_half_life_filter():
    """A spread with a half-life of 7 hours passes a gate of 24, one of 70 hours does not."""
    fast, slow = (planted(np.random.default_rng(3), ratio=1.0, phi=0.5 ** (1.0 / bars)) for bars in (7.0, 70.0))

    assert pairwise_cointegration(fast).half_life_bars[0] < 24.0 < pairwise_cointegration(slow).half_life_bars[0]
    assert pairwise_cointegration(fast).half_life_low[0] < 7.0 < pairwise_cointegration(fast).half_life_high[0]


def test_universe_scanning():
    """Of thirty symbols the three planted pairs, and no other, survive control over all 435 tests."""
    rng = np.random.default_rng(4)
    universe = walks(rng, 30, 1_440)
    for place in (3, 11, 20):
        universe[place : place + 2] = planted(rng, ratio=1.1, phi=0.9)

    tests = pairwise_cointegration(universe)

    found = tests.take(q_values(np.maximum(tests.coint_p, tests.coint_p_reverse)) < 0.05)
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(3, 4), (11, 12), (20, 21)]
