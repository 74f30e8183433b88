"""Keeps what was decided on every bar: in the journal for "why", and the last of each pair for the status line."""

from __future__ import annotations

import math
from datetime import datetime

from strategies.desk import Desk
from trading.journal.writer import Journal
from trading.records import Decision, RefusalRecord


class LiveRecorder:
    """The strategy's recorder of a live run. Called on Backtrader's thread; the journal's rows are buffered."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.zscores: dict[str, float] = {}

    def decision(self, desk: Desk, time: datetime, rule: str, answer: str, reason: str) -> None:
        pair_id = desk.pair.pair_id
        zscore = desk.frozen_zscore if desk.position is not None else desk.zscore
        self.zscores[pair_id] = zscore
        statistics = desk.statistics
        self._journal.record_decision(
            Decision(
                time=time,
                pair_id=pair_id,
                spread=_known(desk.spread),
                zscore=_known(zscore),
                hedge_ratio=_known(statistics.hedge_ratio) if statistics else None,
                rule=rule,
                answer=answer,
                reason=reason,
            )
        )

    def refusal(self, time: datetime, pair_id: str, reasons: tuple[str, ...]) -> None:
        self._journal.record_refusal(RefusalRecord(time, pair_id, reasons))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
