"""Figures printed in E. Chan's books and asserted by arbitragelab's tests, from their data and our estimators."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pairs.half_life import half_life
from pairs.hedge import johansen_vector, kalman, ols
from pairs.metrics import apr, sharpe
from pairs.spread import kalman_statistics, rolling_statistics
from pairs.words import HedgeSpec
from tests.pairs.textbook import bands, closes, daily_return, dated_closes, hedges

PRINTED = 6e-7  # half a unit of the sixth digit, and a little for the printing


def own_statistics(spread, window, *, ddof=1):
    """Statistics of a ready-made series, as the book takes them: today inside the window, spreads of former ratios."""
    zeros = np.zeros(len(spread))
    return rolling_statistics(spread, zeros, zeros, zeros, window, inclusive=True, ddof=ddof)


@pytest.fixture
def three_etfs(shared_data):
    folder = shared_data("etf_close_2006_2012")
    return np.column_stack([closes(folder, symbol) for symbol in ("EWC", "EWA", "IGE")])


@pytest.fixture
def gold(shared_data):
    """Adjusted closes of GLD and GDX on their common days."""
    folder = shared_data("gold_daily_2004_2007")
    gld, gdx = (dated_closes(folder, symbol, column="adj_close") for symbol in ("GLD", "GDX"))
    return np.array([(gld[day], gdx[day]) for day in gld if day in gdx]).T


@pytest.fixture
def gld_uso(shared_data):
    """Prices (days, legs), the rolling hedge and the spread of example 3.1, whose first 20 days are dropped."""
    folder = shared_data("etf_close_2006_2012")
    gld, uso = closes(folder, "GLD"), closes(folder, "USO")
    ratios, _ = fits_of_any_sign(uso, gld, 20)
    prices, ratios = np.column_stack([gld, uso])[20:], ratios[20:]
    return prices, ratios, prices[:, 1] - ratios * prices[:, 0]


def fits_of_any_sign(y, x, window):
    """The book trades negative hedge ratios too, which ``hedge_series`` refuses."""
    fits = [ols(y[t + 1 - window : t + 1], x[t + 1 - window : t + 1]) for t in range(window - 1, len(y))]
    unknown = [np.nan] * (window - 1)
    return (
        np.array(unknown + [fit.ratio for fit in fits]),
        np.array(unknown + [fit.intercept for fit in fits]),
    )


def test_first_johansen_vector_of_three_etfs_is_the_books(three_etfs):
    printed = np.array([-1.046, 0.76, 0.2233])

    vector = johansen_vector(three_etfs)

    assert vector * -1.046 == pytest.approx(printed, abs=1.1e-4)


def test_first_johansen_vector_of_five_etfs_is_arbitragelabs(shared_data):
    folder = shared_data("etf_close_2008_2016")
    prices = np.column_stack([closes(folder, symbol) for symbol in ("EFA", "EEM", "EWG", "TIP", "EWJ")])

    vector = johansen_vector(prices)

    portfolio = prices @ vector * -0.86652  # printed as 0.86, cut; the sign of a vector is free
    assert abs(vector[4]) * 0.86652 == pytest.approx(0.05, abs=1e-2)
    assert portfolio.mean() == pytest.approx(-13.65, abs=1e-2)
    assert portfolio[5] == pytest.approx(-13.58, abs=1e-2)


def test_half_life_of_the_johansen_portfolio_is_the_books(three_etfs):
    found = half_life(three_etfs @ johansen_vector(three_etfs))

    assert -math.log(2.0) / (found.phi - 1.0) == pytest.approx(22.662578, abs=PRINTED)  # the book's formula
    assert found.bars == pytest.approx(22.662578 - math.log(2.0) / 2.0, abs=0.01)  # ours is a third of a bar shorter
    assert found.low < found.bars < found.high


def test_linear_mean_reversion_of_the_johansen_portfolio_earns_what_the_book_prints(three_etfs):
    vector = johansen_vector(three_etfs)
    z = np.nan_to_num(own_statistics(three_etfs @ vector, 23).zscore)

    returns = daily_return(-z[:, np.newaxis] * vector * three_etfs, three_etfs)

    assert apr(returns, 252) == pytest.approx(0.125739, abs=PRINTED)
    assert sharpe(returns, 252) == pytest.approx(1.391310, abs=PRINTED)


def test_price_spread_of_gold_and_oil_earns_what_the_book_prints(gld_uso):
    prices, ratios, spread = gld_uso
    z = np.nan_to_num(own_statistics(spread, 20).zscore)
    unit = np.column_stack([-ratios, np.ones(len(ratios))]) * prices

    returns = daily_return(-z[:, np.newaxis] * unit, prices)

    assert apr(returns, 252) == pytest.approx(0.108335, abs=PRINTED)
    assert sharpe(returns, 252) == pytest.approx(0.589651, abs=PRINTED)


def test_bollinger_bands_on_gold_and_oil_earn_what_the_book_prints(gld_uso):
    prices, ratios, spread = gld_uso
    z = own_statistics(spread, 20).zscore
    units = bands(z < -1.0, z > 0.0, z > 1.0, z < 0.0)

    returns = daily_return(units[:, np.newaxis] * np.column_stack([-ratios, np.ones(len(ratios))]) * prices, prices)

    assert apr(returns, 252) == pytest.approx(0.178249, abs=PRINTED)
    assert sharpe(returns, 252) == pytest.approx(0.964673, abs=PRINTED)


def test_hedge_series_agrees_with_the_books_rolling_hedge_where_it_does_not_refuse(shared_data):
    folder = shared_data("etf_close_2006_2012")
    gld, uso = closes(folder, "GLD"), closes(folder, "USO")
    ratios, intercepts = fits_of_any_sign(uso, gld, 20)

    found, found_intercepts = hedges(HedgeSpec("ols", "level", window=20, refit_every=1), uso, gld)

    positive = ratios > 0.0
    assert 0 < positive.sum() < len(gld) - 19
    assert np.array_equal(found, np.where(positive, ratios, np.nan), equal_nan=True)
    assert np.array_equal(found_intercepts, np.where(positive, intercepts, np.nan), equal_nan=True)


def test_kalman_pair_of_two_country_etfs_earns_what_the_book_prints(shared_data):
    folder = shared_data("etf_close_2006_2012")
    ewa, ewc = closes(folder, "EWA"), closes(folder, "EWC")
    ratios, intercepts, errors, variances = kalman(ewc, ewa)
    z = kalman_statistics(ewc, ewa, ratios, intercepts, errors, variances).zscore
    updated = np.append(ratios[1:], np.nan)  # the book holds today's corrected ratio, tomorrow's predicted one

    units = bands(z < -1.0, z > -1.0, z > 1.0, z < 1.0)[:-1]
    prices = np.column_stack([ewa, ewc])
    positions = units[:, np.newaxis] * np.column_stack([-updated[:-1], np.ones(len(units))]) * prices[:-1]
    returns = daily_return(np.vstack([positions, [0.0, 0.0]]), prices)

    assert apr(returns, 252) == pytest.approx(0.262252, abs=PRINTED)
    assert sharpe(returns, 252) == pytest.approx(2.361162, abs=PRINTED)


def through_the_origin(y, x):
    """Least squares without an intercept: with one, on the data and their mirror image."""
    return ols(np.append(y, -y), np.append(x, -x)).ratio


def test_hedge_of_gold_and_its_miners_is_the_books(gold):
    gld, gdx = gold

    assert through_the_origin(gld[:252], gdx[:252]) == pytest.approx(1.631009, abs=PRINTED)
    assert through_the_origin(gld, gdx) == pytest.approx(1.639523, abs=PRINTED)


def test_spread_statistics_of_gold_and_its_miners_are_the_notebooks(gold):
    gld, gdx = gold[:, :252]
    ratio = np.full(252, through_the_origin(gld, gdx))

    statistics = rolling_statistics(gld, gdx, ratio, np.zeros(252), 252, inclusive=True, ddof=0)

    assert statistics.mean[-1] == pytest.approx(0.05219623850035999, abs=1e-9)
    assert statistics.std[-1] == pytest.approx(1.944860873496509, abs=1e-9)


def test_half_life_of_gold_and_its_miners_is_the_notebooks(gold):
    gld, gdx = gold

    theta = half_life(gld - through_the_origin(gld, gdx) * gdx).phi - 1.0

    assert theta == pytest.approx(-0.088423, abs=PRINTED)
    assert -math.log(2.0) / theta == pytest.approx(7.839031, abs=PRINTED)


def test_gold_and_its_miners_traded_by_a_training_window_earn_what_the_book_says(gold):
    gld, gdx = gold
    ratio = np.full(252, through_the_origin(gld[:252], gdx[:252]))
    trained = rolling_statistics(gld[:252], gdx[:252], ratio, np.zeros(252), 252, inclusive=True)
    z = (gld - ratio[0] * gdx - trained.mean[-1]) / trained.std[-1]
    units = bands(z <= -2.0, np.abs(z) <= 1.0, z >= 2.0, np.abs(z) <= 1.0)

    returns = np.append(0.0, units[:-1] * (np.diff(gld) / gld[:-1] - np.diff(gdx) / gdx[:-1]))

    assert sharpe(returns[1:252], 252) == pytest.approx(2.3, abs=0.06)
    assert sharpe(returns[252:], 252) == pytest.approx(1.5, abs=0.06)


def test_zscore_of_five_bars_is_arbitragelabs(shared_data):
    folder = shared_data("etf_close_2008_2016")
    eem, ewg = closes(folder, "EEM"), closes(folder, "EWG")
    ratios = np.full(len(eem), 1.5766259695851286)

    z = rolling_statistics(eem, ewg, ratios, np.zeros(len(eem)), 5, inclusive=True).zscore

    assert z[4] == pytest.approx(0.56609, abs=1e-5)


def test_hedge_of_emerging_markets_and_germany_is_arbitragelabs(shared_data):
    folder = shared_data("etf_close_2008_2016")

    ratio = through_the_origin(closes(folder, "EEM"), closes(folder, "EWG"))

    assert ratio == pytest.approx(1.5766259695851286, abs=1e-9)
