"""What a risk guard remembers, and what it tells when that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

GUARD_KEY = "guard"


class Breaker(Enum):
    """CLOSED trades; REDUCE_ONLY only exits; HALTED sends nothing on its own. The mildest first."""

    CLOSED = "closed"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


@dataclass(slots=True)
class RiskState:
    """What must survive a restart, in JSON values. Times are ISO texts, empty for none.

    ``breaker_until``: when a breaker that cools down ends by itself. ``probe``: after that, the one pair that may try
    ("*": none has yet). ``failures``: times of failed entries in a row, and whether they never reached the venue.
    """

    peak_equity: float = 0.0
    equity: float = 0.0
    day: str = ""
    day_start_equity: float = 0.0
    trades_today: int = 0
    breaker: str = Breaker.CLOSED.value
    breaker_reason: str = ""
    breaker_since: str = ""
    breaker_until: str = ""
    probe: str = ""
    best_profit_pct: dict[str, float] = field(default_factory=dict)
    stops_today: dict[str, int] = field(default_factory=dict)
    quarantine: dict[str, str] = field(default_factory=dict)
    failures: list[tuple[str, bool]] = field(default_factory=list)
    trips: list[tuple[str, str]] = field(default_factory=list)

    def snapshot(self) -> dict[str, Any]:
        """A copy; whatever its tables hold cannot change."""
        return {name: copy(getattr(self, name)) for name in self.__dataclass_fields__}

    @property
    def drawdown_pct(self) -> float:
        """From the highest equity ever marked."""
        peak = self.peak_equity
        return 100.0 * (peak - self.equity) / peak if peak > 0.0 else 0.0

    @property
    def daily_loss(self) -> float:
        """Quote currency lost since the start of the UTC day (0 when ahead)."""
        return max(0.0, self.day_start_equity - self.equity)

    @property
    def daily_loss_pct(self) -> float:
        """Of the equity at the start of the UTC day."""
        start = self.day_start_equity
        return 100.0 * self.daily_loss / start if start > 0.0 else 0.0


def restored(snapshot: Mapping[str, Any]) -> RiskState:
    """The state that ``snapshot`` was taken of, also by way of JSON."""
    known = RiskState(**snapshot)
    known.trips = [(when, reason) for when, reason in known.trips]
    known.failures = [(when, is_lost) for when, is_lost in known.failures]
    return known


def strictest(snapshots: Sequence[Mapping[str, Any]]) -> RiskState:
    """What one guard must remember, by what several journals know of it: nothing gets milder.

    Each may be older than the others, and of other accounts beside its own: the highest equity counts, which makes the
    losses largest. What is counted by day is of the latest one.
    """
    known = [restored(snapshot) for snapshot in snapshots]
    day = max(state.day for state in known)
    today = [state for state in known if state.day == day]
    severest = max(known, key=_severity)
    return replace(
        severest,
        peak_equity=max(state.peak_equity for state in known),
        equity=max(state.equity for state in known),
        day=day,
        day_start_equity=max(state.day_start_equity for state in known),
        trades_today=max(state.trades_today for state in today),
        best_profit_pct=_largest(state.best_profit_pct for state in known),
        stops_today=_largest(state.stops_today for state in today),
        quarantine=_largest(state.quarantine for state in known),
        failures=sorted({failure for state in known for failure in state.failures}),
        trips=sorted({trip for state in known for trip in state.trips}),
    )


def _severity(state: RiskState) -> tuple[object, ...]:
    """Closed, it is severer where one pair may try first, and more so where a certain one does already."""
    latches = not state.breaker_until
    return list(Breaker).index(Breaker(state.breaker)), latches, state.breaker_until, bool(state.probe), state.probe


def _largest(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The largest value of each name."""
    largest: dict[str, Any] = {}
    for table in tables:
        largest |= {name: max(value, largest.get(name, value)) for name, value in table.items()}
    return largest


@dataclass(frozen=True, slots=True)
class BreakerTripped:
    """``until``: when it ends by itself; None: when a person re-arms it."""

    time: datetime
    breaker: Breaker
    reason: str
    until: datetime | None = None

    def __str__(self) -> str:
        end = f"until {self.until:%Y-%m-%d %H:%M}" if self.until else "until a person re-arms it"
        return f"the breaker is {self.breaker.value} ({self.reason}) {end}"


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Entries are refused for this reason; ``pair_id`` None: all of them."""

    time: datetime
    reason: str
    pair_id: str | None = None

    def __str__(self) -> str:
        return f"{self.reason} is reached: no more entries{f' of {self.pair_id}' if self.pair_id else ''}"


@dataclass(frozen=True, slots=True)
class PairQuarantined:
    """A pair was stopped too often within a day and takes no entries until then."""

    time: datetime
    pair_id: str
    stops: int
    until: datetime

    def __str__(self) -> str:
        return f"no more entries of {self.pair_id} until {self.until:%Y-%m-%d %H:%M}: stops today {self.stops}"


RiskNotice = BreakerTripped | LimitReached | PairQuarantined
RiskListener = Callable[[RiskNotice], None]
