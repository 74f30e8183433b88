"""What an equity curve says: growth, risk by day, months, the worst fall and the longest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from pairs.metrics import (
    annual_volatility,
    apr,
    expected_shortfall,
    max_drawdown_pct,
    simple_returns,
    sortino,
    value_at_risk,
)
from trading.records import RunResult
from trading.reports.performance import equity_curve, periods_per_year

DAY_HOURS = 24.0
LEAST_DAYS = 20  # below it a quantile of days is the worst day and nothing more


@dataclass(frozen=True, slots=True)
class Fall:
    """From a peak to the equity that was as high again; ``until`` is None while it is not. ``depth_pct`` positive."""

    peak: datetime
    until: datetime | None
    length: timedelta
    depth_pct: float


@dataclass(frozen=True, slots=True)
class EquityFigures:
    """Per cents; ratios by bar, annualised. ``tail_period``: what ``var_95_pct`` and ``cvar_95_pct`` (negative for a
    loss) are of: "day", or "bar" in a run of too few days."""

    cagr_pct: float
    volatility_pct: float
    sortino: float
    calmar: float
    var_95_pct: float
    cvar_95_pct: float
    tail_period: str
    longest_fall: Fall | None


@dataclass(frozen=True, slots=True)
class Month:
    """``return_pct`` of one calendar month in UTC; the first and the last may be cut."""

    year: int
    month: int
    return_pct: float


def equity_figures(result: RunResult) -> EquityFigures:
    """0 where there is nothing to measure."""
    curve = equity_curve(result.equity, start=float(result.equity_start))
    returns, periods = simple_returns(curve), periods_per_year(result.bar_hours)
    growth, deepest = apr(returns, periods) * 100.0, max_drawdown_pct(curve)
    days = simple_returns(daily_equity(result)[1])
    by_day = len(days) >= LEAST_DAYS and result.bar_hours < DAY_HOURS
    tail = days if by_day else returns
    return EquityFigures(
        cagr_pct=growth,
        volatility_pct=annual_volatility(returns, periods) * 100.0,
        sortino=sortino(returns, periods),
        calmar=growth / deepest if deepest > 0.0 else 0.0,
        var_95_pct=value_at_risk(tail) * 100.0,
        cvar_95_pct=expected_shortfall(tail) * 100.0,
        tail_period="day" if by_day else "bar",
        longest_fall=longest_fall(result),
    )


def daily_equity(result: RunResult) -> tuple[tuple[date, ...], NDArray[np.float64]]:
    """The last equity of each UTC day that has one, with the starting equity before the first."""
    last: dict[date, float] = {time.date(): value for time, value in finite_equity(result)}
    return tuple(last), np.array([float(result.equity_start), *last.values()])


def months(result: RunResult) -> tuple[Month, ...]:
    """In order; a month without a bar is left out."""
    last = {(time.year, time.month): value for time, value in finite_equity(result)}
    before = float(result.equity_start)
    rows = []
    for (year, month), value in last.items():
        rows.append(Month(year, month, (value / before - 1.0) * 100.0 if before > 0.0 else 0.0))
        before = value
    return tuple(rows)


def longest_fall(result: RunResult) -> Fall | None:
    """The longest time below a former peak; None when equity never fell."""
    rows = finite_equity(result)
    if not rows:
        return None
    falls = list(_falls(float(result.equity_start), rows))
    return max(falls, key=lambda fall: fall.length, default=None)


def finite_equity(result: RunResult) -> Sequence[tuple[datetime, float]]:
    return [(time, value) for time, value in result.equity if isfinite(value)]


def _falls(start: float, rows: Sequence[tuple[datetime, float]]) -> list[Fall]:
    falls: list[Fall] = []
    peak, since, low = start, rows[0][0], start
    for time, value in rows:
        if value >= peak:
            if low < peak:
                falls.append(_fall(peak, low, since, until=time))
            peak, since, low = value, time, value
        low = min(low, value)
    if low < peak:
        end = rows[-1][0]
        falls.append(Fall(since, None, end - since, _depth_pct(peak, low)))
    return falls


def _fall(peak: float, low: float, since: datetime, *, until: datetime) -> Fall:
    return Fall(since, until, until - since, _depth_pct(peak, low))


def _depth_pct(peak: float, low: float) -> float:
    return (peak - low) / peak * 100.0 if peak > 0.0 else 0.0
