"""What a risk guard holds a run to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import Field, dataclass, fields
from numbers import Real


@dataclass(frozen=True, slots=True)
class TrailingStop:
    """Per cents of the pair's gross notional at entry. Raises ValueError for what is none."""

    activation_pct: float
    trailing_pct: float

    def __post_init__(self) -> None:
        _check_numbers(self, fields(self))


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Per cents are 0-100; ``None`` switches a limit off. Exposures are fractions of equity (gross notional).

    ``max_daily_loss`` in quote currency, ``max_daily_loss_pct`` of the equity at the start of the UTC day.
    ``account_leverage``: initial margin is gross notional divided by it. ``min_liquidation_distance_pct``: how far the
    whole gross may move against the account until what is left of the equity is the maintenance margin.
    ``max_stops_per_pair`` within a UTC day put a pair into quarantine for ``quarantine_hours``, None: until that day
    ends. ``max_failed_orders`` entries in a row that came to nothing within ``failed_orders_hours`` trip the breaker:
    until a person looks when the venue refused or a pair was unwound, for ``cooldown_s`` when nothing reached it.
    Raises ValueError for a limit that is no number, or negative.
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

    def __post_init__(self) -> None:
        _check_numbers(self, (field for field in fields(self) if "float" in field.type or "int" in field.type))
        if not self.account_leverage > 0.0:
            raise ValueError(f"account_leverage {self.account_leverage!r}: a positive number was wanted")
        if not (self.trailing_stop is None or isinstance(self.trailing_stop, TrailingStop)):
            raise ValueError(f"trailing_stop {self.trailing_stop!r}: a TrailingStop was wanted, or None")


def _check_numbers(limits: object, wanted: Iterable[Field[object]]) -> None:
    """Of fields that are told as numbers, or as numbers or None."""
    for field in wanted:
        value, is_optional = getattr(limits, field.name), str(field.type).endswith("| None")
        if value is None and is_optional:
            continue
        if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 <= float(value) < math.inf:
            choice = ", or None for no limit" if is_optional else ""
            raise ValueError(f"{field.name} {value!r}: a finite number, not negative, was wanted{choice}")
