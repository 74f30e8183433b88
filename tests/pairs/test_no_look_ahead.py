"""Cutting off the future changes no past value, to the bit: every estimator, every statistic, every bar."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs.hedge import kalman
from pairs.spread import kalman_statistics, rolling_statistics, transform
from pairs.words import HedgeSpec
from tests.pairs.textbook import hedges

METHODS = ("fixed", "ols", "tls", "johansen", "kalman")
BARS = 240


def prices(seed, *, holes=True):
    """Prices of two legs, with a wild last third and a few bars without a price."""
    random = np.random.default_rng(seed)
    scale = np.where(np.arange(BARS) < 160, 0.01, 0.2)
    x = np.exp(4.0 + np.cumsum(random.normal(size=BARS) * scale))
    y = np.exp(0.5 + 1.3 * np.log(x) + random.normal(size=BARS) * scale)
    if holes:
        y[random.integers(0, BARS, 2)] = np.nan
        x[random.integers(0, BARS, 2)] = 0.0
    return y, x


def everything(method, kind, inclusive, y, x, *, refit_every=7):
    """Every series that the mathematics makes of two price series: one row each."""
    y, x = transform(y, kind), transform(x, kind)
    ratios, intercepts = hedges(HedgeSpec(method, kind, 30, refit_every, ratio=0.9), y, x, first_bar=11)
    rolling = rolling_statistics(y, x, ratios, intercepts, 25, inclusive=inclusive)
    filtered = kalman(y, x)
    by_kalman = kalman_statistics(y, x, *filtered)
    statistics = [getattr(of, name) for of in (rolling, by_kalman) for name in ("spread", "mean", "std", "zscore")]
    return np.vstack([y, x, ratios, intercepts, *filtered, *statistics])


@pytest.mark.parametrize("kind", ["log", "level"])
@pytest.mark.parametrize("method", METHODS)
@given(st.integers(0, 10_000), st.integers(1, BARS), st.booleans(), st.sampled_from([1, 7, 50]))
@settings(deadline=None, max_examples=12)
def test_cutting_off_the_future_changes_no_past_value(method, kind, seed, cut, inclusive, refit_every):
    y, x = prices(seed)
    whole = everything(method, kind, inclusive, y, x, refit_every=refit_every)

    known = everything(method, kind, inclusive, y[:cut], x[:cut], refit_every=refit_every)

    assert np.array_equal(known, whole[:, :cut], equal_nan=True)


@pytest.mark.parametrize("method", METHODS)
def test_another_future_changes_no_past_value(method):
    y, x = prices(1, holes=False)
    whole = everything(method, "log", False, y, x)
    y[120:], x[120:] = y[120:][::-1] * 3.0, x[120:] ** 2

    other = everything(method, "log", False, y, x)

    assert np.isfinite(whole[:, 119]).all()
    assert np.array_equal(other[:, :120], whole[:, :120], equal_nan=True)
    assert not np.array_equal(other[:, 120:], whole[:, 120:], equal_nan=True)


def test_noise_earns_nothing_once_the_future_is_unknown():
    """Fitted on the whole sample, pure noise looks like a money machine; with what is known at each bar it does not."""
    random = np.random.default_rng(5)
    walks = np.cumsum(random.normal(size=(200, 2, 600)), axis=-1)

    honest = np.array([profit_of_reversion(y, x, peek=False) for y, x in walks])
    peeking = np.array([profit_of_reversion(y, x, peek=True) for y, x in walks])

    assert abs(honest.mean()) < 3.0 * honest.std(ddof=1) / np.sqrt(len(honest))
    assert peeking.mean() > 5.0 * peeking.std(ddof=1) / np.sqrt(len(peeking))


def profit_of_reversion(y, x, *, peek):
    """Hold ``-z`` units of the spread for one bar over the second half, scaled to one typical step of the spread."""
    design = np.column_stack([x, np.ones(len(x))])
    if peek:
        ratio, intercept = np.linalg.lstsq(design, y, rcond=None)[0]
        ratios, intercepts = np.full(len(y), ratio), np.full(len(y), intercept)
        spread = y - ratio * x - intercept
        z = spread / spread.std()
    else:
        ratios, intercepts = hedges(HedgeSpec("ols", "level", 200, 50), y, x)
        z = np.nan_to_num(rolling_statistics(y, x, ratios, intercepts, 100).zscore)
        ratios = np.nan_to_num(ratios)
    steps = np.diff(y) - ratios[:-1] * np.diff(x)
    return float(np.mean((-z[:-1] * steps)[300:])) / (float(np.std(steps[300:])) or 1.0)
