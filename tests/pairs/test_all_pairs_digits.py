"""The tests of all pairs give statsmodels' digits: t within 1e-8, p within 1e-9, the same lag, both directions.

Of near twins statsmodels itself gives t to 7e-9 on some processors: there the exact digits are asked for.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from statsmodels.tsa.stattools import adfuller, coint

from pairs.all_pairs import Terms, pairwise_cointegration
from tests.pairs.reference import autoregression, engle_granger_answers, exact_answer, log_closes, market, walks

RULES = (("aic", None), ("bic", None), ("t-stat", None), (None, 1), (None, 5))
FUTURES = [f"{coin}USDT" for coin in ("ADA", "BCH", "BTC", "DOGE", "DOT", "ETH", "LINK", "LTC", "NEAR", "SOL", "XRP")]
SPOT = ("ADA AVAX BCH BNB BTC BUSD DOT EOS ETC ETH EUR LINK LTC MATIC NEO QTUM SOL XRP").split()
TWINS = frozenset((0, 1, 2))  # of the hard cases
MONTHS = [f"{year}-{month:02}-11" for year in (2023, 2024) for month in range(1, 13, 2)]
SHORT, SHORT_SYMBOLS, LONG_SYMBOLS, HARD = range(3), 27, 10, (120, 600)


def pairs_of(symbols: int) -> int:
    return symbols * (symbols - 1) // 2


def assert_the_digits_are_statsmodels(prices, *, twins=frozenset()) -> None:
    found = {(rule, most): pairwise_cointegration(prices, Terms(most, rule, diagnostics=False)) for rule, most in RULES}
    first, second = found[RULES[0]].first, found[RULES[0]].second
    assert len(first) == pairs_of(len(prices))
    for row, (i, j) in enumerate(zip(first, second, strict=True)):
        there = engle_granger_answers(prices[i], prices[j], RULES)
        back = engle_granger_answers(prices[j], prices[i], RULES)
        if {i, j} <= twins:
            there = {rule: exact_answer(prices[i], prices[j], answer) for rule, answer in there.items()}
            back = {rule: exact_answer(prices[j], prices[i], answer) for rule, answer in back.items()}
        for rule, tests in found.items():
            ours = [tests.coint_t[row], tests.coint_p[row], tests.coint_lag[row]]
            ours += [tests.coint_t_reverse[row], tests.coint_p_reverse[row], tests.coint_lag_reverse[row]]
            for (t, p, lag), answer in zip((ours[:3], ours[3:]), (there[rule], back[rule]), strict=True):
                told = (int(i), int(j), rule, t, answer)
                assert lag == answer.lag, told
                assert t == answer.statistic or abs(t - answer.statistic) <= 1e-8, told
                assert abs(p - answer.pvalue) <= 1e-9, told


@pytest.mark.parametrize("seed", SHORT)
def test_short_simulated_markets(seed):
    assert_the_digits_are_statsmodels(market(np.random.default_rng(seed), SHORT_SYMBOLS, 160))


def test_a_simulated_market_of_sixty_days_of_hours():
    assert_the_digits_are_statsmodels(market(np.random.default_rng(9), LONG_SYMBOLS, 1_440))


@pytest.mark.parametrize("start", MONTHS)
def test_ten_days_of_real_futures(shared_data, start):
    prices = log_closes(shared_data("futures_1h"), FUTURES, start=start, bars=240)

    assert_the_digits_are_statsmodels(prices)


def test_sixty_days_of_real_futures(shared_data):
    prices = log_closes(shared_data("futures_1h"), FUTURES, start="2025-01-31", bars=1_440)

    assert_the_digits_are_statsmodels(prices)


def test_real_spot_with_stable_coins_and_a_crash(shared_data):
    symbols = [f"{coin}USDT" for coin in SPOT]
    prices = log_closes(shared_data("spot_1h"), symbols, start="2021-09-20T00", bars=400)

    assert_the_digits_are_statsmodels(prices)


def hard_cases(bars: int) -> np.ndarray:
    """Series on which sums lose digits: near twins, constants with noise, far scales, jumps, ticks, smooth curves."""
    rng = np.random.default_rng(4)
    walk, noise = walks(rng, 1, bars)[0], rng.normal(size=(8, bars))
    return np.array(
        [
            walk + 10.0,
            1.1 * walk + 8.0 + 3e-4 * noise[0],  # 1 - R² near 1e-5
            0.9 * walk - 3.0 + 3e-5 * noise[1],  # inside the guard against collinear series
            2.0 + 1e-4 * noise[2],  # a stable coin
            1e-6 * (walk + 0.1 * noise[3]),
            1e6 * (walk + 0.1 * noise[4]) + 1e9,
            walks(rng, 1, bars)[0] + np.where(np.arange(bars) > bars // 2, 3.0, 0.0),
            np.round(walks(rng, 1, bars)[0], 2),
            np.cumsum(autoregression(rng, 0.995, bars)),  # integrated twice, nearly
            np.sin(np.arange(bars) / 30.0) + 1e-3 * noise[5],
            autoregression(rng, -0.9, bars),
            0.01 * np.arange(bars) + 0.01 * noise[6],
        ]
    )


@pytest.mark.parametrize("bars", HARD)
def test_hard_cases(bars):
    assert_the_digits_are_statsmodels(hard_cases(bars), twins=TWINS)


def test_these_are_more_than_two_thousand_pairs():
    simulated = (
        len(SHORT) * pairs_of(SHORT_SYMBOLS) + pairs_of(LONG_SYMBOLS) + len(HARD) * pairs_of(len(hard_cases(50)))
    )
    real = (len(MONTHS) + 1) * pairs_of(len(FUTURES)) + pairs_of(len(SPOT))

    assert simulated + real >= 2_000


def test_the_reference_is_coint_itself():
    prices = market(np.random.default_rng(3), 4, 200)
    for i, j in ((0, 1), (1, 0), (2, 3), (3, 1)):
        answers = engle_granger_answers(prices[i], prices[j], RULES)
        for rule, most in RULES:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = coint(prices[i], prices[j], maxlag=most, autolag=rule)
            assert (answers[rule, most].statistic, answers[rule, most].pvalue) == (theirs[0], theirs[1])


@pytest.mark.parametrize(("rule", "most"), RULES)
def test_the_diagnostic_on_the_spread_is_adfuller_with_a_constant(rule, most):
    prices = market(np.random.default_rng(12), 9, 300)
    tests = pairwise_cointegration(prices, Terms(most, rule))
    for row in range(len(tests)):
        i, j = tests.first[row], tests.second[row]
        spread = prices[i] - tests.intercept[row] - tests.hedge_ratio[row] * prices[j]
        theirs = adfuller(spread, maxlag=most, autolag=rule, regression="c", result_object=True)
        assert tests.adf_lag[row] == theirs.lags
        assert tests.adf_t[row] == pytest.approx(theirs.statistic, abs=1e-8)
        assert tests.adf_p[row] == pytest.approx(theirs.pvalue, abs=1e-9)
