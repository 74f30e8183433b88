"""What a run's result says beside its rows, kept in the journal: whoever reads the run there is told the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trading.journal.reads import JournalReads
from trading.journal.writer import Journal
from trading.utc_text import parse_utc, utc_text


@dataclass(frozen=True, slots=True)
class RunFacts:
    """``start``: as the result has it, None in runs of before it was kept. ``data``: of the provenance."""

    start: datetime | None = None
    notes: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


def write_facts(journal: Journal, run: int, facts: RunFacts) -> None:
    """``facts.start`` is known."""
    assert facts.start is not None
    row = {"start": utc_text(facts.start), "notes": list(facts.notes), "data": dict(facts.data)}
    journal.save_risk_state(_key(run), row)


def read_facts(journal: JournalReads, run: int) -> RunFacts:
    """Empty for a run of before they were kept."""
    row = journal.risk_state(_key(run))
    if row is None:
        return RunFacts()
    return RunFacts(parse_utc(row["start"]), tuple(row["notes"]), row["data"])


def _key(run: int) -> str:
    return f"facts_of_run_{run}"
