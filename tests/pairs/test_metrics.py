"""Performance arithmetic by hand; the printed figures of whole strategies are in test_published_figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs.metrics import apr, max_drawdown_pct, sharpe, simple_returns

RETURNS = st.lists(st.floats(-0.5, 0.5), max_size=50)
ANY = st.lists(st.floats(width=64), max_size=20)


def test_returns_compound_back_to_the_equity():
    equity = np.array([100.0, 110.0, 99.0, 120.0])

    assert 100.0 * np.cumprod(1.0 + simple_returns(equity)) == pytest.approx(equity[1:])


def test_returns_on_no_equity_are_nothing():
    assert simple_returns([100.0, 0.0, 50.0, -10.0, 5.0]).tolist() == [-1.0, 0.0, -1.2, 0.0]
    assert len(simple_returns([])) == len(simple_returns([1.0])) == 0


def test_sharpe_takes_the_sample_deviation_and_a_year_of_periods():
    returns = [0.01, -0.01, 0.02, 0.0]

    assert sharpe(returns, 252) == pytest.approx(math.sqrt(252) * 0.005 / math.sqrt(0.0005 / 3.0))


@pytest.mark.parametrize("returns", [[], [0.01], [0.01] * 30, [0.0] * 30, [0.01, math.nan], [0.01, math.inf]])
def test_sharpe_that_is_undefined_is_zero(returns):
    assert sharpe(returns, 252) == 0.0


def test_apr_of_a_year_is_the_growth_of_that_year():
    assert apr([0.001] * 252, 252) == pytest.approx(1.001**252 - 1.0)
    assert apr([0.001] * 504, 252) == pytest.approx(1.001**252 - 1.0)


@pytest.mark.parametrize(("returns", "expected"), [([], 0.0), ([math.nan], 0.0), ([-1.0, 5.0], -1.0), ([-3.0], -1.0)])
def test_apr_of_nothing_or_of_ruin(returns, expected):
    assert apr(returns, 252) == expected


@pytest.mark.parametrize(
    ("equity", "expected"),
    [([], 0.0), ([100.0], 0.0), ([1.0, 2.0, 3.0], 0.0), ([100.0, 80.0, 120.0, 60.0], 50.0), ([100.0, -20.0], 120.0)],
)
def test_drawdown_is_the_largest_fall_in_per_cent_of_its_peak(equity, expected):
    assert max_drawdown_pct(equity) == pytest.approx(expected)


@pytest.mark.parametrize("equity", [[100.0, math.nan], [math.inf, 1.0], [-5.0, -10.0], [0.0, -1.0]])
def test_drawdown_that_is_undefined_is_zero(equity):
    assert max_drawdown_pct(equity) == 0.0


@given(RETURNS, st.floats(0.01, 100.0))
@settings(deadline=None, max_examples=50)
def test_drawdown_does_not_depend_on_the_starting_capital(returns, scale):
    equity = 100.0 * np.cumprod(1.0 + np.array(returns))

    assert max_drawdown_pct(scale * equity) == pytest.approx(max_drawdown_pct(equity), rel=1e-9, abs=1e-9)
    assert 0.0 <= max_drawdown_pct(equity) <= 100.0


@given(ANY)
@settings(deadline=None, max_examples=100)
def test_no_float_makes_a_metric_that_is_not_a_number(values):
    assert all(math.isfinite(metric) for metric in (sharpe(values, 252), apr(values, 252), max_drawdown_pct(values)))
