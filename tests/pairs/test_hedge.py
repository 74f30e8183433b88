"""Hedge ratios against statsmodels and against their own definitions."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs.hedge import Hedge, johansen, johansen_vector, kalman, ols, tls
from pairs.words import HedgeSpec
from tests.pairs.textbook import hedges

FITS = (ols, tls, johansen)
SOURCE = Path(__file__).resolve().parents[2] / "src"


def cointegrated(bars=400, *, seed=0, ratio=1.3, intercept=0.5):
    random = np.random.default_rng(seed)
    x = 4.0 + np.cumsum(random.normal(scale=0.02, size=bars))
    return intercept + ratio * x + random.normal(scale=0.01, size=bars), x


def test_ols_is_statsmodels_ols_with_a_constant():
    from statsmodels.api import OLS, add_constant

    y, x = cointegrated()
    intercept, ratio = OLS(y, add_constant(x)).fit().params

    found = ols(y, x)

    assert found.ratio == pytest.approx(ratio, rel=1e-11)
    assert found.intercept == pytest.approx(intercept, rel=1e-10)


def test_rolling_ols_is_statsmodels_rolling_ols():
    from statsmodels.api import add_constant
    from statsmodels.regression.rolling import RollingOLS

    y, x = cointegrated()
    expected = RollingOLS(y, add_constant(x), window=60).fit().params

    ratios, intercepts = hedges(HedgeSpec("ols", window=60, refit_every=1), y, x)

    assert np.isnan(ratios[:59]).all() and np.isfinite(ratios[59:]).all()
    np.testing.assert_allclose(ratios[59:], expected[59:, 1], rtol=1e-9)
    np.testing.assert_allclose(intercepts[59:], expected[59:, 0], rtol=1e-6)


def test_the_last_state_of_a_still_kalman_filter_with_a_wide_start_is_recursive_least_squares():
    """RecursiveLS is a Kalman filter whose state does not walk; ours walks, so a tiny step must come close to it."""
    from statsmodels.api import RecursiveLS, add_constant

    y, x = cointegrated(2000)
    expected = RecursiveLS(y, add_constant(x)).fit().recursive_coefficients.filtered[:, -1]

    ratios, intercepts, _, _ = kalman(y, x, delta=1e-9, observation_variance=1e-8)

    assert ratios[-1] == pytest.approx(expected[1], rel=0.02)
    assert intercepts[-1] == pytest.approx(expected[0], abs=0.1)


def test_kalman_is_statsmodels_filter_with_the_books_start():
    from statsmodels.tsa.statespace.kalman_filter import KalmanFilter

    y, x = cointegrated()
    reference = KalmanFilter(k_endog=1, k_states=2, k_posdef=2)
    reference.bind(y)
    reference["design"] = np.stack([x, np.ones_like(x)])[np.newaxis]
    reference["transition"] = reference["selection"] = np.eye(2)
    reference["state_cov"] = 1e-4 / (1.0 - 1e-4) * np.eye(2)
    reference["obs_cov"] = [[1e-3]]
    reference.initialize_known(np.zeros(2), np.zeros((2, 2)))
    expected = reference.filter()

    ratios, intercepts, errors, variances = kalman(y, x)

    np.testing.assert_allclose(ratios, expected.predicted_state[0, :-1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(intercepts, expected.predicted_state[1, :-1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(errors, expected.forecasts_error[0], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(variances, expected.forecasts_error_cov[0, 0], rtol=1e-9)


def statsmodels_first_vector(prices):
    """From numpy 2.5 on every eigenvalue is complex, and statsmodels 0.15 drops the (zero) imaginary part aloud."""
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        vector = coint_johansen(prices, 0, 1).evec[:, 0]
    np.testing.assert_array_equal(np.imag(vector), 0.0)
    return np.real(vector)


@pytest.mark.parametrize("seed", range(5))
def test_johansen_is_statsmodels_first_vector(seed):
    y, x = cointegrated(300, seed=seed)
    vector = statsmodels_first_vector(np.column_stack([y, x]))

    found = johansen(y, x)

    assert found.ratio == pytest.approx(-vector[1] / vector[0], rel=1e-9)
    assert found.intercept == pytest.approx(float(np.mean(y - found.ratio * x)), rel=1e-9)


def test_johansen_vector_of_four_series_is_statsmodels():
    walks = np.cumsum(np.random.default_rng(3).normal(size=(500, 4)), axis=0)
    vector = statsmodels_first_vector(walks)

    np.testing.assert_allclose(johansen_vector(walks), vector / vector[0], rtol=1e-8)


def test_tls_is_the_smallest_singular_direction():
    y, x = cointegrated()
    _, _, directions = np.linalg.svd(np.column_stack([y - y.mean(), x - x.mean()]), full_matrices=False)

    assert tls(y, x).ratio == pytest.approx(-directions[-1, 1] / directions[-1, 0], rel=1e-10)


@pytest.mark.parametrize("slope", [3.0, 1.0, 0.2, -0.2, -3.0])
def test_tls_is_the_same_line_seen_from_either_leg(slope):
    random = np.random.default_rng(1)
    x = random.normal(size=200)
    y = slope * x + random.normal(scale=0.3, size=200)

    assert tls(y, x).ratio * tls(x, y).ratio == pytest.approx(1.0, rel=1e-12)
    assert np.sign(tls(y, x).ratio) == np.sign(slope)


@pytest.mark.parametrize("fit", FITS)
def test_mirrored_prices_have_the_same_ratio_and_the_opposite_intercept(fit):
    y, x = cointegrated()

    hedge, mirrored = fit(y, x), fit(-y, -x)

    assert mirrored.ratio == pytest.approx(hedge.ratio, rel=1e-12)
    assert mirrored.intercept == pytest.approx(-hedge.intercept, rel=1e-9)


@pytest.mark.parametrize("fit", FITS)
@given(st.floats(1e-4, 1e4), st.floats(1e-4, 1e4), st.integers(0, 20))
@settings(deadline=None, max_examples=25)
def test_scaling_prices_moves_the_intercept_and_not_the_ratio_of_logs(fit, scale_a, scale_b, seed):
    y, x = cointegrated(120, seed=seed)
    hedge = fit(y, x)

    scaled = fit(y + math.log(scale_a), x + math.log(scale_b))

    assert scaled.ratio == pytest.approx(hedge.ratio, rel=1e-7)
    expected = hedge.intercept + math.log(scale_a) - hedge.ratio * math.log(scale_b)
    assert scaled.intercept == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("fit", (ols, johansen))
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=25)
def test_scaling_levels_scales_the_ratio_of_quantities(fit, scale_a, scale_b):
    y, x = cointegrated(120)
    hedge = fit(y, x)

    assert fit(scale_a * y, scale_b * x).ratio == pytest.approx(hedge.ratio * scale_a / scale_b, rel=1e-6)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("y", "x"),
    [
        ([], []),
        ([1.0], [1.0]),
        ([1.0, 2.0, 3.0] * 5, [0.1] * 15),
        ([1.0, 2.0, math.nan] * 5, [1.0, 2.0, 4.0] * 5),
        ([1.0, 2.0, math.inf] * 5, [1.0, 2.0, 4.0] * 5),
        ([1e300, -1e300, 3e300] * 5, [1e300, 2e300, 4e300] * 5),
    ],
)
def test_what_cannot_be_fitted_is_nan_and_no_exception(fit, y, x):
    hedge = fit(y, x)

    assert math.isnan(hedge.ratio) and math.isnan(hedge.intercept)


def test_johansen_of_two_series_that_move_as_one_is_nan():
    _, x = cointegrated()

    assert math.isnan(johansen(2.0 * x + 1.0, x).ratio)


@pytest.mark.parametrize("fit", (ols, tls))
def test_a_flat_dependent_leg_needs_no_hedge(fit):
    assert fit([0.1] * 50, np.linspace(1.0, 2.0, 50)).ratio == 0.0


@pytest.mark.parametrize("fit", FITS)
def test_legs_of_unequal_length_are_refused(fit):
    with pytest.raises(ValueError, match="one length"):
        fit([1.0, 2.0, 3.0], [1.0, 2.0])


def test_kalman_does_not_know_the_bar_it_predicts():
    y, x = cointegrated(50)
    shocked = y.copy()
    shocked[30] += 1.0

    before, after = kalman(y, x), kalman(shocked, x)

    assert np.array_equal(before[0][:31], after[0][:31]) and np.array_equal(before[3][:31], after[3][:31])
    assert before[2][30] + 1.0 == pytest.approx(after[2][30])
    assert before[0][31] != after[0][31]


def test_kalman_learns_nothing_from_a_bar_without_a_price():
    y, x = cointegrated(50)
    y[20] = np.nan

    ratios, intercepts, errors, variances = kalman(y, x)

    assert np.isnan(errors[20]) and np.isnan(variances[20])
    assert ratios[21] == ratios[20] and intercepts[21] == intercepts[20]
    assert np.isfinite(errors[21:]).all() and ratios[22] != ratios[21]


def test_kalman_follows_a_ratio_that_moves():
    random = np.random.default_rng(0)
    x = 4.0 + np.cumsum(random.normal(scale=0.05, size=3000))
    truth = np.linspace(0.5, 1.5, 3000)

    ratios, intercepts, _, _ = kalman(truth * x, x)

    assert np.abs(ratios * x + intercepts - truth * x)[500:].max() < 0.1


@pytest.mark.parametrize("bad", [{"delta": 0.0}, {"delta": 1.0}, {"delta": math.nan}, {"observation_variance": 0.0}])
def test_kalman_refuses_noise_it_cannot_filter_with(bad):
    with pytest.raises(ValueError, match="wanted 0 < delta < 1"):
        kalman([1.0], [1.0], **bad)


@pytest.mark.parametrize("method", ["ols", "tls", "johansen"])
def test_the_hedge_is_fitted_on_the_trailing_window_and_held(method):
    y, x = cointegrated(100)
    fit = {"ols": ols, "tls": tls, "johansen": johansen}[method]

    ratios, intercepts = hedges(HedgeSpec(method, window=40, refit_every=25), y, x)

    assert np.isnan(ratios[:50]).all() and np.isnan(intercepts[:50]).all()
    first, second = fit(y[11:51], x[11:51]), fit(y[36:76], x[36:76])
    assert set(zip(ratios[50:75], intercepts[50:75], strict=True)) == {(first.ratio, first.intercept)}
    assert set(zip(ratios[75:], intercepts[75:], strict=True)) == {(second.ratio, second.intercept)}


def test_a_window_that_fills_on_a_refit_bar_is_fitted_there():
    y, x = cointegrated(30)

    ratios, _ = hedges(HedgeSpec("ols", window=11, refit_every=5), y, x)

    assert np.isnan(ratios[:10]).all() and np.isfinite(ratios[10:]).all()


@pytest.mark.parametrize("method", ["ols", "tls", "johansen"])
def test_a_restarted_bot_refits_on_the_same_bars(method):
    y, x = cointegrated(200)
    spec = HedgeSpec(method, window=40, refit_every=24)
    whole = np.array(hedges(spec, y, x, first_bar=1000))

    restarted = np.array(hedges(spec, y[77:], x[77:], first_bar=1077))

    known = np.isfinite(restarted[0])
    assert known.sum() > 50
    assert np.array_equal(restarted[:, known], whole[:, 77:][:, known])


@pytest.mark.parametrize("method", ["ols", "tls", "johansen"])
@pytest.mark.parametrize("end", [64, 71, 72, 73, 200])
def test_a_window_and_a_refit_of_history_suffice_for_the_last_hedge(method, end):
    y, x = cointegrated(200)
    spec = HedgeSpec(method, window=40, refit_every=24)
    whole = np.array(hedges(spec, y[:end], x[:end]))
    start = end - (40 + 24 - 1)

    short = np.array(hedges(spec, y[start:end], x[start:end], first_bar=start))

    assert np.isfinite(short[0, -1]) and np.array_equal(short[:, -1], whole[:, -1])


def test_a_refused_fit_is_nan_until_the_next():
    x = np.linspace(1.0, 2.0, 40)
    y = np.concatenate([x[:20], -x[20:]])

    ratios, intercepts = hedges(HedgeSpec("ols", window=10, refit_every=10), y, x, first_bar=1)

    assert (ratios[9:29] == pytest.approx(1.0)) and np.isnan(ratios[29:]).all() and np.isnan(intercepts[29:]).all()


def test_a_hole_in_the_prices_spoils_only_the_fits_that_see_it():
    y, x = cointegrated(60)
    y[20] = np.nan

    ratios, _ = hedges(HedgeSpec("ols", window=10, refit_every=1), y, x)

    assert np.flatnonzero(np.isnan(ratios)).tolist() == [*range(9), *range(20, 30)]


def test_a_fixed_hedge_is_its_constants():
    ratios, intercepts = hedges(HedgeSpec("fixed", ratio=0.85, intercept=0.1), [1.0] * 3, [2.0] * 3)

    assert ratios.tolist() == [0.85] * 3 and intercepts.tolist() == [0.1] * 3


def test_a_kalman_series_is_the_predicted_state_without_what_is_refused():
    y, x = cointegrated(60)
    raw = kalman(y, x)

    ratios, intercepts = hedges(HedgeSpec("kalman"), y, x)

    refused = raw[0] <= 0.0
    assert refused[:2].all()
    assert np.array_equal(ratios, np.where(refused, np.nan, raw[0]), equal_nan=True)
    assert np.array_equal(intercepts, np.where(refused, np.nan, raw[1]), equal_nan=True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (HedgeSpec("guess"), "fixed, ols, tls, johansen, kalman, found 'guess'"),
        (HedgeSpec("fixed"), "wanted a ratio"),
        (HedgeSpec("ols", window=1), "window >= 2"),
        (HedgeSpec("ols", refit_every=0), "refit_every >= 1"),
    ],
)
def test_a_spec_that_means_nothing_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        hedges(spec, [1.0, 2.0], [1.0, 2.0])


def test_a_history_shorter_than_the_window_has_no_hedge():
    assert np.isnan(hedges(HedgeSpec("tls", window=500), [1.0, 2.0], [1.0, 3.0])).all()


def test_more_windows_than_one_block_holds_give_each_its_own_fit():
    y, x = cointegrated(3000)

    ratios, intercepts = hedges(HedgeSpec("ols", window=100, refit_every=1), y, x)

    for bar in (99, 753, 754, 755, 1400, 2999):
        assert Hedge(ratios[bar], intercepts[bar]) == ols(y[bar - 99 : bar + 1], x[bar - 99 : bar + 1])


def test_no_hedge_method_loads_statsmodels():
    program = (
        "import sys; from pairs.hedge import hedge_series; from pairs.words import HedgeSpec\n"
        "import pairs.spread, pairs.sizing, pairs.half_life, pairs.metrics\n"
        "y = [float(i * i % 17) for i in range(40)]; x = [float(i * i % 13) for i in range(40)]\n"
        "for method in ('ols', 'tls', 'johansen', 'kalman'): hedge_series(HedgeSpec(method, window=20), y, x)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'statsmodels', 'scipy', 'pandas'}))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=SOURCE, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
