"""What a risk guard holds a run to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrailingStop:
    """Per cents of the pair's gross notional at entry."""

    activation_pct: float
    trailing_pct: float


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Per cents are 0-100; ``None`` switches a limit off. Exposures are fractions of equity (gross notional).

    ``max_daily_loss`` in quote currency, ``max_daily_loss_pct`` of the equity at the start of the UTC day.
    ``account_leverage``: initial margin is gross notional divided by it. ``min_liquidation_distance_pct``: how far the
    whole gross may move against the account until what is left of the equity is the maintenance margin.
    ``max_stops_per_pair`` within a UTC day put a pair into quarantine for ``quarantine_hours``, None: until that day
    ends. ``max_failed_orders`` entries in a row that came to nothing within ``failed_orders_hours`` trip the breaker:
    until a person looks when the venue refused or a pair was unwound, for ``cooldown_s`` when nothing reached it.
    """

    max_positions: int = 5
    max_exposure: float | None = 1.0
    max_pair_exposure: float | None = None
    max_leverage: float = 2.0
    account_leverage: float = 1.0
    min_liquidation_distance_pct: float | None = None
    max_drawdown_pct: float | None = 10.0
    max_daily_loss: float | None = None
    max_daily_loss_pct: float | None = 2.0
    max_daily_trades: int | None = None
    max_stops_per_pair: int | None = None
    quarantine_hours: float | None = None
    max_failed_orders: int | None = 5
    failed_orders_hours: float = 24.0
    cooldown_s: float = 900.0
    stop_loss_pct: float | None = None
    take_profit_pct: float | None = None
    trailing_stop: TrailingStop | None = None
    maintenance_margin_pct: float = 0.5
    rearm_daily: bool = False
