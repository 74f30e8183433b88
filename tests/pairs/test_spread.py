"""The spread's statistics: one ratio a window, nothing of the future, the same to the bit bar by bar."""

from __future__ import annotations

import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pairs.hedge import kalman
from pairs.spread import kalman_statistics, largest_inclusive_z, rolling_statistics, transform
from pairs.words import HedgeSpec, SpreadStatistics
from tests.pairs.textbook import hedges


def market(bars=300, *, seed=0):
    """Log prices of two legs and a hedge that changes at every bar."""
    random = np.random.default_rng(seed)
    x = 4.0 + np.cumsum(random.normal(scale=0.02, size=bars))
    y = 0.5 + 1.3 * x + random.normal(scale=0.01, size=bars)
    return y, x, 1.3 + random.normal(scale=0.05, size=bars), 0.5 + random.normal(scale=0.05, size=bars)


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("ddof", [0, 1])
def test_statistics_are_the_plain_definition_with_one_ratio_a_window(inclusive, ddof):
    y, x, ratios, intercepts = market()
    found = rolling_statistics(y, x, ratios, intercepts, 20, inclusive=inclusive, ddof=ddof)

    for t in (20, 21, 150, 299):
        window = slice(t - 19, t + 1) if inclusive else slice(t - 20, t)
        spreads = y[window] - intercepts[t] - ratios[t] * x[window]
        assert found.mean[t] == pytest.approx(spreads.mean(), rel=1e-9, abs=1e-13)
        assert found.std[t] == pytest.approx(spreads.std(ddof=ddof), rel=1e-9)
        assert found.spread[t] == pytest.approx(y[t] - intercepts[t] - ratios[t] * x[t], rel=1e-9, abs=1e-13)
        assert found.zscore[t] == (found.spread[t] - found.mean[t]) / found.std[t]


@pytest.mark.parametrize(("inclusive", "first"), [(False, 20), (True, 19)])
def test_nothing_is_known_before_the_window_is_full(inclusive, first):
    found = rolling_statistics(*market(60), 20, inclusive=inclusive)

    for line in (found.mean, found.std, found.zscore):
        assert np.isnan(line[:first]).all() and np.isfinite(line[first:]).all()
    assert np.isfinite(found.spread).all()


@pytest.mark.parametrize("bars", [0, 1, 19, 20])
def test_a_series_not_longer_than_the_window_has_no_exclusive_statistics(bars):
    found = rolling_statistics(*market(bars), 20)

    assert len(found.zscore) == bars and np.isnan(found.zscore).all()


