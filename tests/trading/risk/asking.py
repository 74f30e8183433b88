"""Orders and positions of a pair with round numbers, and how a guard is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pairs.words import Action, Direction, LegOrder, LegPosition, PairOrder, PairPosition, PairState, Refused
from trading.risk_guard import RiskExit, RiskGuard, RiskLimits

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
FREE = RiskLimits(
    max_positions=100, max_exposure=None, max_leverage=100.0, account_leverage=100.0, max_drawdown_pct=None,
    max_daily_loss_pct=None,
)  # fmt: skip


def order(pair: str = "A_B", gross: float = 1_000.0, action: Action = Action.ENTER) -> PairOrder:
    legs = (LegOrder("A", Decimal(1), gross / 2), LegOrder("B", Decimal(-1), gross / 2))
    return PairOrder(f"{pair}:ref", pair, action, Direction.LONG, legs, NOON, "entry")


def holding(pair: str = "A_B", gross: float = 1_000.0, state: PairState = PairState.OPEN) -> PairPosition:
    """Long one A and short one B at half the gross each."""
    price = Decimal(repr(gross / 2))
    legs = (LegPosition("A", Decimal(1), price), LegPosition("B", Decimal(-1), price))
    return PairPosition(pair, state, Direction.LONG, legs, NOON, -2.0, None, None, gross)


def guard_with(equity: float = 10_000.0, **limits) -> RiskGuard:
    return RiskGuard(replace(FREE, **limits), equity)


def reasons(guard: RiskGuard, wanted: PairOrder) -> tuple[str, ...]:
    verdict = guard.check(wanted)
    return verdict.reasons if isinstance(verdict, Refused) else ()


def mark(guard: RiskGuard, equity: float, positions=None, prices=None, *, hours: float = 0.0) -> list[RiskExit]:
    return guard.on_bar(NOON + timedelta(hours=hours), equity, positions or {}, prices or {})


def stopped(guard: RiskGuard, pair: str = "A_B", reason: str = "stop_loss", *, hours: float = 0.0) -> None:
    guard.pair_left(pair, reason, NOON + timedelta(hours=hours))


def at(wanted: PairOrder, hours: float) -> PairOrder:
    return replace(wanted, decided_at=NOON + timedelta(hours=hours))


def failed(guard: RiskGuard, reason: str, *, hours: float = 0.0, pair: str = "A_B") -> None:
    guard.entry_failed(pair, reason, NOON + timedelta(hours=hours))
    guard.release(pair)
