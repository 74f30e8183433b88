"""Pairs whose trade is open while the config no longer says what it said of them: they keep what they were opened with,
and take no new entries, until a start finds them flat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any

from pairs.words import HedgeSpec, Pair, PairState
from trading.config.model import LoadedConfig
from trading.journal.reads import JournalReads
from trading.journal.writer import Journal
from trading.utc_text import parse_utc, utc_text
from trading.venues.opening import read_journal

PAIRS_KEY = "pairs"
OF_THE_CHOICE = ("formation_start", "formation_end")  # say how a pair was found, not how it is traded


def with_kept_pairs(config: LoadedConfig) -> LoadedConfig:
    """The config with the pairs as the open trades of an unfinished run were opened; ``kept`` says what differs.

    Raises JournalError when there is a journal that cannot be read.
    """
    journal = read_journal(config)
    if journal is None:
        return config
    with journal:
        former = _open_pairs(journal)
    now = {pair.pair_id: pair for pair in config.pairs}
    kept = {pair_id: text for pair_id, pair in former.items() if (text := _difference(pair, now.get(pair_id)))}
    pairs = [former[pair.pair_id] if pair.pair_id in kept else pair for pair in config.pairs]
    lost = [former[pair_id] for pair_id in kept if pair_id not in now]
    waiting = {} if config.model.broker.allow_shared_symbols else _waiting(pairs, {p: former[p] for p in kept})
    return replace(config, pairs=(*pairs, *lost), kept=waiting | kept)


def write_pairs(journal: Journal, pairs: tuple[Pair, ...]) -> None:
    """What the trades of this process are opened with."""
    journal.save_risk_state(PAIRS_KEY, {pair.pair_id: _as_json(pair) for pair in pairs})


def open_trades(journal: JournalReads) -> list[str]:
    """The pairs of an unfinished run's open trades."""
    runs = journal.runs()
    if not runs or runs[-1].ended is not None:
        return []
    return [stored.pair_id for stored in journal.positions().values() if stored.state is not PairState.FLAT]


def _open_pairs(journal: JournalReads) -> dict[str, Pair]:
    """As an unfinished run's open trades were opened; those of one symbol are not kept."""
    known = journal.risk_state(PAIRS_KEY) or {}
    former = (_pair(known[pair_id]) for pair_id in open_trades(journal) if pair_id in known)
    return {pair.pair_id: pair for pair in former if pair.leg_b is not None}


def _waiting(pairs: Iterable[Pair], kept: Mapping[str, Pair]) -> dict[str, str]:
    """Pairs that the config would not have put beside those that are kept: two of one symbol."""
    shared = {
        pair.pair_id: (other.pair_id, sorted({*pair.symbols} & {*other.symbols}))
        for pair in pairs
        for other in kept.values()
        if pair.pair_id not in kept and {*pair.symbols} & {*other.symbols}
    }
    return {
        pair_id: f"it shares {', '.join(symbols)} with {other}, whose trade is open"
        for pair_id, (other, symbols) in shared.items()
    }


def _difference(former: Pair, now: Pair | None) -> str:
    """Empty when it is traded as before."""
    if now is None:
        return "the config names it no more"
    changed = [f"{name} {old} is now {new}" for name, old, new in _changes(former, now)]
    return (
        f"its trade keeps what it was opened with, the config says otherwise: {', '.join(changed)}" if changed else ""
    )


def _changes(former: Pair, now: Pair) -> Iterator[tuple[str, Any, Any]]:
    for part, other in ((former, now), (former.hedge, now.hedge)):
        for field in fields(part):
            old, new = getattr(part, field.name), getattr(other, field.name)
            if field.name not in (*OF_THE_CHOICE, "hedge") and old != new:
                yield f"hedge_{field.name}" if part is former.hedge else field.name, old, new


def _as_json(pair: Pair) -> dict[str, Any]:
    return {name: utc_text(value) if isinstance(value, datetime) else value for name, value in asdict(pair).items()}


def _pair(stored: Mapping[str, Any]) -> Pair:
    times = {name: stored[name] and parse_utc(stored[name]) for name in OF_THE_CHOICE}
    return Pair(**{**stored, **times, "hedge": HedgeSpec(**stored["hedge"])})
