"""The figures of a run, against arithmetic done by hand."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trading.reports.performance as performance
from pairs.metrics import max_drawdown_pct
from tests.trading.journal.journal_samples import START
from tests.trading.reports.result_samples import empty_result, sample_result, sample_trade
from trading.reports.performance import drawdowns_pct, equity_curve, metrics, periods_per_year


def test_sharpe_is_mean_over_deviation_annualised() -> None:
    gains = [0.01, -0.02, 0.03, 0.0]
    curve = 10_000.0 * np.cumprod(1.0 + np.array(gains))
    result = sample_result(equity=tuple((START, float(value)) for value in curve))
    by_hand = 0.005 / math.sqrt((0.005**2 + 0.025**2 + 0.025**2 + 0.005**2) / 3) * math.sqrt(8760)
    assert metrics(result).sharpe == pytest.approx(by_hand, rel=1e-9)


def test_sharpe_without_variation_is_zero() -> None:
    assert metrics(sample_result(equity=((START, 10_000.0),) * 5)).sharpe == 0.0


def test_drawdown_counts_from_the_starting_equity() -> None:
    curve = equity_curve([(START, 90.0), (START, 95.0), (START, math.nan)], start=100.0)
    assert drawdowns_pct(curve).tolist() == pytest.approx([0.0, 10.0, 5.0])


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=30))
def test_the_deepest_point_of_the_drawdowns_is_the_figure_of_the_run(values: list[float]) -> None:
    worst = max((a - b) / a * 100 for i, a in enumerate(values) for b in values[i:])
    assert float(drawdowns_pct(np.array(values)).max()) == pytest.approx(worst, abs=1e-9)
    assert max_drawdown_pct(np.array(values)) == pytest.approx(worst, abs=1e-9)


def test_a_year_has_as_many_periods_as_bars() -> None:
    assert (periods_per_year(1.0), periods_per_year(24.0), periods_per_year(0.0)) == (8760.0, 365.0, 0.0)


def test_the_figures_of_a_run() -> None:
    figures = metrics(sample_result())
    assert (figures.trades, figures.trades_in_formation) == (3, 1)
    assert figures.win_rate_pct == pytest.approx(100 * 2 / 3)
    assert figures.exposure_pct == 45.0
    assert figures.max_drawdown_pct == pytest.approx(20 / 10_010 * 100)
    assert figures.return_pct == pytest.approx((float(sample_result().equity_end) / 10_000 - 1) * 100)


def test_turnover_is_traded_notional_over_mean_equity() -> None:
    result = sample_result(equity=((START, 20_000.0),))
    assert metrics(result).turnover == pytest.approx(25_000 / 15_000)


def test_a_trade_wins_after_its_costs() -> None:
    ahead_before_costs = sample_trade(0, gain=2)
    assert ahead_before_costs.pnl_price > 0 > ahead_before_costs.pnl
    assert performance.win_rate_pct([ahead_before_costs, sample_trade(1, gain=9)]) == 50.0


def test_a_run_without_a_bar_has_figures_of_zero() -> None:
    figures = astuple(metrics(empty_result()))
    assert figures == (0.0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 8760.0)
