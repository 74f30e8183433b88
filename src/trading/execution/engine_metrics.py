"""What an engine tells of itself. JSON values; money in quote currency, ``_pct`` and rates 0 to 100."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from trading.position_tracker import PositionTracker
from trading.records import TradeRecord
from trading.risk_guard import RiskGuard


def performance_metrics(
    *, mode: str, signals: int, successes: int, tracker: PositionTracker, guard: RiskGuard, monitored: Mapping[str, Any]
) -> dict[str, Any]:
    """``monitored``: an ``OrderMonitor``'s summary."""
    return {
        "engine": {
            "mode": mode,
            "total_signals": signals,
            "successful_executions": successes,
            "success_rate": _share(successes, signals),
            "circuit_breaker": guard.breaker.value,
        },
        "positions": tracker.get_portfolio_stats(),
        "risk": {
            "current_drawdown_pct": guard.drawdown_pct,
            "daily_loss_pct": guard.daily_loss_pct,
            "risk_violations": [reason for _, reason in guard.state.trips],
        },
        "monitoring": {
            "execution": {
                "avg_fill_time_ms": monitored["speed"]["avg_latency_ms"],
                "orders": monitored["speed"]["orders"],
            },
            **monitored,
        },
    }


def summary(
    *, mode: str, exchanges: Iterable[str], trades: Iterable[TradeRecord], tracker: PositionTracker
) -> dict[str, Any]:
    """Trades, profit and what is open, over all exchanges."""
    trades = list(trades)
    won = sum(trade.pnl > 0 for trade in trades)
    return {
        "mode": mode,
        "exchanges": list(exchanges),
        "total_trades": len(trades),
        "winning_trades": won,
        "win_rate": _share(won, len(trades)),
        "realized_pnl": float(sum((trade.pnl for trade in trades), Decimal(0))),
        "fees": float(-sum((trade.pnl_fees for trade in trades), Decimal(0))),
        "open_positions": [position.symbol for position in tracker.open_positions],
        "unrealized_pnl": tracker.get_portfolio_stats()["total_unrealized_pnl"],
    }


def _share(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
