"""Half-life against statsmodels and against series whose half-life is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pairs.half_life import half_life


def reverting(phi, bars=5000, *, seed=0, mean=3.0):
    shocks = np.random.default_rng(seed).normal(size=bars)
    deviations = np.zeros(bars)
    for t in range(1, bars):
        deviations[t] = phi * deviations[t - 1] + shocks[t]
    return mean + deviations


def test_slope_and_interval_are_statsmodels():
    from statsmodels.api import OLS, add_constant

    spread = reverting(0.95, 800)
    fit = OLS(np.diff(spread), add_constant(spread[:-1])).fit()
    low, high = 1.0 + fit.params[1] - 1.6448536 * fit.bse[1], 1.0 + fit.params[1] + 1.6448536 * fit.bse[1]

    found = half_life(spread)

    assert found.phi == pytest.approx(1.0 + fit.params[1], rel=1e-10)
    assert found.low == pytest.approx(-math.log(2.0) / math.log(low), rel=1e-7)
    assert found.high == pytest.approx(-math.log(2.0) / math.log(high), rel=1e-6)


@pytest.mark.parametrize("true", [2.0, 6.0, 24.0])
def test_a_long_sample_finds_the_true_half_life(true):
    found = half_life(reverting(0.5 ** (1.0 / true), 50_000))

    assert found.bars == pytest.approx(true, rel=0.1)
    assert found.low < found.bars < found.high and not found.noise


def test_the_interval_holds_the_truth_about_nine_times_out_of_ten():
    phi = 0.5 ** (1.0 / 5.0)
    held = [found.low <= 5.0 <= found.high for found in (half_life(reverting(phi, 2000, seed=s)) for s in range(100))]

    assert 80 <= sum(held) <= 98


def test_a_smooth_decay_has_its_exact_half_life_and_no_doubt():
    found = half_life(10.0 + 8.0 * 0.5 ** (np.arange(30) / 3.0))

    assert (found.bars, found.low, found.high) == pytest.approx((3.0, 3.0, 3.0), rel=1e-6)


def test_a_spread_that_runs_away_never_comes_back():
    found = half_life(1.1 ** np.arange(50.0))

    assert found.bars == found.low == found.high == math.inf and not found.noise


def test_a_spread_that_flips_at_every_bar_is_noise():
    found = half_life([1.0, -0.9, 0.8, -0.7, 0.6, -0.5, 0.4])

    assert found.bars == 0.0 and found.noise and found.phi < 0.0


@pytest.mark.parametrize(
    "spread", [[], [1.0], [1.0, 2.0, 1.0], [0.1] * 50, [math.nan] * 50, [1.0, math.nan] * 25, [1e200, -1e200] * 9]
)
def test_what_cannot_be_measured_is_nan(spread):
    found = half_life(spread)

    assert math.isnan(found.bars) and math.isnan(found.low) and math.isnan(found.high) and not found.noise


def test_bars_next_to_a_hole_are_left_out():
    first, second = reverting(0.9, 300, seed=1), reverting(0.9, 300, seed=2)

    holed = half_life(np.concatenate([first, [math.nan], second]))
    joined = half_life(np.concatenate([first, second]))

    assert math.isfinite(holed.bars) and holed.bars != joined.bars
    assert holed.bars == pytest.approx(joined.bars, rel=0.1)


def test_neither_unit_nor_level_changes_a_half_life():
    spread = reverting(0.9, 500)
    found = half_life(spread)

    for other in (half_life(1000.0 * spread), half_life(-spread), half_life(spread + 50.0)):
        assert other.bars == pytest.approx(found.bars, rel=1e-8)