@pytest.mark.parametrize("inclusive", [False, True])
@given(
    st.integers(0, 50), st.integers(2, 150), st.sampled_from([0, 1]), st.integers(151, 400), st.sampled_from([1, 1e4])
)
@settings(deadline=None, max_examples=40)
def test_a_live_bot_sees_the_very_bits_of_the_backtest(inclusive, seed, window, ddof, bars, scale):
    y, x, ratios, intercepts = (scale * series for series in market(bars, seed=seed))
    whole = rolling_statistics(y, x, ratios, intercepts, window, inclusive=inclusive, ddof=ddof)

    for t in (window, (window + bars) // 2, bars - 1):
        last = slice(t - window, t + 1)
        live = rolling_statistics(
            y[last], x[last], ratios[last], intercepts[last], window, inclusive=inclusive, ddof=ddof
        )
        for name in ("spread", "mean", "std", "zscore"):
            assert getattr(live, name)[-1] == getattr(whole, name)[t], name


def test_every_bar_of_a_long_backtest_has_the_bits_of_the_live_bot():
    """Longer than several blocks of windows, so that every place inside a block is met."""
    series = market(1500)
    whole = rolling_statistics(*series, 100).zscore

    live = [rolling_statistics(*(part[t - 100 : t + 1] for part in series), 100).zscore[-1] for t in range(100, 1500)]

    assert np.array_equal(whole[100:], live)


@pytest.mark.parametrize("line", range(4))
def test_a_nan_spoils_the_windows_that_use_it_and_no_other(line):
    series = [part.copy() for part in market(100)]
    series[line][50] = np.nan

    found = rolling_statistics(*series, 10)

    spoilt = range(50, 61) if line < 2 else range(50, 51)  # a ratio belongs to its own bar, a price to ten windows
    assert np.flatnonzero(np.isnan(found.zscore)).tolist() == [*range(10), *spoilt]


@pytest.mark.parametrize("price", [0.1, 7.3, 64_000.7, 1e-5])
@pytest.mark.parametrize("kind", ["log", "level"])
def test_a_price_that_stands_still_has_no_zscore_instead_of_a_huge_one(price, kind):
    y = transform(np.full(300, price), kind)
    x = transform(np.full(300, price * 1.7), kind)
    y[-1] *= 1.001

    found = rolling_statistics(y, x, np.full(300, 0.83), np.full(300, 0.1), 100)

    assert np.isnan(found.zscore).all() and np.isnan(found.std).all() and np.isnan(found.mean).all()


def test_a_pair_that_moves_as_one_has_no_zscore():
    y, x, _, _ = market()

    found = rolling_statistics(1.1 * x + 0.3, x, np.full(300, 1.1), np.full(300, 0.3), 50)

    assert np.isnan(found.zscore).all()


def test_statistics_frozen_at_a_bar_give_that_bars_z():
    y, x, ratios, intercepts = market()
    found = rolling_statistics(y, x, ratios, intercepts, 50)
    frozen = SpreadStatistics(ratios[-1], intercepts[-1], found.mean[-1], found.std[-1])

    assert frozen.zscore(math.exp(y[-1]), math.exp(x[-1])) == pytest.approx(found.zscore[-1], rel=1e-9)


def test_mirrored_prices_have_the_opposite_z():
    y, x, ratios, intercepts = market()

    found = rolling_statistics(y, x, ratios, intercepts, 50).zscore
    mirrored = rolling_statistics(-y, -x, ratios, -intercepts, 50).zscore

    assert np.array_equal(found, -mirrored, equal_nan=True)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=25)
def test_the_units_of_the_prices_do_not_change_the_z_of_logs(scale_a, scale_b):
    y, x, ratios, intercepts = market(120)

    found = rolling_statistics(y, x, ratios, intercepts, 50).zscore
    scaled = rolling_statistics(y + math.log(scale_a), x + math.log(scale_b), ratios, intercepts, 50).zscore

    np.testing.assert_allclose(scaled[50:], found[50:], rtol=1e-6, atol=1e-8)


