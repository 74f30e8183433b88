"""Aligned legs: a group's bars are handed on together, at one close time, or not at all.

Pure: no threads, no timers, no exchange. A group is one pair (or one symbol), so that one silent symbol does not
silence the others. ``step_driver`` watches the clock and asks the exchange.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from ccxt_bt_bridge.words import Bar

MOST_WAITING = 1_000

Step = tuple[Bar, ...]


class MissingLeg(StrEnum):
    """What becomes of a step that lacks a leg when its grace is over.

    WAIT: the exchange is asked; what truly does not exist drops the step. Later steps wait until that is known.
    SKIP: the step is dropped, and at once when a later one completes.
    CARRY: the leg's last close stands in, with volume 0 and ``Bar.synthetic``; without one the step is dropped.
    """

    WAIT = "wait"
    SKIP = "skip"
    CARRY = "carry"

    @classmethod
    def _missing_(cls, value: object) -> MissingLeg:
        raise ValueError(f"{value!r} is no policy for a missing leg; use one of {', '.join(cls)}")


@dataclass(frozen=True, slots=True)
class IncompleteStep:
    """A step that lacks the bars of ``missing``. ``is_carried``: it was given out with stand-ins for them."""

    time_ms: int
    missing: tuple[str, ...]
    is_carried: bool = False


class BarAligner:
    """Collects the bars of ``symbols`` and gives out whole steps in ascending time, each at most once.

    A bar at or before the last step given out or dropped is late or a duplicate, and ignored. What was dropped or
    carried is in ``told`` until ``tell`` takes it. More than ``MOST_WAITING`` open steps end the oldest.
    """

    def __init__(
        self, symbols: tuple[str, ...], *, policy: MissingLeg = MissingLeg.SKIP, grace_ms: int = 10_000
    ) -> None:
        self.symbols = symbols
        self.told: list[IncompleteStep] = []
        self._policy, self._grace_ms = policy, grace_ms
        self._known = frozenset(symbols)
        self._last_ms = -1
        self._open: dict[int, dict[str, Bar]] = {}
        self._due_ms: dict[int, int] = {}
        self._closes: dict[str, float] = {}

    def put(self, bar: Bar, now_ms: int = 0) -> list[Step]:
        """The steps that are ready by this bar, their legs in the order of ``symbols``."""
        if bar.symbol not in self._known or bar.time_ms <= self._last_ms:
            return []
        legs = self._open.get(bar.time_ms)
        if legs is None:
            legs = self._open[bar.time_ms] = {}
            self._due_ms[bar.time_ms] = now_ms + self._grace_ms
        legs.setdefault(bar.symbol, bar)
        if len(legs) == len(self.symbols):
            return self.settle_before(bar.time_ms) if self._policy is MissingLeg.SKIP else self._ready()
        return self.settle({min(self._open)}) if len(self._open) > MOST_WAITING else []

    @property
    def due_ms(self) -> int | None:
        """When the grace of the oldest open step ends; None when none is open."""
        return self._due_ms[min(self._open)] if self._open else None

    def overdue(self, now_ms: int) -> list[IncompleteStep]:
        """Steps that lack a leg and whose grace is over, oldest first; none behind one that still has time."""
        late = takewhile(lambda time_ms: self._due_ms[time_ms] <= now_ms, sorted(self._open))
        return [IncompleteStep(time_ms, missing) for time_ms in late if (missing := self._missing(time_ms))]

    def settle(self, times_ms: Collection[int]) -> list[Step]:
        """No more legs will come for these steps: carry them or drop them, in order, and give out what is ready.

        Stops before an older step that is open and not among them.
        """
        ready = self._ready()
        while self._open and (first := min(self._open)) in times_ms:
            self._end(first, self._missing(first))
            ready += self._ready()
        return ready

    def settle_before(self, time_ms: int) -> list[Step]:
        """``settle`` every step that closed before ``time_ms``."""
        return self.settle({open_ms for open_ms in self._open if open_ms < time_ms})

    def tell(self) -> list[IncompleteStep]:
        """What was dropped or carried since the last call."""
        told, self.told = self.told, []
        return told

    def _missing(self, time_ms: int) -> tuple[str, ...]:
        legs = self._open[time_ms]
        return tuple(symbol for symbol in self.symbols if symbol not in legs) if len(legs) < len(self.symbols) else ()

    def _end(self, time_ms: int, missing: tuple[str, ...]) -> None:
        may_carry = self._policy is MissingLeg.CARRY and all(symbol in self._closes for symbol in missing)
        self.told.append(IncompleteStep(time_ms, missing, may_carry))
        if may_carry:
            for symbol in missing:
                close = self._closes[symbol]
                self._open[time_ms][symbol] = Bar(symbol, time_ms, close, close, close, close, 0.0, synthetic=True)
        else:
            self._take(time_ms)

    def _ready(self) -> list[Step]:
        ready: list[Step] = []
        while self._open and len(self._open[first := min(self._open)]) == len(self.symbols):
            legs = self._take(first)
            ready.append(tuple(legs[symbol] for symbol in self.symbols))
        return ready

    def _take(self, time_ms: int) -> dict[str, Bar]:
        legs = self._open.pop(time_ms)
        del self._due_ms[time_ms]
        self._last_ms = max(self._last_ms, time_ms)
        self._closes.update((symbol, bar.close) for symbol, bar in legs.items())
        return legs
