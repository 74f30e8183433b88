"""The figures of a run: return, Sharpe ratio, drawdown, win rate, exposure, turnover. Always finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pairs.metrics import max_drawdown_pct, sharpe, simple_returns
from trading.records import RunResult, TradeRecord

HOURS_PER_YEAR = 8760.0


@dataclass(frozen=True, slots=True)
class Metrics:
    """Per cents are 0-100. ``turnover``: traded notional ÷ mean equity. ``trades`` includes those in formation."""

    return_pct: float
    sharpe: float
    max_drawdown_pct: float
    win_rate_pct: float
    trades: int
    trades_in_formation: int
    exposure_pct: float
    turnover: float
    periods_per_year: float


def metrics(result: RunResult) -> Metrics:
    """The figures of a run; 0 where there is nothing to measure."""
    start = float(result.equity_start)
    curve = equity_curve(result.equity, start=start)
    periods = periods_per_year(result.bar_hours)
    return Metrics(
        return_pct=_ratio(float(result.equity_end - result.equity_start), start) * 100.0,
        sharpe=sharpe(simple_returns(curve), periods),
        max_drawdown_pct=max_drawdown_pct(curve),
        win_rate_pct=win_rate_pct(result.trades),
        trades=len(result.trades),
        trades_in_formation=sum(trade.in_formation for trade in result.trades),
        exposure_pct=_ratio(result.bars_in_position, result.bars) * 100.0,
        turnover=_ratio(float(result.turnover_notional), float(curve.mean())),
        periods_per_year=periods,
    )


def equity_curve(rows: Sequence[tuple[datetime, float]], *, start: float) -> NDArray[np.float64]:
    """Equity per bar with the starting equity before it; rows that are not finite are left out."""
    values = np.array([start, *(equity for _, equity in rows)], dtype=np.float64)
    return values[np.isfinite(values)]


def periods_per_year(bar_hours: float) -> float:
    """Bars in a year of markets that never close."""
    return _ratio(HOURS_PER_YEAR, bar_hours)


def drawdowns_pct(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """The fall from the highest equity so far, per cent of it, 0 or positive, for every point of the curve."""
    peaks = np.maximum.accumulate(curve)
    return np.divide(peaks - curve, peaks, out=np.zeros_like(curve), where=peaks > 0.0) * 100.0


def win_rate_pct(trades: Sequence[TradeRecord]) -> float:
    """The share of trades with a profit after fees and funding."""
    return _ratio(sum(trade.pnl > 0 for trade in trades), len(trades)) * 100.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else 0.0