@given(
    arrays(float, 40, elements=st.floats(width=64)),
    arrays(float, 40, elements=st.floats(width=64)),
    arrays(float, 40, elements=st.floats(width=64)),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_no_float_makes_a_warning_or_a_std_that_is_not_positive(y, x, ratios, inclusive):
    found = rolling_statistics(y, x, ratios, np.zeros(40), 5, inclusive=inclusive)

    assert np.array_equal(np.isnan(found.mean), np.isnan(found.std))
    assert (found.std[np.isfinite(found.std)] > 0.0).all() and not np.isinf(found.std).any()


@pytest.mark.parametrize(("window", "ddof", "printed"), [(10, 0, 3.0), (17, 0, 4.0), (50, 0, 7.0), (20, 0, 4.3589)])
def test_the_largest_inclusive_z_is_the_known_bound(window, ddof, printed):
    assert largest_inclusive_z(window, ddof) == pytest.approx(printed, abs=1e-4)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("window", [2, 10, 20, 57])
def test_one_jump_reaches_the_largest_inclusive_z_and_no_more(window, ddof):
    spread = np.append(np.zeros(window - 1), 1.0)
    ones, zeros = np.ones(window), np.zeros(window)

    inclusive = rolling_statistics(spread, zeros, ones, zeros, window, inclusive=True, ddof=ddof).zscore[-1]

    assert inclusive == pytest.approx(largest_inclusive_z(window, ddof), rel=1e-12)


@given(arrays(float, 60, elements=st.floats(-1e6, 1e6)), st.integers(2, 30), st.sampled_from([0, 1]))
@settings(deadline=None, max_examples=60)
def test_an_inclusive_z_never_exceeds_its_bound(spread, window, ddof):
    zeros = np.zeros(60)

    z = rolling_statistics(spread, zeros, zeros, zeros, window, inclusive=True, ddof=ddof).zscore

    assert np.nanmax(np.abs(z), initial=0.0) <= largest_inclusive_z(window, ddof) * (1.0 + 1e-6)


def test_a_window_whose_squares_would_underflow_counts_as_flat():
    spread, zeros = np.array([7e-161, 0.0, 0.0]), np.zeros(3)

    statistics = rolling_statistics(spread, zeros, zeros, zeros, 2, inclusive=True, ddof=0)

    assert np.isnan(statistics.std).all() and np.isnan(statistics.zscore).all()


def test_an_exclusive_window_sees_a_shock_that_an_inclusive_one_hides():
    series = market(200)
    series[0][-1] += 1.0
    flat = (np.full(200, 1.3), np.full(200, 0.5))

    exclusive = rolling_statistics(series[0], series[1], *flat, 10).zscore[-1]
    inclusive = rolling_statistics(series[0], series[1], *flat, 10, inclusive=True).zscore[-1]

    assert inclusive < largest_inclusive_z(10, 1) < 20.0 < exclusive


@pytest.mark.parametrize(("window", "ddof"), [(1, 1), (0, 0), (20, 2), (20, -1)])
def test_a_window_without_a_deviation_is_refused(window, ddof):
    with pytest.raises(ValueError, match="window >= 2"):
        rolling_statistics(*market(30), window, ddof=ddof)
    with pytest.raises(ValueError, match="window >= 2"):
        largest_inclusive_z(window, ddof)


def test_series_of_unequal_length_are_refused():
    y, x, ratios, intercepts = market(30)

    with pytest.raises(ValueError, match="one length"):
        rolling_statistics(y, x[1:], ratios, intercepts, 5)


def test_kalman_statistics_are_the_error_by_its_own_deviation():
    y, x, _, _ = market()
    ratios, intercepts, errors, variances = kalman(y, x)

    found = kalman_statistics(y, x, ratios, intercepts, errors, variances)

    assert np.array_equal(found.spread, errors)
    assert np.array_equal(found.zscore, errors / np.sqrt(variances))
    assert (found.mean == 0.0).all() and np.array_equal(found.std, np.sqrt(variances))


def test_kalman_statistics_are_unknown_where_the_hedge_is_refused():
    y, x, _, _ = market()
    y[100] = np.nan
    _, _, errors, variances = kalman(y, x)
    ratios, intercepts = hedges(HedgeSpec("kalman"), y, x)

    found = kalman_statistics(y, x, ratios, intercepts, errors, variances)

    unknown = np.isnan(ratios)
    unknown[100] = True
    assert unknown[:2].all()
    for line in (found.spread, found.mean, found.std, found.zscore):
        assert np.array_equal(np.isnan(line), unknown)


def test_levels_are_copied_and_logs_forget_what_has_none():
    prices = np.array([1.0, math.e, 0.0, -1.0, np.nan])

    levels = transform(prices, "level")
    levels[0] = 5.0

    assert prices[0] == 1.0
    assert transform(prices, "log")[:2] == pytest.approx([0.0, 1.0]) and np.isnan(transform(prices, "log")[2:]).all()
    with pytest.raises(ValueError, match="'log' or 'level', found 'ratio'"):
        transform(prices, "ratio")


def test_fifty_thousand_bars_take_little_time_and_little_memory():
    series = market(50_000)
    started = time.process_time()
    rolling_statistics(*series, 100)
    took = time.process_time() - started
    tracemalloc.start()
    rolling_statistics(*series, 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert took < 0.3
    assert peak - 4 * 50_000 * 8 < 4_000_000  # the result itself is four lines of doubles
