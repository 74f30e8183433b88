"""What a run holds fast from its first process to its last: the exchange's run, the books it began with, its pairs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pairs.words import Pair, PairState
from trading.journal.errors import JournalRefused
from trading.journal.writer import Journal
from trading.venues.venue import Venue

RUN_KEY = "run"
EXCHANGE_RUN, OPENING_EQUITY = "exchange_run", "opening_equity"


def kept_terms(journal: Journal, venue: Venue, pairs: tuple[Pair, ...]) -> Mapping[str, Any]:
    """What the unfinished run wrote down; empty when a new one begins.

    Raises JournalRefused when the config no longer fits what is still open.
    """
    known = journal.risk_state(RUN_KEY) or {}
    runs = journal.runs()
    if not runs or runs[-1].ended is not None or known.get(EXCHANGE_RUN) != venue.run:
        return {}
    changed = [(name, known[name], value) for name, value in venue.terms().items() if known.get(name, value) != value]
    if changed and venue.is_endless and not _open_pairs(journal):
        return {}
    if changed:
        name, old, new = changed[0]
        raise JournalRefused(
            f"this run began with {name} {old}, the config now says {new}: set it back; the next run may begin with "
            "another"
        )
    _refuse_a_lost_pair(journal, pairs)
    return known


def write_terms(journal: Journal, venue: Venue, opening_equity: Decimal) -> None:
    journal.save_risk_state(RUN_KEY, {EXCHANGE_RUN: venue.run, OPENING_EQUITY: str(opening_equity), **venue.terms()})


def _open_pairs(journal: Journal) -> bool:
    return any(stored.state is not PairState.FLAT for stored in journal.positions().values())


def _refuse_a_lost_pair(journal: Journal, pairs: tuple[Pair, ...]) -> None:
    named = {pair.pair_id: set(pair.symbols) for pair in pairs}
    for stored in journal.positions().values():
        if stored.state is not PairState.FLAT and named.get(stored.pair_id) != set(stored.payload["targets"]):
            raise JournalRefused(
                f"{stored.pair_id} ({', '.join(stored.payload['targets'])}) is open, but the config does not name it "
                "so: put the pair back until it is closed"
            )
