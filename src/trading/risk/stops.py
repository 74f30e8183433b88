"""Exits that risk itself demands: a pair's own stops, and whole pairs when liquidation comes near."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pairs.words import PairPosition
from trading.risk.exposure import Exposure
from trading.risk.limits import RiskLimits

# The rules' words and ours. Leaving at a loss by choice of the moment; an unwound entry is a failed order instead.
STOP_REASONS = frozenset((
    "stop", "stop_z", "stop_loss", "stop_loss_z", "trailing_stop", "atr_stop", "liquidation", "liquidation_distance",
    "margin_call",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class RiskExit:
    """A position that must be left now, whatever the strategy says."""

    pair_id: str
    reason: str


def pair_stops(
    limits: RiskLimits, positions: Mapping[str, PairPosition], prices: Mapping[str, float], best: dict[str, float]
) -> list[RiskExit]:
    """Stop-loss, take-profit and trailing stop at these prices. ``best``: pair → its best profit so far, kept here."""
    exits = []
    for pair_id, position in positions.items():
        if not position.is_open:
            continue
        profit = profit_pct(position, prices)
        # A price that is no number says nothing: neither stopped nor a new best.
        if math.isfinite(profit):
            best[pair_id] = max(best.get(pair_id, profit), profit)
            reason = _stop_reason(limits, profit, best[pair_id])
            exits += [RiskExit(pair_id, reason)] if reason else []
    return exits


def worst_loss_pct(positions: Mapping[str, PairPosition], prices: Mapping[str, float]) -> float:
    """Of the open pair that has lost most; zero when none has."""
    losses = [-profit_pct(position, prices) for position in positions.values() if position.is_open]
    return max((loss for loss in losses if loss > 0.0), default=0.0)


def profit_pct(position: PairPosition, prices: Mapping[str, float]) -> float:
    """Of the gross notional at entry; NaN for a pair that never had any."""
    gross = position.gross_notional
    return 100.0 * position.unrealised_price(prices) / gross if gross > 0.0 else math.nan


def liquidation_distance_pct(equity: float, gross: float, maintenance_margin_pct: float) -> float:
    """How far ``gross`` may move against the account until the equity left is the maintenance margin, in per cent.

    ``equity - x * gross = maintenance * gross``; infinite without positions. Positions stand on the whole account
    (cross margin).
    """
    return 100.0 * equity / gross - maintenance_margin_pct if gross > 0.0 else math.inf


@dataclass(frozen=True, slots=True)
class MarginSeen:
    """An account's own equity and maintenance margin in quote currency, when the gross was that."""

    equity: float
    maintenance: float
    gross: float

    def distance_pct(self, gross: float, maintenance_margin_pct: float) -> float:
        """With ``gross`` in its place: the margin of the difference by the model. Infinite without positions."""
        margin = self.maintenance + (gross - self.gross) * maintenance_margin_pct / 100.0
        return 100.0 * (self.equity - margin) / gross if gross > 0.0 else math.inf


def liquidation_exits(
    least: float, distance_pct: Callable[[float], float], exposure: Exposure, known: list[RiskExit]
) -> list[RiskExit]:
    """Whole pairs, the largest first, until the rest stands far enough off. Pairs being left count as gone.

    ``distance_pct``: of a gross.
    """
    leaving = {risk_exit.pair_id for risk_exit in known}
    gross = exposure.gross_to_stay - sum(exposure.of(pair_id) for pair_id in leaving)
    exits = []
    for pair_id in exposure.largest_open():
        if distance_pct(gross) >= least:
            break
        if pair_id not in leaving:
            exits.append(RiskExit(pair_id, "liquidation_distance"))
            gross -= exposure.of(pair_id)
    return exits


def _stop_reason(limits: RiskLimits, profit: float, best: float) -> str | None:
    trailing = limits.trailing_stop
    if limits.stop_loss_pct is not None and profit <= -limits.stop_loss_pct:
        return "stop_loss"
    if limits.take_profit_pct is not None and profit >= limits.take_profit_pct:
        return "take_profit"
    if trailing and best >= trailing.activation_pct and best - profit >= trailing.trailing_pct:
        return "trailing_stop"
    return None
