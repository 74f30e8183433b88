"""MacKinnon's surfaces, number by number, against statsmodels and the papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.tsa.adfvalues import mackinnoncrit, mackinnonp

from pairs.mackinnon import CRITICAL, SURFACES, critical_values, p_value, p_values

# MacKinnon (2010), table 2 (and 1996 without a constant): asymptotic 1, 5 and 10 %
PRINTED = {
    ("n", 1): (-2.56574, -1.941, -1.61682),
    ("c", 1): (-3.43035, -2.86154, -2.56677),
    ("c", 2): (-3.89644, -3.33613, -3.04445),
    ("c", 3): (-4.29374, -3.74066, -3.45218),
    ("ct", 1): (-3.95877, -3.41049, -3.12705),
    ("ct", 2): (-4.32762, -3.78057, -3.49631),
}


@pytest.mark.parametrize(("trend", "series"), SURFACES)
def test_p_values_are_statsmodels_over_a_dense_grid(trend, series):
    grid = np.concatenate([np.linspace(-32.0, 6.0, 7_601), [SURFACES[trend, series].split]])

    ours = p_values(grid, series=series, trend=trend)

    theirs = np.array([mackinnonp(statistic, regression=trend, N=series) for statistic in grid])
    assert np.abs(ours - theirs).max() <= 1e-14
    assert ours.min() == 0.0 and ours.max() > 0.99


@pytest.mark.parametrize(("trend", "series"), CRITICAL)
@pytest.mark.parametrize("bars", [20, 251, 1_439, math.inf])
def test_critical_values_are_statsmodels(trend, series, bars):
    theirs = mackinnoncrit(N=series, regression=trend, nobs=np.inf if math.isinf(bars) else bars)

    assert critical_values(series=series, trend=trend, bars=bars) == pytest.approx(tuple(theirs), abs=1e-13)


@pytest.mark.parametrize(("trend", "series"), PRINTED)
def test_asymptotic_critical_values_are_the_papers(trend, series):
    assert critical_values(series=series, trend=trend) == PRINTED[trend, series]


def test_what_no_paper_gives_is_unknown():
    assert all(math.isnan(value) for value in critical_values(series=2, trend="n"))


@pytest.mark.parametrize(("statistic", "p"), [(-math.inf, 0.0), (math.inf, 1.0)])
def test_infinite_statistics_are_certain(statistic, p):
    assert p_value(statistic, series=2) == p


def test_no_statistic_has_no_p_value():
    assert math.isnan(p_value(math.nan))
