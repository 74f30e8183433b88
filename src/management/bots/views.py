"""One bot at one moment, from its journal: what the pages and the metrics show of it. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.words import Side
from management.bots.finding import BotFiles
from management.bots.reading import BotReader, Row
from pairs.words import PairState
from trading.journal.locks import is_held, lock_path
from trading.kept_config import CONFIG_KEY
from trading.live.spreads import LIVE_KEY
from trading.risk.state import GUARD_KEY
from trading.status import STATUS_KEY
from trading.status_reading import breaker_row, clock_of, feed_rows
from trading.utc_text import parse_utc


@dataclass(frozen=True, slots=True)
class LegView:
    """Signed quantities: by our fills, and as the exchange last said; None when it has not been asked."""

    symbol: str
    held: float
    exchange: float | None


@dataclass(frozen=True, slots=True)
class LiveSpread:
    """z and spread at prices between two bars. ``time``: ISO text."""

    time: str
    zscore: float
    spread: float | None


@dataclass(frozen=True, slots=True)
class PairView:
    """``levels``: |z| of entry, exit and stop, empty for rules without z. ``statistics``: those frozen at the entry.

    ``zscore`` and ``spread`` are of the last closed bar; ``live`` of the last prices after it, if there are any.
    """

    pair_id: str
    state: str
    direction: str
    zscore: float | None
    spread: float | None
    live: LiveSpread | None
    entry_time: str
    entry_z: float | None
    unrealised: float | None
    legs: tuple[LegView, ...]
    levels: Mapping[str, float]
    statistics: Mapping[str, Any] | None
    quarantined_until: str

    @property
    def is_open(self) -> bool:
        return self.state != PairState.FLAT.value

    @property
    def can_be_closed(self) -> bool:
        return self.state == PairState.OPEN.value


@dataclass(frozen=True, slots=True)
class LimitView:
    """``used_share``: 1 when the limit is reached, whichever way it points."""

    name: str
    used: float | None
    limit: float
    used_share: float | None


@dataclass(frozen=True, slots=True)
class BotView:
    """Money in quote currency, ``_pct`` 0 to 100, ages in seconds and None before the first bar."""

    key: str
    bot_id: str
    mode: str
    config: Row
    is_running: bool
    run: Row
    breaker: Mapping[str, Any]
    trips: tuple[tuple[str, str], ...]
    status: Mapping[str, Any]
    pairs: tuple[PairView, ...]
    limits: tuple[LimitView, ...]
    feeds: tuple[Mapping[str, Any], ...]
    last_bar_age_s: float | None
    commands_waiting: int

    @property
    def equity(self) -> float | None:
        return self.status.get("equity")

    @property
    def drawdown_pct(self) -> float | None:
        known: float | None = self.status.get("risk", {}).get("current_drawdown_pct")
        return known

    @property
    def open_pairs(self) -> tuple[PairView, ...]:
        return tuple(pair for pair in self.pairs if pair.is_open)

    def pair(self, pair_id: str) -> PairView | None:
        return next((pair for pair in self.pairs if pair.pair_id == pair_id), None)


def bot_view(files: BotFiles, reader: BotReader, now: datetime) -> BotView:
    """``now``: the wall's time, for the ages of a real market's bars. Raises ``Unreadable``."""
    states = reader.states()
    status, guard, config = (states.get(key, {}) for key in (STATUS_KEY, GUARD_KEY, CONFIG_KEY))
    mode = reader.meta["mode"]
    clock = clock_of(status, mode, now)
    last_bar = status.get("time")
    is_up = bool(status.get("is_market_up"))
    last_bars, is_running = status.get("last_bars", {}), is_held(lock_path(files.journal))
    return BotView(
        key=files.key,
        bot_id=reader.meta["bot_id"],
        mode=mode,
        config=config,
        is_running=is_running,
        run=reader.run,
        breaker=breaker_row(guard),
        trips=tuple((when, reason) for when, reason in guard.get("trips", ())),
        status=status,
        pairs=_pairs(reader, states if is_running else states | {LIVE_KEY: {}}),
        limits=tuple(_limit(row) for row in status.get("limits", ())),
        feeds=tuple(
            feed_rows(
                config.get("symbols") or list(last_bars),
                config.get("bar_hours", 1.0),
                last_bars,
                clock,
                is_running=is_running,
                is_up=is_up,
            )
        ),
        last_bar_age_s=_bar_age_s(last_bar, clock) if is_running or mode != "mock" else None,
        commands_waiting=reader.commands_waiting(),
    )


def _bar_age_s(last_bar: str | None, clock: datetime | None) -> float | None:
    return (clock - parse_utc(last_bar)).total_seconds() if clock and last_bar else None


def _pairs(reader: BotReader, states: Mapping[str, Row]) -> tuple[PairView, ...]:
    stored = {row["pair_id"]: row for row in reader.positions()}
    named: Mapping[str, list[str]] = states.get(CONFIG_KEY, {}).get("pairs", {})
    held = [pair_id for pair_id, row in stored.items() if row["state"] != PairState.FLAT.value]
    return tuple(
        _pair(reader, pair_id, stored.get(pair_id), named.get(pair_id, []), states=states)
        for pair_id in dict.fromkeys([*named, *held])
    )


def _pair(
    reader: BotReader, pair_id: str, stored: Row | None, symbols: list[str], *, states: Mapping[str, Row]
) -> PairView:
    status, guard, config = (states.get(key, {}) for key in (STATUS_KEY, GUARD_KEY, CONFIG_KEY))
    state = stored["state"] if stored else PairState.FLAT.value
    payload = stored["payload"] if stored and state != PairState.FLAT.value else {}
    decision = reader.last_decision(pair_id)
    amounts = _held(reader, pair_id, payload.get("ref"))
    exchange = status.get("exchange", {})
    wanted = symbols or payload.get("targets", ())
    return PairView(
        pair_id=pair_id,
        state=state,
        direction=payload.get("direction", ""),
        zscore=decision.get("zscore"),
        spread=decision.get("spread"),
        live=_live(states.get(LIVE_KEY, {}).get(pair_id), decision.get("time", "")),
        entry_time=payload.get("entry_time", ""),
        entry_z=payload.get("entry_z"),
        unrealised=status.get("unrealised", {}).get(pair_id) if payload else None,
        legs=tuple(LegView(symbol, float(amounts.get(symbol, 0)), exchange.get(symbol)) for symbol in wanted),
        levels=config.get("levels", {}).get(pair_id, {}),
        statistics=payload.get("statistics"),
        quarantined_until=guard.get("quarantine", {}).get(pair_id, ""),
    )


def _live(row: Row | None, bar_time: str) -> LiveSpread | None:
    """None where the bar is as new."""
    if row is None or (bar_time and parse_utc(row["time"]) <= parse_utc(bar_time)):
        return None
    return LiveSpread(row["time"], row["z"], row["spread"])


def _held(reader: BotReader, pair_id: str, ref: str | None) -> dict[str, Decimal]:
    """Signed quantity by symbol, from the fills of the pair's entry and exit."""
    held: dict[str, Decimal] = {}
    for fill in reader.fills_of(pair_id, ref) if ref else ():
        change = Decimal(fill["amount"]) * Side(fill["side"]).sign - Decimal(fill["base_fee"])
        held[fill["symbol"]] = held.get(fill["symbol"], Decimal(0)) + change
    return held


def _limit(row: Mapping[str, Any]) -> LimitView:
    name, used, limit = row["name"], row["used"], row["limit"]
    least_wanted = name.startswith("min_")
    if used is None or (used if least_wanted else limit) == 0:
        share = None
    else:
        share = limit / used if least_wanted else used / limit
    return LimitView(name, used, limit, share)
