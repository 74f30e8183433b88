"""What a bot says of itself at every bar: written to its journal, read from there by ``status_reading``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ccxt_bt_bridge.bt_time import ms_to_datetime
from trading.execution.pair_ledger import PairLedger
from trading.execution.quality import ExecutionQuality
from trading.execution.reconciler import Reconciled
from trading.risk_guard import RiskGuard
from trading.utc_text import utc_text

STATUS_KEY = "status"
DIFFERENCES_KEY = "differences"  # between ledger and exchange, as the last start found them, in words


def status_row(
    *,
    mode: str,
    ledger: PairLedger,
    guard: RiskGuard,
    statistics: ExecutionQuality,
    prices: Mapping[str, float],
    time: Any,
    bars: int,
    signals: int,
    last_bars: Mapping[str, datetime],
    is_market_up: bool,
    reconciled: Reconciled | None,
    longest_unhedged_s: float,
) -> dict[str, Any]:
    """JSON values. Money in quote currency, ``_pct`` 0 to 100."""
    open_records = ledger.open_records(prices)
    gains = [float(record.unrealised) for record in open_records]
    equity = ledger.equity(prices)
    return {
        "time": None if time is None else utc_text(time),
        "equity": _known(equity),
        "longest_unhedged_s": longest_unhedged_s,
        "data_feed_status": {"data_points": bars, "last_bar": None if time is None else utc_text(time)},
        "broker_status": {"cash": equity - sum(gains), "value": equity, "type": mode},
        "engine": {
            "mode": mode,
            "total_signals": signals,
            "successful_executions": statistics.opened + len(ledger.trades),
            "success_rate": _share(signals - statistics.refused, signals),
        },
        "positions": {
            "total_positions": len(gains),
            "total_unrealized_pnl": sum(gains),
            "winning_positions": sum(gain > 0 for gain in gains),
            "losing_positions": sum(gain < 0 for gain in gains),
        },
        "risk": {
            "breaker": guard.breaker.value,
            "current_drawdown_pct": guard.drawdown_pct,
            "daily_loss_pct": guard.daily_loss_pct,
            "risk_violations": [reason for _, reason in guard.state.trips],
        },
        "limits": [{"name": name, "used": _known(used), "limit": limit} for name, used, limit in guard.usage()],
        "unrealised": {record.pair_id: float(record.unrealised) for record in open_records},
        "last_bars": {symbol: utc_text(when) for symbol, when in last_bars.items()},
        "is_market_up": is_market_up,
        "last_reconciled": utc_text(ms_to_datetime(reconciled.time_ms)) if reconciled else None,
        "exchange": {symbol: float(amount) for symbol, amount in reconciled.exchange.items()} if reconciled else {},
        "monitoring": {
            "execution": {
                "avg_fill_time_ms": statistics.average_latency_ms,
                "orders": statistics.orders,
            },
            "speed": statistics.speed_metrics(),
            "slippage": statistics.slippage_metrics(),
            "legging": statistics.legging_metrics(),
        },
        "trades": {"closed": len(ledger.trades), "pnl": float(ledger.realised)},
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _share(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
