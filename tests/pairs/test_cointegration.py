"""Engle-Granger on one pair: statsmodels' digits, its guard against one series twice, and refusals."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS
from statsmodels.tools.sm_exceptions import CollinearityWarning
from statsmodels.tools.tools import add_constant
from statsmodels.tsa.stattools import coint

from pairs.cointegration import engle_granger
from tests.pairs.reference import autoregression, log_closes, walks

RULES = [("aic", None), ("bic", None), ("t-stat", None), (None, 1), (None, 6), ("aic", 3)]


def pair(bars: int, *, reverting: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(bars)
    x, other = walks(rng, 2, bars) + 3.0
    return (0.7 * x + 0.004 * autoregression(rng, 0.8, bars) + 1.0 if reverting else other), x


@pytest.mark.parametrize("reverting", [True, False])
@pytest.mark.parametrize("bars", [30, 500])
@pytest.mark.parametrize("trend", ["c", "ct", "n"])
def test_the_test_is_coint(trend, bars, reverting):
    y, x = pair(bars, reverting=reverting)
    for rule, most in RULES:
        ours = engle_granger(y, x, trend, most, rule)
        theirs = coint(y, x, trend=trend, maxlag=most, autolag=rule)
        assert ours.statistic == pytest.approx(theirs[0], abs=1e-9)
        assert ours.pvalue == pytest.approx(theirs[1], abs=1e-10)
        assert ours.critical_values == pytest.approx(tuple(theirs[2]), abs=1e-12, nan_ok=True)


def test_hedge_ratio_and_intercept_are_least_squares():
    y, x = pair(200, reverting=True)

    intercept, slope = OLS(y, add_constant(x)).fit().params
    with_line = OLS(y, np.column_stack([np.ones(200), x, np.arange(1.0, 201.0)])).fit().params

    assert engle_granger(y, x).hedge_ratio == pytest.approx(slope, rel=1e-12)
    assert engle_granger(y, x).intercept == pytest.approx(intercept, rel=1e-10)
    assert engle_granger(y, x, "ct").hedge_ratio == pytest.approx(with_line[1], rel=1e-10)


@pytest.mark.parametrize("noise", [0.0, 1e-6, 2e-5])
def test_one_series_twice_is_called_collinear_where_statsmodels_warns(noise):
    rng = np.random.default_rng(1)
    x = walks(rng, 1, 400)[0] + 5.0
    y = 2.0 * x + noise * rng.normal(size=400)

    ours = engle_granger(y, x)

    with pytest.warns(CollinearityWarning):
        theirs = coint(y, x)
    assert (ours.statistic, ours.pvalue) == (theirs[0], theirs[1]) == (-math.inf, 0.0)
    assert ours.collinear and ours.lag == 0
    assert ours.hedge_ratio == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("share", [1.3e-6, 1.6e-6])
def test_the_guard_stands_where_statsmodels_has_it(share):
    rng = np.random.default_rng(2)
    x = walks(rng, 1, 500)[0]
    noise = rng.normal(size=500)
    y = x + noise * math.sqrt(share * x.var() / noise.var())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = coint(y, x)

    ours = engle_granger(y, x)

    assert ours.collinear == math.isinf(theirs[0]) == (share < 1.49e-6)
    assert ours.statistic == pytest.approx(theirs[0], abs=1e-8)


@pytest.mark.parametrize(
    ("y", "x", "message"),
    [
        (np.arange(40.0), np.arange(39.0), "align the series"),
        (np.arange(40.0), np.ones(40), "series 2 is constant"),
        (np.append(np.arange(39.0), np.nan), np.arange(40.0) ** 2, "found nan at position 39 of series 1"),
        ([1.0, 3.0, 2.0, 5.0], [2.0, 1.0, 2.0, 3.0], "too short"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_the_reason(y, x, message):
    with pytest.raises(ValueError, match=message):
        engle_granger(y, x)


def test_an_unknown_trend_is_refused():
    with pytest.raises(ValueError, match="found 'ctt'"):
        engle_granger(*pair(60, reverting=True), "ctt")


def test_wrapped_bitcoin_and_bitcoin_keep_together_and_ether_does_not(shared_data):
    symbols = ("WBTCUSDT", "BTCUSDT", "ETHUSDT", "LTCUSDT", "BCHUSDT")
    wbtc, btc, eth, ltc, bch = log_closes(shared_data("spot_1h"), symbols, start="2023-07-20T00", bars=1_992)

    assert engle_granger(wbtc, btc, max_lag=1, autolag=None).statistic == pytest.approx(-22.20, abs=5e-3)
    assert engle_granger(eth, btc, max_lag=1, autolag=None).pvalue == pytest.approx(0.99, abs=5e-3)
    assert engle_granger(btc, eth, max_lag=1, autolag=None).pvalue == pytest.approx(0.98, abs=5e-3)
    assert engle_granger(ltc, bch, max_lag=1, autolag=None).pvalue == pytest.approx(0.82, abs=5e-3)
    assert engle_granger(bch, ltc, max_lag=1, autolag=None).pvalue == pytest.approx(0.59, abs=5e-3)
