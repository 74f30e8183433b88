"""A run's result as files: JSON for machines, a CSV row a trade for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from trading.records import LegRecord, RunResult, TradeRecord
from trading.reports.output_files import OutputPathError, write_atomically
from trading.reports.performance import Metrics, metrics
from trading.reports.rows import number, open_row, refusal_row, trade_row
from trading.utc_text import utc_text

__all__ = ["OutputPathError", "result_json", "write_json", "write_trades_csv"]

TRADE_COLUMNS = (
    "pair_id",
    "direction",
    "entry_time",
    "exit_time",
    "entry_z",
    "exit_z",
    "exit_reason",
    "in_formation",
)
LEG_COLUMNS = ("symbol", "quantity", "entry_price", "exit_price", "pnl_price", "fees", "funding", "slippage")
PNL_COLUMNS = ("pnl", "pnl_price", "pnl_fees", "pnl_funding", "legging_cost")
LEGS = ("leg_a", "leg_b")
RESULT_VERSION = 1  # of the JSON; a reader refuses a higher one


def result_json(result: RunResult) -> dict[str, Any]:
    """The result as JSON values: trades in order of exit, every number finite, times with ``Z``."""
    return {
        "config": result.config,
        "mode": result.mode,
        "bars": result.bars,
        "start": None if result.start is None else utc_text(result.start),
        "end": None if result.end is None else utc_text(result.end),
        "equity_start": number(result.equity_start),
        "equity_end": number(result.equity_end),
        "trades": [trade_row(trade) for trade in by_exit(result)],
        "open": [open_row(position) for position in result.open],
        "refused": [refusal_row(refusal) for refusal in result.refused],
        "metrics": _metrics_row(metrics(result)),
        "equity": [[utc_text(time), equity] for time, equity in result.equity if number(equity) is not None],
        "signals": result.signals,
        "notes": list(result.notes),
        "risk_trips": [{"time": utc_text(time), "reason": reason} for time, reason in result.risk_trips],
        "uptime_s": number(result.uptime_s),
        "execution": None if result.execution is None else asdict(result.execution),
        "result_version": RESULT_VERSION,
        "made_of": None if result.provenance is None else asdict(result.provenance),
    }


def by_exit(result: RunResult) -> tuple[TradeRecord, ...]:
    """The trades in order of exit, those of one moment by pair."""
    return tuple(sorted(result.trades, key=lambda trade: (trade.exit_time, trade.pair_id)))


def write_json(path: str | Path, result: RunResult) -> Path:
    """Write the result; returns where. Raises ``OutputPathError`` where it cannot be written."""
    text = json.dumps(result_json(result), allow_nan=False, indent=1)
    return write_atomically(path, f"{text}\n".encode())


def write_trades_csv(path: str | Path, result: RunResult) -> Path:
    """One row a trade, exact decimals; no second leg leaves its columns empty. Raises like ``write_json``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*TRADE_COLUMNS, *(f"{leg}_{name}" for leg in LEGS for name in LEG_COLUMNS), *PNL_COLUMNS])
    writer.writerows(_csv_row(trade) for trade in by_exit(result))
    return write_atomically(path, text.getvalue().encode())


def _metrics_row(figures: Metrics) -> dict[str, Any]:
    periods = figures.periods_per_year
    return {
        "return_pct": figures.return_pct,
        "sharpe": figures.sharpe,
        "max_drawdown_pct": figures.max_drawdown_pct,
        "win_rate_pct": figures.win_rate_pct,
        "trades": figures.trades,
        "trades_in_formation": figures.trades_in_formation,
        "exposure_pct": figures.exposure_pct,
        "turnover": figures.turnover,
        "periods_per_year": int(periods) if periods.is_integer() else periods,
    }


def _csv_row(trade: TradeRecord) -> list[str]:
    row = trade_row(trade)
    head = [_cell(row[name]) for name in TRADE_COLUMNS]
    legs = [_leg_cells(trade.legs[index] if index < len(trade.legs) else None) for index in range(len(LEGS))]
    return [*head, *(cell for leg in legs for cell in leg), *(_cell(getattr(trade, name)) for name in PNL_COLUMNS)]


def _leg_cells(leg: LegRecord | None) -> list[str]:
    return [""] * len(LEG_COLUMNS) if leg is None else [_cell(getattr(leg, name)) for name in LEG_COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
