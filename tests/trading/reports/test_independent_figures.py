"""The figures of a report, computed by another library too."""

from __future__ import annotations

import empyrical
import numpy as np
import pandas as pd
import pytest

from pairs.metrics import (
    annual_volatility,
    apr,
    beta,
    expected_shortfall,
    max_drawdown_pct,
    rolling_beta,
    sharpe,
    simple_returns,
    sortino,
    value_at_risk,
)
from tests.trading.reports.plot_samples import cointegrated_view, run_of
from trading.reports.benchmark import course
from trading.reports.equity_figures import daily_equity, equity_figures, months
from trading.reports.performance import equity_curve, metrics, periods_per_year

PERIODS = 8760


def curves() -> list[np.ndarray]:
    """Rising, falling and ragged ones, a jump, and a curve that stands for a while."""
    rng = np.random.default_rng(11)
    drifts = ((0.0002, 0.004), (-0.0003, 0.01), (0.0, 0.0008))
    made = [10_000.0 * np.exp(np.cumsum(rng.normal(drift, size, 3_000))) for drift, size in drifts]
    jump = made[0].copy()
    jump[1_500:] *= 0.6
    still = made[2].copy()
    still[500:900] = still[500]
    return [*made, jump, still]


@pytest.mark.parametrize("curve", curves(), ids=["rising", "falling", "ragged", "jump", "still"])
def test_ratios_and_risk_are_those_of_empyrical(curve: np.ndarray) -> None:
    returns = simple_returns(curve)
    assert sharpe(returns, PERIODS) == pytest.approx(empyrical.sharpe_ratio(returns, annualization=PERIODS))
    assert sortino(returns, PERIODS) == pytest.approx(empyrical.sortino_ratio(returns, annualization=PERIODS))
    assert annual_volatility(returns, PERIODS) == pytest.approx(
        empyrical.annual_volatility(returns, annualization=PERIODS)
    )
    assert apr(returns, PERIODS) == pytest.approx(empyrical.cagr(returns, annualization=PERIODS))
    assert max_drawdown_pct(curve) == pytest.approx(-100.0 * empyrical.max_drawdown(returns))
    for share in (0.01, 0.05, 0.2):
        assert value_at_risk(returns, share) == pytest.approx(empyrical.value_at_risk(returns, share))
        assert expected_shortfall(returns, share) == pytest.approx(empyrical.conditional_value_at_risk(returns, share))


def test_beta_is_that_of_empyrical_also_in_a_window() -> None:
    rng = np.random.default_rng(5)
    market = rng.normal(0.0, 0.01, 400)
    returns = 0.3 * market + rng.normal(0.0, 0.005, 400)
    assert beta(returns, market) == pytest.approx(empyrical.beta(returns, market))
    rolled = empyrical.roll_beta(returns, market, window=60)
    assert rolling_beta(returns, market, 60) == pytest.approx(np.asarray(rolled))


def test_the_figures_of_a_run_are_those_of_empyrical() -> None:
    result = run_of((cointegrated_view("ETH_BTC", seed=3), cointegrated_view("LTC_BCH", seed=4)))
    curve = equity_curve(result.equity, start=float(result.equity_start))
    returns, found = simple_returns(curve), equity_figures(result)
    assert metrics(result).sharpe == pytest.approx(empyrical.sharpe_ratio(returns, annualization=PERIODS))
    assert metrics(result).max_drawdown_pct == pytest.approx(-100.0 * empyrical.max_drawdown(returns))
    assert found.calmar == pytest.approx(empyrical.calmar_ratio(returns, annualization=PERIODS))
    assert found.cagr_pct == pytest.approx(100.0 * empyrical.cagr(returns, annualization=PERIODS))
    assert course("own", curve, result.bar_hours).sharpe == metrics(result).sharpe
    days = simple_returns(daily_equity(result)[1])
    assert found.tail_period == "day"
    assert found.var_95_pct == pytest.approx(100.0 * empyrical.value_at_risk(days))
    assert found.cvar_95_pct == pytest.approx(100.0 * empyrical.conditional_value_at_risk(days))


def test_months_are_those_of_pandas_and_compound_to_the_whole() -> None:
    result = run_of((cointegrated_view("ETH_BTC", seed=3),))
    series = pd.Series(dict(result.equity))
    series.index = pd.DatetimeIndex(series.index)
    ends = series.resample("ME").last()
    expected = ends / np.concatenate([[float(result.equity_start)], ends.to_numpy()[:-1]]) - 1.0
    assert [one.return_pct for one in months(result)] == pytest.approx(100.0 * expected.to_numpy())
    growth = np.prod([1.0 + one.return_pct / 100.0 for one in months(result)])
    assert growth == pytest.approx(result.equity[-1][1] / float(result.equity_start))


def test_nothing_to_measure_is_nought() -> None:
    for returns in ([], [0.0, 0.0], [float("nan"), 0.1]):
        assert sortino(returns, PERIODS) == 0.0
        assert annual_volatility(returns, periods_per_year(1.0)) == 0.0
        assert value_at_risk(returns) == 0.0 and expected_shortfall(returns) == 0.0
    assert beta([0.1, 0.2], [0.0, 0.0]) == 0.0
    assert len(rolling_beta([0.1, 0.2], [0.1, 0.2], 3)) == 0
