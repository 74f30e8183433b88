"""Falls and days of an equity curve."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.trading.journal.journal_samples import START
from tests.trading.reports.result_samples import sample_result
from trading.records import RunResult
from trading.reports.equity_figures import daily_equity, equity_figures, longest_fall, months

HOUR = timedelta(hours=1)


def run_with(*equity: float) -> RunResult:
    rows = tuple((START + number * HOUR, value) for number, value in enumerate(equity))
    return sample_result(equity_start=Decimal(100), equity=rows, bar_hours=1.0)


def test_the_longest_fall_is_from_its_peak_to_the_same_height() -> None:
    fall = longest_fall(run_with(100, 90, 101, 100, 99, 95, 101, 102, 101))
    assert fall is not None
    assert fall.peak == START + 2 * HOUR and fall.until == START + 6 * HOUR and fall.length == 4 * HOUR
    assert round(fall.depth_pct, 6) == round(6 / 101 * 100, 6)


def test_a_fall_that_has_not_come_back_lasts_to_the_end() -> None:
    fall = longest_fall(run_with(100, 110, 109, 108, 108))
    assert fall is not None
    assert fall.until is None and fall.length == 3 * HOUR


def test_equity_that_only_rises_never_fell() -> None:
    assert longest_fall(run_with(100, 100, 101)) is None
    assert longest_fall(run_with()) is None


def test_a_curve_of_one_bar_and_of_none_has_figures() -> None:
    for run in (run_with(), run_with(100)):
        found = equity_figures(run)
        assert (found.cagr_pct, found.volatility_pct, found.calmar, found.tail_period) == (0.0, 0.0, 0.0, "bar")
    assert months(run_with()) == ()


def test_a_day_ends_with_its_last_bar() -> None:
    run = run_with(*range(100, 149))
    days, values = daily_equity(run)
    assert len(days) == len(values) - 1
    assert values[0] == 100 and values[-1] == 148
