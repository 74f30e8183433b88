"""A result's JSON back as a ``RunResult``.

ResultUnreadable    not a result, a damaged one, or one of a newer program: stop and tell the person
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

from trading.records import (
    ExecutionRecord,
    LegRecord,
    OpenRecord,
    Provenance,
    RefusalRecord,
    RunResult,
    TradeRecord,
)
from trading.reports.performance import HOURS_PER_YEAR
from trading.reports.result_files import RESULT_VERSION
from trading.utc_text import parse_utc

CENT = Decimal("0.01")
MARKS = ("equity_start", "trades", "metrics")
ZERO = Decimal(0)


class ResultUnreadable(Exception):
    """The file is not a whole result that this program can read."""


def read_result(path: str | Path) -> RunResult:
    """Numbers come back as the shortest decimals of the JSON's. Raises ResultUnreadable with what was found."""
    return result_of(read_json(path), str(path))


def read_json(path: str | Path) -> Any:
    """Raises ResultUnreadable where there is no JSON."""
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ResultUnreadable(f"there is no file {path}") from None
    except OSError as error:
        raise ResultUnreadable(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ResultUnreadable(
            f"{path} is damaged or no JSON ({error}): write it anew with --json, or restore a copy"
        ) from None


def is_result(document: Any) -> bool:
    """True for a result of a backtest or a run, whole or not; False for a config."""
    return isinstance(document, dict) and any(mark in document for mark in MARKS)


def result_of(document: Any, name: str) -> RunResult:
    """``name``: of the file, for what is said of it. Raises ResultUnreadable."""
    if not is_result(document):
        raise ResultUnreadable(f"{name} is no result: write one with backtest --json or run --json")
    version = document.get("result_version", RESULT_VERSION)
    if not isinstance(version, int) or version > RESULT_VERSION:
        raise ResultUnreadable(
            f"{name} is a result of version {version}, this program reads up to {RESULT_VERSION}: update the program"
        )
    try:
        result = _result(document)
        _refuse_false_sums(document, result, name)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ResultUnreadable(f"{name} is a damaged result ({what}): write it anew with --json") from None
    return result


def _result(row: Mapping[str, Any]) -> RunResult:
    metrics, equity = row["metrics"], [(parse_utc(time), float(value)) for time, value in row["equity"]]
    bars, periods = int(row["bars"]), float(metrics["periods_per_year"])
    start = _decimal(row["equity_start"])
    values = [float(start), *(value for _, value in equity)]
    return RunResult(
        config=str(row["config"]),
        mode=str(row["mode"]),
        bars=bars,
        start=_time(row["start"]),
        end=_time(row["end"]),
        bar_hours=HOURS_PER_YEAR / periods if periods else 0.0,
        equity_start=start,
        equity_end=_decimal(row["equity_end"]),
        trades=tuple(_trade(trade) for trade in row["trades"]),
        open=tuple(_open(position) for position in row["open"]),
        refused=tuple(
            RefusalRecord(parse_utc(one["time"]), one["pair_id"], tuple(one["reasons"])) for one in row["refused"]
        ),
        equity=tuple(equity),
        bars_in_position=round(float(metrics["exposure_pct"]) / 100.0 * bars),
        turnover_notional=_decimal(float(metrics["turnover"]) * (sum(values) / len(values))),
        signals=int(row.get("signals", 0)),
        notes=tuple(row.get("notes", ())),
        risk_trips=tuple((parse_utc(trip["time"]), trip["reason"]) for trip in row.get("risk_trips", ())),
        uptime_s=row.get("uptime_s"),
        execution=ExecutionRecord(**row["execution"]) if row.get("execution") else None,
        provenance=Provenance(**row["made_of"]) if row.get("made_of") else None,
    )


def _trade(row: Mapping[str, Any]) -> TradeRecord:
    return TradeRecord(
        pair_id=row["pair_id"],
        direction=row["direction"],
        entry_time=parse_utc(row["entry_time"]),
        exit_time=parse_utc(row["exit_time"]),
        entry_z=row["entry_z"],
        exit_z=row["exit_z"],
        exit_reason=row["exit_reason"],
        in_formation=bool(row["in_formation"]),
        legs=tuple(_leg(leg) for leg in row["legs"]),
        legging_cost=_decimal(row["legging_cost"]),
    )


def _open(row: Mapping[str, Any]) -> OpenRecord:
    return OpenRecord(
        pair_id=row["pair_id"],
        direction=row["direction"],
        entry_time=parse_utc(row["entry_time"]),
        legs=tuple(_leg(leg) for leg in row["legs"]),
        unrealised=_decimal(row["unrealised"]),
    )


def _leg(row: Mapping[str, Any]) -> LegRecord:
    quantity, entry = _decimal(row["quantity"]), _decimal(row["entry_price"])
    left = None if row["exit_price"] is None else _decimal(row["exit_price"])
    price = ZERO if left is None else quantity * (left - entry)
    return LegRecord(
        symbol=row["symbol"],
        quantity=quantity,
        entry_price=entry,
        exit_price=left,
        pnl_price=_decimal(row["pnl_price"]) if "pnl_price" in row else price,
        fees=_decimal(row["fees"]),
        funding=_decimal(row["funding"]),
        slippage=_decimal(row["slippage"]),
    )


def _refuse_false_sums(document: Mapping[str, Any], result: RunResult, name: str) -> None:
    """A result whose parts do not make its profit was changed by hand, or cut."""
    for number, (row, trade) in enumerate(zip(document["trades"], result.trades, strict=True), 1):
        if abs(_decimal(row["pnl"]) - trade.pnl) > CENT:
            raise ResultUnreadable(
                f"{name} is damaged: trade {number} ({trade.pair_id}) says a profit of {row['pnl']}, its parts sum to "
                f"{trade.pnl:.2f}"
            )
    made = sum((trade.pnl for trade in result.trades), ZERO) + sum((one.unrealised for one in result.open), ZERO)
    told = result.equity_end - result.equity_start
    if abs(told - made) > CENT:
        raise ResultUnreadable(
            f"{name} is damaged: it says a profit of {told:.2f}, its {len(result.trades)} closed trades and what is "
            f"open sum to {made:.2f}"
        )


def _decimal(value: float | None) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"a number was wanted, found {value!r}")
    return Decimal(repr(value))


def _time(text: str | None) -> Any:
    return None if text is None else parse_utc(text)
