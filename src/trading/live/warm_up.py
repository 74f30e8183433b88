"""Whether a pair has the history that its strategy wants to see first: one rule for preflight and run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.words import Bar

ENOUGH = 0.9  # holes take some bars


@dataclass(frozen=True, slots=True)
class WarmUp:
    """``found`` of the ``wanted`` bars (``data.lookback_bars``) of a pair; ``last_ms``: close of the newest of them."""

    pair_id: str
    wanted: int
    found: int
    interval_ms: int
    last_ms: int | None

    @property
    def is_enough(self) -> bool:
        return self.found >= self.wanted * ENOUGH

    @property
    def problem(self) -> str:
        missing = self.wanted - self.found
        return (
            f"{self.pair_id} has {self.found} of the {self.wanted} bars that data.lookback_bars wants, "
            f"{missing} are missing: it is ready {self._when(missing)}"
        )

    @property
    def remedy(self) -> str:
        if not self.found:
            return "wait until then, or take the pair out"
        return f"wait until then, lower data.lookback_bars to {self.found} or less, or take the pair out"

    def _when(self, missing: int) -> str:
        if self.last_ms is None:
            return f"after {missing} bars"
        return f"at {ms_to_datetime(self.last_ms + missing * self.interval_ms):%Y-%m-%d %H:%M} UTC"


def shared_closes(legs: Sequence[Sequence[Bar]], *, carries: bool) -> list[int]:
    """Close times (ms) at which a pair has a step: those of every leg, or of any from the time all have begun."""
    if not all(legs):
        return []
    begin_ms = max(leg[0].time_ms for leg in legs)
    times = [{bar.time_ms for bar in leg if bar.time_ms >= begin_ms} for leg in legs]
    return sorted(set.union(*times) if carries else set.intersection(*times))
