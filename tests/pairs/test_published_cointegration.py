"""Figures of cointegration printed in books, papers and other projects' tests, from their data and our functions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from statsmodels.datasets import macrodata

from pairs.cointegration import engle_granger
from pairs.hedge import ols
from pairs.johansen import johansen_trace
from pairs.unit_root import adf
from tests.pairs.textbook import closes, dated_closes

PRINTED = 6e-4  # half a unit of the third digit, and a little for the printing


@pytest.fixture
def etfs(shared_data):
    """EWC, EWA and IGE of Chan's Algorithmic Trading, chapter 2."""
    folder = shared_data("etf_close_2006_2012")
    return tuple(closes(folder, symbol) for symbol in ("EWC", "EWA", "IGE"))


@pytest.fixture
def gold(shared_data):
    """Adjusted closes of GLD and GDX on their common days, of Chan's Quantitative Trading."""
    folder = shared_data("gold_daily_2004_2007")
    gld, gdx = (dated_closes(folder, symbol, column="adj_close") for symbol in ("GLD", "GDX"))
    return tuple(np.array([(gld[day], gdx[day]) for day in gld if day in gdx]).T)


@pytest.fixture
def five(shared_data):
    """The five funds of arbitragelab's tests."""
    folder = shared_data("etf_close_2008_2016")
    return {symbol: closes(folder, symbol) for symbol in ("EEM", "EWG", "TIP", "EWJ", "EFA")}


def test_the_books_cadf_of_two_country_funds(etfs):
    canada, australia, _ = etfs

    found = engle_granger(canada, australia, max_lag=1, autolag=None)

    assert found.statistic == pytest.approx(-3.64346635, abs=1e-4)  # LeSage's routine, the book's, is 5e-5 off
    assert found.statistic == pytest.approx(-3.6435146, abs=6e-8)


def test_the_books_johansen_of_two_country_funds(etfs):
    found = johansen_trace(*etfs[:2])

    assert found.trace == pytest.approx([19.983, 3.983], abs=PRINTED)
    assert found.eigen == pytest.approx([16.000, 3.983], abs=PRINTED)


def test_the_books_johansen_of_three_funds(etfs):
    found = johansen_trace(*etfs)

    assert found.trace == pytest.approx([34.429, 17.532, 4.471], abs=PRINTED)
    assert found.eigen == pytest.approx([16.897, 13.061, 4.471], abs=PRINTED)
    assert found.eigenvalues == pytest.approx([0.0112, 0.0087, 0.0030], abs=6e-5)
    assert found.trace_critical[0] == pytest.approx([27.067, 29.796, 35.463], abs=PRINTED)
    assert found.eigen_critical[0] == pytest.approx([18.893, 21.131, 25.865], abs=PRINTED)
    printed = np.array([[-1.046, -0.5797, -0.2647], [0.76, -0.112, -0.079], [0.2233, 0.5316, 0.0952]])
    assert -found.vectors * np.sign(found.vectors[0]) == pytest.approx(printed, abs=6e-5)  # a vector's sign is free


def test_the_verdict_on_gold_and_its_miners_depends_on_the_lag(gold):
    gld, gdx = (series[:252] for series in gold)

    by_aic, by_hand = engle_granger(gld, gdx), engle_granger(gld, gdx, max_lag=1, autolag=None)

    assert by_aic.statistic == pytest.approx(-2.3591268376687244, abs=1e-9)
    assert by_aic.pvalue == pytest.approx(0.3444494880427884, abs=1e-9)
    assert by_aic.critical_values == pytest.approx((-3.94060523, -3.36058133, -3.06139039), abs=6e-9)
    assert by_hand.statistic == pytest.approx(-3.18, abs=6e-3)
    assert by_hand.pvalue == pytest.approx(0.074, abs=6e-4)


