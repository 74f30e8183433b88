"""Every limit in force, and how much of it is used."""

from __future__ import annotations

from trading.risk.exposure import Exposure
from trading.risk.limits import RiskLimits
from trading.risk.state import RiskState

WITHOUT_BOUND = 1e6  # told in place of what has no number: JSON knows no infinity


def usage_rows(
    limits: RiskLimits, state: RiskState, exposure: Exposure, *, worst_loss_pct: float, distance_pct: float
) -> list[tuple[str, float, float]]:
    """``(name, used, limit)``. Of ``min_liquidation_distance_pct`` more is better, of all others less."""
    of_equity = _share(exposure.gross, state.equity)
    largest = max((exposure.of(pair_id) for pair_id in exposure.pairs), default=0.0)
    rows: list[tuple[str, float, float | None]] = [
        ("max_positions", len(exposure.pairs), limits.max_positions),
        ("max_exposure", of_equity, limits.max_exposure),
        ("max_pair_exposure", _share(largest, state.equity), limits.max_pair_exposure),
        ("max_leverage", of_equity, limits.max_leverage),
        ("initial_margin", of_equity, limits.account_leverage),
        ("min_liquidation_distance_pct", distance_pct, limits.min_liquidation_distance_pct),
        ("max_drawdown_pct", state.drawdown_pct, limits.max_drawdown_pct),
        ("max_daily_loss", state.daily_loss, limits.max_daily_loss),
        ("max_daily_loss_pct", state.daily_loss_pct, limits.max_daily_loss_pct),
        ("max_daily_trades", state.trades_today, limits.max_daily_trades),
        ("max_stops_per_pair", max(state.stops_today.values(), default=0), limits.max_stops_per_pair),
        ("max_failed_orders", len(state.failures), limits.max_failed_orders),
        ("stop_loss_pct", worst_loss_pct, limits.stop_loss_pct),
    ]
    return [(name, _told(float(used)), float(limit)) for name, used, limit in rows if limit is not None]


def _share(notional: float, equity: float) -> float:
    if not notional:
        return 0.0
    return notional / equity if equity > 0.0 else WITHOUT_BOUND


def _told(used: float) -> float:
    return used if -WITHOUT_BOUND < used < WITHOUT_BOUND else WITHOUT_BOUND
