"""A run beside what its money could have done instead: lie there, or hold the first legs; and how it moved with the
market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.series import BarSeries
from pairs.metrics import annual_volatility, apr, beta, max_drawdown_pct, rolling_beta, sharpe, simple_returns
from trading.market_input import MarketInput
from trading.records import RunResult
from trading.reports.equity_figures import finite_equity
from trading.reports.performance import periods_per_year

Array = NDArray[np.float64]
BETA_DAYS, LEAST_DAYS = 30, 60
LEAST_WINDOW = 20
DAY_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class Course:
    """How one use of the money went, by the same formulas as the run's own."""

    name: str
    return_pct: float
    cagr_pct: float
    volatility_pct: float
    sharpe: float
    max_drawdown_pct: float


@dataclass(frozen=True, slots=True)
class Benchmark:
    """``held``: equity at ``times`` of the starting equity put into the first legs in equal parts and left there."""

    times: tuple[datetime, ...]
    held: Array
    courses: tuple[Course, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarketBeta:
    """``values`` at ``times``: the run's beta to the mean return of every symbol it trades, over the ``window`` before.

    ``period``: "day" or "bar", what a return is of; ``whole``: over all of the run.
    """

    times: tuple[datetime, ...]
    values: Array
    window: int
    period: str
    whole: float


def course(name: str, curve: Array, bar_hours: float) -> Course:
    """``curve``: equity bar by bar, the start included."""
    returns, periods = simple_returns(curve), periods_per_year(bar_hours)
    return Course(
        name=name,
        return_pct=(curve[-1] / curve[0] - 1.0) * 100.0 if curve[0] > 0.0 else 0.0,
        cagr_pct=apr(returns, periods) * 100.0,
        volatility_pct=annual_volatility(returns, periods) * 100.0,
        sharpe=sharpe(returns, periods),
        max_drawdown_pct=max_drawdown_pct(curve),
    )


def benchmark(result: RunResult, market: MarketInput, first_legs: Sequence[str]) -> Benchmark | None:
    """None when the run has no two bars, or the data none of its prices."""
    times = tuple(time for time, _ in finite_equity(result))
    symbols = tuple(dict.fromkeys(first_legs))
    if len(times) < 2 or not all(symbol in market.source.series for symbol in symbols):
        return None
    growths = {symbol: _growth(market.source.series[symbol], times) for symbol in symbols}
    if not all(np.isfinite(growth).all() for growth in growths.values()):
        return None
    start = float(result.equity_start)
    held = start * np.mean(list(growths.values()), axis=0)
    courses = [course("cash", np.full(len(times), start), result.bar_hours)]
    if len(symbols) > 1:
        courses.append(course(f"{len(symbols)} first legs held in equal parts", held, result.bar_hours))
    courses += [course(f"{symbol} held", start * growth, result.bar_hours) for symbol, growth in growths.items()]
    return Benchmark(times, held, tuple(courses), symbols)


def market_beta(result: RunResult, market: MarketInput) -> MarketBeta | None:
    """By day where the run has enough days, else by bar; None for a run that is too short for either."""
    rows = finite_equity(result)
    by_day = {time.date(): (time, value) for time, value in rows}
    is_daily = len(by_day) > LEAST_DAYS and result.bar_hours < DAY_HOURS
    if is_daily:
        rows, window, period = list(by_day.values()), BETA_DAYS, "day"
    else:
        window, period = max(LEAST_WINDOW, len(rows) // 10), "bar"
    if len(rows) < window + 2:
        return None
    times = tuple(time for time, _ in rows)
    growths = np.array([_growth(series, times) for series in market.source.series.values()])
    if not np.isfinite(growths).all():
        return None
    own = simple_returns([value for _, value in rows])
    others = np.mean([simple_returns(growth) for growth in growths], axis=0)
    return MarketBeta(times[window:], rolling_beta(own, others, window), window, period, beta(own, others))


def _growth(series: BarSeries, times: Sequence[datetime]) -> Array:
    """The last close at each time over that at the first; NaN where the series has none yet."""
    wanted = np.array([datetime_to_ms(time) for time in times])
    index = np.searchsorted(series.time_ms, wanted, side="right") - 1
    closes = np.where(index >= 0, series.close[np.maximum(index, 0)], np.nan)
    return np.asarray(closes / closes[0], dtype=np.float64)
