"""A run beside holding its first legs, and its beta to the market, on bars made for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.series import BarSeries
from tests.trading.journal.journal_samples import START
from tests.trading.reports.result_samples import sample_result
from trading.market_input import MarketInput
from trading.records import RunResult
from trading.reports.benchmark import benchmark, market_beta

HOUR = timedelta(hours=1)


def market(**closes: np.ndarray) -> MarketInput:
    series = {}
    for symbol, close in closes.items():
        times = datetime_to_ms(START) + 3_600_000 * np.arange(len(close))
        series[symbol] = BarSeries(symbol, 3_600_000, times, close, close, close, close, np.ones(len(close)))
    return MarketInput(MarketSource(series), {}, {}, 0, ())


def run_of(equity: np.ndarray) -> RunResult:
    rows = tuple((START + number * HOUR, float(value)) for number, value in enumerate(equity))
    return sample_result(equity_start=Decimal(repr(float(equity[0]))), equity=rows, bar_hours=1.0)


def test_first_legs_are_bought_in_equal_parts_and_held() -> None:
    bars = market(A=np.array([100.0, 110.0, 120.0]), B=np.array([50.0, 50.0, 25.0]), C=np.array([1.0, 9.0, 9.0]))
    found = benchmark(run_of(np.array([1000.0, 1000.0, 1010.0])), bars, ["A", "B", "A"])
    assert found is not None and found.symbols == ("A", "B")
    assert found.held.tolist() == pytest.approx([1000.0, 1050.0, 850.0])
    returns = {course.name: course.return_pct for course in found.courses}
    assert returns == pytest.approx(
        {"cash": 0.0, "2 first legs held in equal parts": -15.0, "A held": 20.0, "B held": -50.0}
    )
    assert found.courses[-1].max_drawdown_pct == pytest.approx(50.0)


def test_a_price_is_the_last_close_at_the_time() -> None:
    bars = market(A=np.array([100.0, 110.0, 120.0]))
    late = run_of(np.array([1.0, 1.0]))
    late = replace(late, equity=tuple((time + 1.5 * HOUR, value) for time, value in late.equity))
    found = benchmark(late, bars, ["A"])
    assert found is not None and found.courses[-1].return_pct == pytest.approx((120 / 110 - 1) * 100)


def test_bars_of_another_time_or_symbol_give_no_benchmark() -> None:
    bars = market(A=np.array([100.0, 110.0, 120.0]))
    run = run_of(np.array([1.0, 1.0, 1.0]))
    assert benchmark(run, bars, ["B"]) is None
    early = replace(run, equity=tuple((time - 5 * HOUR, value) for time, value in run.equity))
    assert benchmark(early, bars, ["A"]) is None
    assert benchmark(run_of(np.array([1.0])), bars, ["A"]) is None


def made_of(market_returns: np.ndarray, beta: float) -> np.ndarray:
    return 1000.0 * np.cumprod(np.concatenate([[1.0], 1.0 + beta * market_returns]))


@pytest.mark.parametrize(("bars", "period"), [(300, "bar"), (24 * 90, "day")])
def test_a_run_that_follows_the_market_has_its_beta(bars: int, period: str) -> None:
    rng = np.random.default_rng(8)
    steps = rng.normal(0.0, 0.0005, bars - 1)
    prices = 100.0 * np.cumprod(np.concatenate([[1.0], 1.0 + steps]))
    found = market_beta(run_of(made_of(steps, 0.5)), market(A=prices, B=prices * 3.0))
    assert found is not None and found.period == period
    assert found.whole == pytest.approx(0.5, abs=0.01)
    assert found.values == pytest.approx(np.full(len(found.values), 0.5), abs=0.03)
    assert len(found.times) == len(found.values)


def test_a_short_run_has_no_beta() -> None:
    assert market_beta(run_of(np.ones(10)), market(A=np.ones(10))) is None
