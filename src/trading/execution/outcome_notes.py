"""What became of every intent, in the journal: at once, or as soon as the disk takes something again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ccxt_bt_bridge.words import OrderReport
from trading.journal.errors import JournalUnwritable
from trading.journal.words import Intent, IntentState, WireOutcome
from trading.journal.writer import Journal


@dataclass(frozen=True, slots=True)
class OutcomeNote:
    """``time_ms``: when it was known; ``report``: the order as the exchange last told it."""

    intent: Intent
    text: str
    time_ms: int
    report: OrderReport | None = None


class OutcomeNotes:
    """Every method raises ``JournalUnwritable``. What is owed when the process ends costs the next start a look-up."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._owed: deque[OutcomeNote] = deque()

    def write(self, note: OutcomeNote) -> None:
        self._owed.append(note)
        self.write_owed()

    def write_owed(self) -> None:
        """In the order in which it became known."""
        while self._owed:
            note = self._owed.popleft()
            try:
                self._put(note)
            except JournalUnwritable:
                self._owed.appendleft(note)
                raise

    def write_unsent(self, ref: str, text: str, time_ms: int) -> None:
        """There is no order to note it of: it stands under the reference of the pair's entry."""
        self._journal.record_outcome(WireOutcome(ref, IntentState.NOT_PLACED, text, time_ms))

    def _put(self, note: OutcomeNote) -> None:
        intent, id_ = note.intent, note.intent.client_order_id
        with self._journal.transaction():
            self._journal.update_intent(id_, state=intent.state, filled=intent.filled, average=intent.average)
            self._journal.record_outcome(WireOutcome(id_, intent.state, note.text, note.time_ms))
            if note.report is not None:
                self._journal.record_order(note.report, pair_id=intent.pair_id, ref=intent.ref)
