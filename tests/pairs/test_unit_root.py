"""Dickey-Fuller as statsmodels computes it, and refusals that say what to do."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.stattools import adfuller

from pairs.unit_root import adf
from tests.pairs.reference import autoregression, walks

RULES = [("aic", None), ("bic", None), ("t-stat", None), (None, 0), (None, 4), ("aic", 2)]


@pytest.mark.parametrize(
    ("bars", "trend"),
    [(13, "n"), (15, "n"), (14, "c"), *((bars, trend) for bars in (40, 300) for trend in ("n", "c", "ct"))],
)
def test_the_test_is_adfuller(bars, trend):
    rng = np.random.default_rng(bars)
    for series in (walks(rng, 1, bars)[0], autoregression(rng, 0.5, bars) + 3.0):
        for rule, most in RULES:
            ours = adf(series, trend, most, rule)
            theirs = adfuller(series, maxlag=most, autolag=rule, regression=trend, result_object=True)
            assert (ours.lag, ours.nobs) == (theirs.lags, theirs.nobs)
            assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-9)
            assert ours.pvalue == pytest.approx(theirs.pvalue, abs=1e-10)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([1.0, 2.0, np.nan, 3.0], "found nan at position 2 of series 1"),
        ([1.0, np.inf, 2.0, 3.0], "found inf at position 1"),
        ([2.0] * 50, "constant at 2.0"),
        ([1.0, 2.0, 1.0], "too short"),
        ([], "too short"),
        ([[1.0, 2.0]], "one-dimensional"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_the_reason(series, message):
    with pytest.raises(ValueError, match=message):
        adf(series)


def test_lags_beyond_the_bars_are_refused_with_the_number_needed():
    series = walks(np.random.default_rng(0), 1, 30)[0]

    with pytest.raises(ValueError, match="wanted at least 44 bars for 20 lags, found 30"):
        adf(series, max_lag=20)
    with pytest.raises(ValueError, match="max_lag of at least 0, found -1"):
        adf(series, max_lag=-1)


@pytest.mark.parametrize(("trend", "rule"), [("ctt", "aic"), ("c", "hqic")])
def test_unknown_words_are_refused(trend, rule):
    with pytest.raises(ValueError, match="found"):
        adf(walks(np.random.default_rng(0), 1, 60)[0], trend, None, rule)
