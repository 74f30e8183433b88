"""Johansen's test as statsmodels computes it."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.vector_ar.vecm import coint_johansen

from pairs.johansen import johansen_trace
from tests.pairs.reference import autoregression, walks


def prices(series: int, bars: int) -> np.ndarray:
    rng = np.random.default_rng(series)
    found = walks(rng, series, bars) + rng.uniform(1.0, 5.0, (series, 1))
    found[0] = found[1] + 0.01 * autoregression(rng, 0.7, bars)
    return found


@pytest.mark.parametrize("series", [2, 3, 6])
@pytest.mark.parametrize("lags", [1, 2, 5])
def test_statistics_and_critical_values_are_statsmodels(series, lags):
    given = prices(series, 300)

    ours = johansen_trace(*given, lags=lags)

    theirs = coint_johansen(given.T, 0, lags)
    assert ours.trace == pytest.approx(theirs.lr1, rel=1e-9)
    assert ours.eigen == pytest.approx(theirs.lr2, rel=1e-9)
    assert ours.eigenvalues == pytest.approx(theirs.eig, rel=1e-9)
    assert np.array_equal(ours.trace_critical, theirs.cvt) and np.array_equal(ours.eigen_critical, theirs.cvm)
    signs = np.sign(ours.vectors[0]) * np.sign(theirs.evec[0])
    assert ours.vectors * signs == pytest.approx(theirs.evec, rel=1e-6)


def test_a_pair_that_keeps_together_has_rank_one_and_walks_have_none():
    together, apart = prices(2, 600), walks(np.random.default_rng(8), 2, 600)

    assert [johansen_trace(*pair).rank() for pair in (together, apart)] == [1, 0]


def test_two_series_that_both_return_have_full_rank():
    rng = np.random.default_rng(0)

    assert johansen_trace(autoregression(rng, 0.2, 400), autoregression(rng, 0.1, 400)).rank() == 2


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([np.arange(50.0) ** 2], "two to six series"),
        ([np.arange(9.0) ** 2, np.arange(9.0) ** 3], "wanted two to six series"),
        ([np.sin(np.arange(50.0)), 2.0 * np.sin(np.arange(50.0)) + 1.0], "move as one"),
        ([np.sin(np.arange(50.0)), np.full(50, 2.0)], "series 2 is constant"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_the_reason(series, message):
    given = series if len(series[0]) != 9 else [values[:8] for values in series]
    with pytest.raises(ValueError, match=message):
        johansen_trace(*given)
