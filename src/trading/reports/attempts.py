"""Which entry a person means: trades, open pairs, unwound and refused entries alike, found in a journal.

NoSuchTrade    the journal has none of that name: stop and say which there are
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pairs.words import PairState
from trading.journal.reads import JournalReads
from trading.journal.words import restored_position
from trading.records import TradeRecord
from trading.utc_text import parse_utc

LAST = "last"
SHOWN = 8


class NoSuchTrade(Exception):
    """Nothing in the run answers to what was asked for; the message says what would."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One decision to enter a pair. ``number``: of its closed trade in the run, from 1 on; None when it made none."""

    pair_id: str
    time: datetime
    number: int | None
    trade: TradeRecord | None

    def __str__(self) -> str:
        name = f"{self.pair_id}@{self.time.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
        return name if self.number is None else f"{self.number} ({name})"


def attempts(journal: JournalReads, run: int) -> tuple[Attempt, ...]:
    """Every one of a run, in order of time."""
    trades = journal.trades(run)
    closed = {(trade.pair_id, trade.entry_time): (at, trade) for at, trade in enumerate(trades, 1)}
    known = {*closed, *((refusal.pair_id, refusal.time) for refusal in journal.refusals(run))}
    known |= {(decision.pair_id, decision.time) for decision in journal.entry_decisions(run)}
    known |= _open_now(journal, run)
    rows = sorted(known, key=lambda one: (one[1], one[0]))
    return tuple(Attempt(pair_id, time, *closed.get((pair_id, time), (None, None))) for pair_id, time in rows)


def find_attempt(found: Sequence[Attempt], wanted: str) -> Attempt:
    """``wanted``: a trade's number, ``last``, a pair for its last one, or ``PAIR@TIME``. Raises NoSuchTrade.

    ``last`` is the last that traded, if any did; a time is that of the decision, to the minute.
    """
    if not found:
        raise NoSuchTrade("this run has decided on no entry yet: there is nothing to explain")
    traded = [attempt for attempt in found if attempt.trade is not None] or found
    pair_id, _, time = wanted.partition("@")
    if wanted == LAST:
        return traded[-1]
    if wanted.isdecimal():
        matches = [attempt for attempt in found if attempt.number == int(wanted)]
    elif time:
        when = _minute(time)
        matches = [one for one in found if one.pair_id == pair_id and _is_in(one.time, when)]
    else:
        matches = [one for one in traded if one.pair_id == wanted] or [one for one in found if one.pair_id == wanted]
    if not matches:
        raise NoSuchTrade(_which_there_are(found, wanted))
    return matches[-1]


def is_newest(journal: JournalReads, run: int) -> bool:
    """What the journal knows of positions is of its newest run."""
    return run == journal.runs()[-1].number


def _open_now(journal: JournalReads, run: int) -> set[tuple[str, datetime]]:
    if not is_newest(journal, run):
        return set()
    held = [stored for stored in journal.positions().values() if stored.state is not PairState.FLAT]
    return {(stored.pair_id, restored_position(stored).entry_time) for stored in held}


def _minute(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise NoSuchTrade(f"{text!r} is no time; wanted one such as 2024-01-31T08:00Z") from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else parse_utc(text)


def _is_in(time: datetime, minute: datetime) -> bool:
    return minute <= time < minute + timedelta(minutes=1)


def _which_there_are(found: Sequence[Attempt], wanted: str) -> str:
    closed = sum(attempt.number is not None for attempt in found)
    known = sorted({attempt.pair_id for attempt in found})
    numbers = f"trades 1 to {closed}" if closed else "no closed trade"
    newest = ", ".join(str(attempt) for attempt in found[-SHOWN:])
    return f"there is no trade {wanted}: this run has {numbers} of {', '.join(known)}; the newest: {newest}"
