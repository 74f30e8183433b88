"""The one gate before any order that adds risk, the same in a backtest and live.

Asked once about the whole pair, never once per leg. Exposure counts what is approved as if it had filled, and what is
being closed until the next bar shows it gone. A limit that cannot be computed counts as exceeded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

from pairs.words import Action, Approved, PairOrder, PairPosition, Refused


@dataclass(frozen=True, slots=True)
class TrailingStop:
    """Per cents of the pair's gross notional at entry."""

    activation_pct: float
    trailing_pct: float


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Per cents are 0-100; ``None`` switches a limit off. ``max_exposure`` is a fraction of equity (gross notional).

    ``max_daily_loss`` in quote currency, ``max_daily_loss_pct`` of the equity at the start of the UTC day.
    ``account_leverage``: initial margin is gross notional divided by it.
    """

    max_positions: int = 5
    max_exposure: float | None = 1.0
    max_leverage: float = 2.0
    account_leverage: float = 1.0
    max_drawdown_pct: float | None = 10.0
    max_daily_loss: float | None = None
    max_daily_loss_pct: float | None = 2.0
    max_daily_trades: int | None = None
    stop_loss_pct: float | None = None
    take_profit_pct: float | None = None
    trailing_stop: TrailingStop | None = None
    maintenance_margin_pct: float = 0.5
    rearm_daily: bool = False


class Breaker(Enum):
    """CLOSED trades; REDUCE_ONLY only exits; HALTED sends nothing on its own."""

    CLOSED = "closed"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class RiskExit:
    """A position that must be left now, whatever the strategy says."""

    pair_id: str
    reason: str


@dataclass(slots=True)
class RiskState:
    """What must survive a restart."""

    peak_equity: float = 0.0
    equity: float = 0.0
    day: str = ""
    day_start_equity: float = 0.0
    trades_today: int = 0
    breaker: str = Breaker.CLOSED.value
    breaker_reason: str = ""
    breaker_since: str = ""
    best_profit_pct: dict[str, float] = field(default_factory=dict)
    trips: list[tuple[str, str]] = field(default_factory=list)


class RiskGuard:
    """Limits, their state, and the exits that risk itself demands."""

    def __init__(self, limits: RiskLimits, equity: float) -> None:
        self.limits = limits
        self.state = RiskState(peak_equity=equity, equity=equity, day_start_equity=equity)
        self._exposure: dict[str, float] = {}
        self._reserved: dict[str, float] = {}
        self._day: date | None = None

    # once per bar

    def on_bar(
        self, time: datetime, equity: float, positions: Mapping[str, PairPosition], prices: Mapping[str, float]
    ) -> list[RiskExit]:
        """Take the equity and the positions at a bar's close; returns the pairs that must be left."""
        self._begin_day(time, equity)
        self.state.equity = equity
        if not math.isfinite(equity):
            self._trip(Breaker.HALTED, "equity_unknown", time)
            return []
        self.state.peak_equity = max(self.state.peak_equity, equity)
        self._count_exposure(positions, prices)
        self._check_drawdown(time)
        self._check_daily_loss(time)
        if self._is_margin_call():
            self._trip(Breaker.REDUCE_ONLY, "margin_call", time)
            return [RiskExit(pair_id, "margin_call") for pair_id, p in positions.items() if p.is_open]
        return self._pair_stops(positions, prices)

    # once per order

    def check(self, order: PairOrder) -> Approved | Refused:
        """Approved (and its exposure reserved) or Refused with every reason. Exits always pass."""
        if order.action is Action.EXIT:
            return Approved(order)
        reasons = self._reasons_against(order)
        if reasons:
            return Refused(order, tuple(reasons))
        self._exposure[order.pair_id] = self._reserved[order.pair_id] = order.gross_notional
        self.state.trades_today += 1
        return Approved(order)

    def release(self, pair_id: str) -> None:
        """An approved entry came to nothing: give its reservation back."""
        self._exposure.pop(pair_id, None)
        self._reserved.pop(pair_id, None)

    # breaker

    @property
    def breaker(self) -> Breaker:
        return Breaker(self.state.breaker)

    def halt(self, reason: str, time: datetime) -> None:
        self._trip(Breaker.HALTED, reason, time)

    def rearm(self) -> None:
        """A person has looked: trade again, measuring drawdown from here."""
        self.state.breaker, self.state.breaker_reason, self.state.breaker_since = Breaker.CLOSED.value, "", ""
        self.state.peak_equity = self.state.equity

    # limits in use

    @property
    def drawdown_pct(self) -> float:
        peak = self.state.peak_equity
        return 100.0 * (peak - self.state.equity) / peak if peak > 0.0 else 0.0

    @property
    def daily_loss(self) -> float:
        """Quote currency lost since the start of the UTC day (0 when ahead)."""
        return max(0.0, self.state.day_start_equity - self.state.equity)

    @property
    def gross_exposure(self) -> float:
        return sum(self._exposure.values())

    def usage(self) -> list[tuple[str, float, float]]:
        """``(name, used, limit)`` of every limit in force."""
        limits, state = self.limits, self.state
        equity = state.equity or math.nan
        rows: list[tuple[str, float, float | None]] = [
            ("max_positions", float(len(self._exposure)), float(limits.max_positions)),
            ("max_exposure", self.gross_exposure / equity, limits.max_exposure),
            ("max_leverage", self.gross_exposure / equity, limits.max_leverage),
            ("initial_margin", self.gross_exposure / equity, limits.account_leverage),
            ("max_drawdown_pct", self.drawdown_pct, limits.max_drawdown_pct),
            ("max_daily_loss", self.daily_loss, limits.max_daily_loss),
            ("max_daily_loss_pct", self.daily_loss_pct, limits.max_daily_loss_pct),
            ("max_daily_trades", float(state.trades_today), limits.max_daily_trades),
        ]
        return [(name, used, float(limit)) for name, used, limit in rows if limit is not None]

    # persistence

    def snapshot(self) -> dict[str, Any]:
        return asdict(self.state)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        known = RiskState(**snapshot)
        known.trips = [(when, reason) for when, reason in known.trips]
        self.state, self._day = known, None

    # the parts

    def _reasons_against(self, order: PairOrder) -> list[str]:
        limits, state = self.limits, self.state
        gross = self.gross_exposure + order.gross_notional
        tests = (
            (self.breaker is not Breaker.CLOSED, f"breaker_{state.breaker}:{state.breaker_reason}"),
            (not (math.isfinite(gross) and state.equity > 0.0), "equity_unknown"),
            (order.pair_id in self._exposure, "already_in_position"),
            (len(self._exposure) >= limits.max_positions, "max_positions"),
            (limits.max_exposure is not None and gross > limits.max_exposure * state.equity, "max_exposure"),
            (gross > limits.max_leverage * state.equity, "max_leverage"),
            (gross > limits.account_leverage * state.equity, "initial_margin"),
            (limits.max_daily_trades is not None and state.trades_today >= limits.max_daily_trades, "max_daily_trades"),
            (_reaches(self.daily_loss, limits.max_daily_loss), "max_daily_loss"),
            (_reaches(self.daily_loss_pct, limits.max_daily_loss_pct), "max_daily_loss_pct"),
        )
        return [reason for against, reason in tests if against]

    def _count_exposure(self, positions: Mapping[str, PairPosition], prices: Mapping[str, float]) -> None:
        """What is held, and in full what is approved and not yet seen open."""
        if not positions and not self._reserved:
            self._exposure = {}
            return
        for pair_id in [p for p in self._reserved if p in positions and positions[p].is_open]:
            del self._reserved[pair_id]
        held = {p: _gross(position, prices) for p, position in positions.items()}
        self._exposure = held | {p: max(gross, held.get(p, 0.0)) for p, gross in self._reserved.items()}

    def _begin_day(self, time: datetime, equity: float) -> None:
        day = _utc_day(time)
        if day == self._day:
            return
        self._day = day
        if day.isoformat() == self.state.day:
            return
        # The day's reference is what the last bar of yesterday left.
        self.state.day_start_equity = self.state.equity if self.state.day else equity
        self.state.day = day.isoformat()
        self.state.trades_today = 0
        if self.limits.rearm_daily and self.breaker is Breaker.REDUCE_ONLY:
            self.rearm()

    def _check_drawdown(self, time: datetime) -> None:
        if _reaches(self.drawdown_pct, self.limits.max_drawdown_pct):
            self._trip(Breaker.REDUCE_ONLY, "max_drawdown", time)

    def _check_daily_loss(self, time: datetime) -> None:
        """A day's loss refuses entries until the day is over; it is told once a day."""
        for used, limit, reason in (
            (self.daily_loss, self.limits.max_daily_loss, "max_daily_loss"),
            (self.daily_loss_pct, self.limits.max_daily_loss_pct, "max_daily_loss_pct"),
        ):
            if _reaches(used, limit) and not self._was_told_today(reason):
                self.state.trips.append((time.isoformat(), reason))

    def _was_told_today(self, reason: str) -> bool:
        return any(when[:10] == self.state.day and why == reason for when, why in self.state.trips[-4:])

    def _trip(self, breaker: Breaker, reason: str, time: datetime) -> None:
        order = (Breaker.CLOSED, Breaker.REDUCE_ONLY, Breaker.HALTED)
        if order.index(breaker) <= order.index(self.breaker):
            return
        self.state.breaker, self.state.breaker_reason = breaker.value, reason
        self.state.breaker_since = time.isoformat()
        self.state.trips.append((time.isoformat(), reason))

    @property
    def daily_loss_pct(self) -> float:
        """Of the equity at the start of the UTC day."""
        start = self.state.day_start_equity
        return 100.0 * self.daily_loss / start if start > 0.0 else 0.0

    def _is_margin_call(self) -> bool:
        gross = self.gross_exposure
        return gross > 0.0 and self.state.equity <= gross * self.limits.maintenance_margin_pct / 100.0

    def _pair_stops(self, positions: Mapping[str, PairPosition], prices: Mapping[str, float]) -> list[RiskExit]:
        best = self.state.best_profit_pct
        for gone in [pair_id for pair_id in best if pair_id not in positions]:
            del best[gone]
        exits = []
        for pair_id, position in positions.items():
            if position.is_open and position.gross_notional > 0.0:
                profit_pct = 100.0 * position.unrealised_price(prices) / position.gross_notional
                best[pair_id] = max(best.get(pair_id, profit_pct), profit_pct)
                reason = self._stop_reason(profit_pct, best[pair_id])
                if reason:
                    exits.append(RiskExit(pair_id, reason))
        return exits

    def _stop_reason(self, profit_pct: float, best_pct: float) -> str | None:
        limits, trailing = self.limits, self.limits.trailing_stop
        if limits.stop_loss_pct is not None and profit_pct <= -limits.stop_loss_pct:
            return "stop_loss"
        if limits.take_profit_pct is not None and profit_pct >= limits.take_profit_pct:
            return "take_profit"
        if trailing and best_pct >= trailing.activation_pct and best_pct - profit_pct >= trailing.trailing_pct:
            return "trailing_stop"
        return None


def _reaches(used: float, limit: float | None) -> bool:
    """True when the limit is reached, or when what is used is not a number."""
    return limit is not None and not used < limit


def _gross(position: PairPosition, prices: Mapping[str, float]) -> float:
    return sum(abs(float(leg.quantity)) * prices.get(leg.symbol, float(leg.entry_price)) for leg in position.legs)


def _utc_day(time: datetime) -> date:
    return time.astimezone(UTC).date()
