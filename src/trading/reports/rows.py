"""Records as JSON rows: numbers are JSON numbers (None where not finite), times ISO-8601 UTC with ``Z``."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Any

from trading.records import LegRecord, OpenRecord, RefusalRecord, TradeRecord
from trading.utc_text import utc_text


def trade_row(trade: TradeRecord) -> dict[str, Any]:
    """One round trip; ``pnl`` is the exact sum of its parts, turned into a float once."""
    return {
        "pair_id": trade.pair_id,
        "direction": trade.direction,
        "entry_time": utc_text(trade.entry_time),
        "exit_time": utc_text(trade.exit_time),
        "entry_z": number(trade.entry_z),
        "exit_z": number(trade.exit_z),
        "exit_reason": trade.exit_reason,
        "in_formation": trade.in_formation,
        "legs": [leg_row(leg) for leg in trade.legs],
        "pnl": number(trade.pnl),
        "pnl_price": number(trade.pnl_price),
        "pnl_fees": number(trade.pnl_fees),
        "pnl_funding": number(trade.pnl_funding),
        "legging_cost": number(trade.legging_cost),
    }


def leg_row(leg: LegRecord) -> dict[str, Any]:
    """``exit_price`` is null while the leg is open."""
    return {
        "symbol": leg.symbol,
        "quantity": number(leg.quantity),
        "entry_price": number(leg.entry_price),
        "exit_price": number(leg.exit_price),
        "pnl_price": number(leg.pnl_price),
        "fees": number(leg.fees),
        "funding": number(leg.funding),
        "slippage": number(leg.slippage),
    }


def open_row(position: OpenRecord) -> dict[str, Any]:
    return {
        "pair_id": position.pair_id,
        "direction": position.direction,
        "entry_time": utc_text(position.entry_time),
        "legs": [leg_row(leg) for leg in position.legs],
        "unrealised": number(position.unrealised),
    }


def refusal_row(refusal: RefusalRecord) -> dict[str, Any]:
    return {"time": utc_text(refusal.time), "pair_id": refusal.pair_id, "reasons": list(refusal.reasons)}


def number(value: Decimal | float | None) -> float | None:
    """A JSON number, None for what is missing or not finite."""
    return float(value) if value is not None and isfinite(value) else None
