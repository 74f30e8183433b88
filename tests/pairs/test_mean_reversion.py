"""Crossings, variance ratio and Hurst exponent on series whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pairs.mean_reversion import hurst, variance_ratio, zero_crossings
from tests.pairs.reference import autoregression


def test_a_wave_crosses_its_mean_twice_a_period():
    assert zero_crossings(np.sin(np.arange(0.5, 200.0) * 2.0 * np.pi / 20.0) + 7.0) == 19


@pytest.mark.parametrize("bars", [2, 5, 16])
def test_variance_ratio_of_a_walk_is_one_at_the_promised_rate(bars):
    rng = np.random.default_rng(1)
    found = [variance_ratio(rng.normal(size=600).cumsum(), bars) for _ in range(1_000)]

    assert np.mean([one.ratio for one in found]) == pytest.approx(1.0, abs=0.02)
    assert np.mean([one.pvalue < 0.05 for one in found]) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("bars", [2, 4, 12])
def test_variance_ratio_of_an_autoregression_is_the_formulas(bars):
    phi = 0.8
    series = autoregression(np.random.default_rng(2), phi, 200_000)

    assert variance_ratio(series, bars).ratio == pytest.approx((1 - phi**bars) / (bars * (1 - phi)), abs=0.01)
    assert variance_ratio(series, bars).pvalue < 1e-6


def test_variance_ratio_of_growing_moves_says_trend():
    found = variance_ratio(np.arange(1_000.0) ** 2, 2)

    assert found.ratio > 1.9 and found.statistic > 0.0


@pytest.mark.parametrize("bars", [1, 30])
def test_windows_that_do_not_fit_are_refused(bars):
    with pytest.raises(ValueError, match="longer than bars"):
        variance_ratio(np.sin(np.arange(30.0)), bars)


@pytest.mark.parametrize(("phi", "low", "high"), [(1.0, 0.45, 0.55), (0.5, -0.1, 0.1), (0.98, 0.2, 0.45)])
def test_hurst_tells_walks_from_series_that_return(phi, low, high):
    assert low < hurst(autoregression(np.random.default_rng(3), phi, 20_000)) < high


def test_hurst_of_a_straight_line_that_wobbles_is_one():
    assert hurst(np.arange(4_000.0) ** 1.5) == pytest.approx(1.0, abs=0.02)


def test_hurst_of_a_handful_of_bars_is_unknown():
    assert math.isnan(hurst([1.0, 2.0, 1.5]))
