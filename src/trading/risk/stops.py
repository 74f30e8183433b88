"""Exits that risk itself demands: a pair's own stops, and whole pairs when liquidation comes near."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pairs.words import PairPosition
from trading.risk.exposure import Exposure
from trading.risk.limits import RiskLimits

# The rules' words and ours. Leaving at a loss by choice of the moment; an unwound entry is a failed order instead.
STOP_REASONS = frozenset(
    ("stop", "stop_z", "stop_loss", "trailing_stop", "atr_stop", "liquidation", "liquidation_distance", "margin_call")
)


@dataclass(frozen=True, slots=True)
class RiskExit:
    """A position that must be left now, whatever the strategy says."""

    pair_id: str
    reason: str


def pair_stops(
    limits: RiskLimits, positions: Mapping[str, PairPosition], prices: Mapping[str, float], best: dict[str, float]
) -> list[RiskExit]:
    """Stop-loss, take-profit and trailing stop at these prices. ``best``: pair → its best profit so far, kept here."""
    for gone in [pair_id for pair_id in best if pair_id not in positions]:
        del best[gone]
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


def liquidation_exits(limits: RiskLimits, equity: float, exposure: Exposure, known: list[RiskExit]) -> list[RiskExit]:
    """Whole pairs, the largest first, until the rest stands far enough off. Pairs being left count as gone."""
    least = limits.min_liquidation_distance_pct
    if least is None:
        return []
    leaving = {risk_exit.pair_id for risk_exit in known}
    gross = exposure.gross_to_stay - sum(exposure.of(pair_id) for pair_id in leaving)
    exits = []
    for pair_id in exposure.largest_open():
        if liquidation_distance_pct(equity, gross, limits.maintenance_margin_pct) >= least:
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