def test_gold_and_its_miners_over_all_days(gold):
    found = engle_granger(*gold)

    assert found.statistic == pytest.approx(-3.698116, abs=6e-7)
    assert found.pvalue == pytest.approx(0.018428, abs=6e-7)


def test_arbitragelabs_johansen_of_five_funds(five):
    found = johansen_trace(*five.values())

    assert found.trace[:2] == pytest.approx([64.01, 41.44], abs=1e-2)
    assert found.eigen_critical[:, 0].mean() == pytest.approx(18.05, abs=1e-2)
    assert found.trace_critical[:, 1].mean() == pytest.approx(33.36, abs=1e-2)
    weights = dict(zip(five, np.abs(found.vectors[:, 0]), strict=True))
    assert (weights["EFA"], weights["EWJ"]) == pytest.approx((0.86, 0.05), abs=1e-2)
    portfolio = np.column_stack(list(five.values())) @ (found.vectors[:, 0] * -np.sign(found.vectors[4, 0]))
    assert (portfolio.mean(), portfolio[5]) == pytest.approx((-13.65, -13.58), abs=1e-2)


def test_consumption_and_income_are_not_cointegrated_by_statas_digits():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = macrodata.load_pandas().data
    consumption, income = data["realcons"].to_numpy(), data["realgdp"].to_numpy()

    found = engle_granger(consumption, income, max_lag=0, autolag=None)

    assert found.statistic == pytest.approx(-1.830170986148, abs=1e-11)


STATA = {
    "c": (-5.760696844656, (-3.952321293401682, -3.367006313729, -3.065831247948)),
    "ct": (-5.615251442239, (-4.406102369132, -3.82866685109, -3.532082997903)),
}


@pytest.mark.parametrize("trend", STATA)
def test_statas_egranger_on_made_up_series(trend):
    state = np.random.RandomState(123)
    unit = state.randn(200).cumsum()
    made = state.randn(200, 4)
    made[:, :2] += unit[:, np.newaxis]
    made = np.round(made + [1, 0, 0.5, 0], 4)

    found = engle_granger(made[:, 0], made[:, 1], trend, 4, None)

    assert found.statistic == pytest.approx(STATA[trend][0], rel=1e-11)
    assert found.critical_values == pytest.approx(STATA[trend][1], abs=6e-7)


def test_the_residual_test_of_two_funds_is_an_adf_without_constant(etfs):
    canada, australia, _ = etfs
    line = ols(canada, australia)

    residual = adf(canada - line.intercept - line.ratio * australia, "n", 1, None)

    assert residual.statistic == pytest.approx(-3.6435146, abs=6e-8)


@pytest.mark.parametrize(("oil", "statistic", "pvalue"), [("WTI", -1.780, 0.391), ("Brent", -1.655, 0.454)])
def test_archs_dickey_fuller_of_the_price_of_oil(oil, statistic, pvalue):
    crude = pytest.importorskip("arch.data.crude", reason="arch, whose data these are, is not installed")

    found = adf(np.log(crude.load()[oil].to_numpy()))

    assert (found.statistic, found.pvalue) == (
        pytest.approx(statistic, abs=PRINTED),
        pytest.approx(pvalue, abs=PRINTED),
    )


def test_arbitragelabs_residual_test_of_five_funds(five):
    fund, others = five["EEM"], [five[symbol] for symbol in ("EWG", "TIP", "EWJ", "EFA")]
    columns = np.column_stack([*others, np.ones(len(fund))])
    weights = np.linalg.lstsq(columns, fund, rcond=None)[0]

    residual = adf(fund - columns @ weights)

    assert residual.statistic == pytest.approx(-3.5, abs=1e-2)
    assert -weights[3] == pytest.approx(-2.169, abs=1e-3)  # printed cut, of -2.16996


def test_arbitragelabs_hedge_of_two_funds(five):
    found = engle_granger(five["EEM"], five["EWG"], "n")

    assert found.hedge_ratio == pytest.approx(1.57, abs=1e-2)
