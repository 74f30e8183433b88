"""What can be read of a bot from its journal, whether it runs or not.

Breaker, pair states and quantities are as the journal has them now; equity, limits and feeds as of the last bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pairs.words import Pair, PairState
from trading.config.model import LoadedConfig
from trading.journal.errors import JournalGone
from trading.journal.locks import holder_of, is_held, lock_path
from trading.journal.reads import JournalReader
from trading.journal.words import StoredPosition
from trading.kept_pairs import with_kept_pairs
from trading.risk.state import GUARD_KEY
from trading.risk_guard import Breaker
from trading.status import DIFFERENCES_KEY, STATUS_KEY
from trading.utc_text import parse_utc
from trading.venues.opening import read_journal, state_paths

STALE_AFTER_BARS = 2.5
SECONDS_PER_HOUR = 3600.0


def bot_status(config: LoadedConfig, now: datetime | None = None) -> dict[str, Any] | None:
    """JSON values; None before the first run. ``now``: the wall's time, for the age of a real market's bars.

    Raises JournalError, of which JournalGone while it runs without its journal.
    """
    path, _ = state_paths(config)
    lock = lock_path(path)
    is_running, reader = is_held(lock), read_journal(config)
    if reader is None and is_running:
        raise JournalGone(
            f"{config.bot_id} runs (process {holder_of(lock)}), but its journal {path} is gone. It writes it anew "
            "with its next change; where that cannot be, its log says why"
        )
    if reader is None:
        return None
    with reader:
        row = reader.risk_state(STATUS_KEY) or {}
        mode = config.model.broker.type
        last_bars = row.pop("last_bars", {})
        return row | {
            "bot_id": config.bot_id,
            "mode": mode,
            "running": is_running,
            "breaker": breaker_row(reader.risk_state(GUARD_KEY) or {}),
            "differences": (reader.risk_state(DIFFERENCES_KEY) or {}).get("told", []),
            "equity": row.get("equity"),
            "pairs": _pairs(with_kept_pairs(config).pairs, reader, row.pop("exchange", {})),
            "limits": row.get("limits", []),
            "last_reconciled": row.get("last_reconciled"),
            "longest_unhedged_s": row.get("longest_unhedged_s", 0.0),
            "feeds": feed_rows(
                config.symbols,
                config.model.bar_hours,
                last_bars,
                clock_of(row, mode, now),
                is_running=is_running,
                is_up=row.pop("is_market_up", False),
            ),
        }


def breaker_row(guard: Mapping[str, Any]) -> dict[str, Any]:
    state = guard.get("breaker", Breaker.CLOSED.value)
    return {"state": state, "reason": guard.get("breaker_reason", ""), "since": guard.get("breaker_since") or None}


def _pairs(pairs: tuple[Pair, ...], reader: JournalReader, exchange: Mapping[str, float]) -> list[dict[str, Any]]:
    stored, decisions, runs = reader.positions(), reader.last_decisions(), reader.runs()
    run = runs[-1].number if runs else None
    rows = []
    for pair in pairs:
        known, decision = stored.get(pair.pair_id), decisions.get(pair.pair_id)
        held = _held(known, reader, run)
        legs = [
            {"symbol": symbol, "ledger": float(held.get(symbol, 0)), "exchange": exchange.get(symbol)}
            for symbol in pair.symbols
        ]
        state = (known.state if known else PairState.FLAT).value
        rows.append({"pair_id": pair.pair_id, "state": state, "z": decision.zscore if decision else None, "legs": legs})
    return rows


def _held(stored: StoredPosition | None, reader: JournalReader, run: int | None) -> dict[str, Decimal]:
    """Signed quantity by symbol, from the fills of the pair's entry and exit."""
    held: dict[str, Decimal] = {}
    if stored is not None and stored.state is not PairState.FLAT:
        for fill in reader.fills_of(stored.pair_id, stored.payload["ref"], run):
            held[fill.symbol] = held.get(fill.symbol, Decimal(0)) + fill.position_change
    return held


def clock_of(row: Mapping[str, Any], mode: str, now: datetime | None) -> datetime | None:
    """A simulated market has a time of its own: that of its last bar."""
    written = parse_utc(row["time"]) if row.get("time") else None
    return written if mode == "mock" or now is None else now


def feed_rows(
    symbols: Iterable[str],
    bar_hours: float,
    last_bars: Mapping[str, str],
    now: datetime | None,
    *,
    is_running: bool,
    is_up: bool,
) -> list[dict[str, Any]]:
    """``state``: live, stale (its bars are overdue), down (the connection is lost) or waiting (no bar so far).

    Of a bot that does not run: "not running", and without an age.
    """
    if not is_running:
        return [{"symbol": symbol, "age_s": None, "state": "not running"} for symbol in symbols]
    stale_s = STALE_AFTER_BARS * bar_hours * SECONDS_PER_HOUR
    feeds = []
    for symbol in symbols:
        last = last_bars.get(symbol)
        age_s = (now - parse_utc(last)).total_seconds() if last and now else None
        state = "waiting" if age_s is None else "down" if not is_up else "stale" if age_s > stale_s else "live"
        feeds.append({"symbol": symbol, "age_s": age_s, "state": state})
    return feeds
