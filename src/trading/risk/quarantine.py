"""Pairs that were stopped too often within a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time

from trading.risk.limits import RiskLimits
from trading.risk.state import PairQuarantined, RiskNotice, RiskState
from trading.risk.stops import STOP_REASONS


class Quarantine:
    """A view of ``state``, which it changes; ``tell`` hears of every pair that is put in."""

    def __init__(self, limits: RiskLimits, state: RiskState, tell: Callable[[RiskNotice], None]) -> None:
        self._limits, self._state, self._tell = limits, state, tell

    def pair_left(self, pair_id: str, reason: str, time: datetime) -> None:
        """``time``: when the exit was decided."""
        most = self._limits.max_stops_per_pair
        if most is None or reason not in STOP_REASONS:
            return
        stops = self._state.stops_today.get(pair_id, 0) + 1
        self._state.stops_today[pair_id] = stops
        if stops >= most:
            until = self._end(time)
            self._state.quarantine[pair_id] = until.isoformat()
            self._tell(PairQuarantined(time, pair_id, stops, until))

    def holds(self, pair_id: str, time: datetime) -> bool:
        until = self._state.quarantine.get(pair_id)
        return until is not None and time < datetime.fromisoformat(until)

    def pass_day(self, time: datetime) -> None:
        """A new UTC day: stops are counted from zero, and who has served is forgotten."""
        self._state.stops_today.clear()
        for pair_id in [pair_id for pair_id in self._state.quarantine if not self.holds(pair_id, time)]:
            del self._state.quarantine[pair_id]

    def _end(self, time: datetime) -> datetime:
        if self._limits.quarantine_hours is not None:
            return time + timedelta(hours=self._limits.quarantine_hours)
        return datetime.combine(time.astimezone(UTC).date() + timedelta(days=1), clock_time(), UTC)
