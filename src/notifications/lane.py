"""What waits for one channel: critical first, repeats folded, a bound for the rest, and when to try again.

Times are seconds of a clock that only goes forward, except a notice's age, which the wall's time tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from notifications.outbox import Waiting
from notifications.words import Delivered, Delivery, Failed, Kind, Notice, Refused, TryLater, Undeliverable

MOST_WAITING = 500
GAP_S = 1.0
FOLD_S = 60.0
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0
REST_S = 6 * 3600.0
FIRST_KNOCK_S = 60.0  # what is critical knocks at a channel that rests, and comes again when it was refused itself
LONGEST_KNOCK_S = 900.0
MOST_FAILURES = 3  # of one notice: then others go before it
LONGEST_WISH_S = 86_400.0  # more than that nobody asks for in earnest
TOO_OLD_S = 86_400.0


class Sound(Enum):
    """How a channel tells a kind of notice."""

    ON = "on"
    SILENT = "silent"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Added:
    """``kept`` waits now; ``gone`` were folded into it, or dropped for it."""

    kept: Waiting
    gone: tuple[Waiting, ...] = ()


class Lane:
    """``sounds``: a kind without one is off. A channel is given one notice at a time."""

    def __init__(self, name: str, sounds: Mapping[Kind, Sound], *, bound: int = MOST_WAITING) -> None:
        self.name = name
        self._sounds, self._bound = sounds, bound
        self._critical: dict[str, Waiting] = {}
        self._others: dict[str, Waiting] = {}
        self._flying: Waiting | None = None
        self._quiet: dict[str, float] = {}
        self._aside: dict[str, float] = {}
        self._failed: dict[str, int] = {}
        self._refused: set[str] = set()
        self._not_before = self._rests_until = 0.0
        self._failures = self._refusals = 0
        self._dropped = self._expired = 0
        self._lost_in_flight = (0, 0)

    def __len__(self) -> int:
        return len(self._critical) + len(self._others)

    @property
    def failures(self) -> int:
        """Attempts in a row that did not arrive."""
        return self._failures

    @property
    def is_busy(self) -> bool:
        return self._flying is not None

    @property
    def flying(self) -> Waiting | None:
        """What the channel has now."""
        return self._flying

    def is_resting(self, now: float) -> bool:
        """Refused for good a while ago: only what is critical is tried."""
        return now < self._rests_until

    def waiting_of(self, notice: Notice, since: float) -> Waiting | None:
        """``notice`` as this channel would tell it, None where it is off."""
        sound = self._sounds.get(notice.kind, Sound.OFF)
        return None if sound is Sound.OFF else Waiting(self.name, notice, since, is_silent=sound is Sound.SILENT)

    def add(self, waiting: Waiting) -> Added:
        pool, slot = self._pool(waiting), _slot(waiting)
        known = pool.get(slot)
        if known is not None:
            pool[slot] = folded(known, waiting)
            return Added(pool[slot], (known,))
        pool[slot] = waiting
        if len(self._others) <= self._bound:
            return Added(waiting)
        oldest = self._others.pop(next(iter(self._others)))
        self._forget(_slot(oldest))
        self._dropped += oldest.repeats
        return Added(waiting, (oldest,))

    def note_dropped(self, count: int) -> None:
        """So many facts never came this far."""
        self._dropped += count

    def due(self, now: float, wall: float, *, hurry: bool = False) -> tuple[Waiting | None, tuple[Waiting, ...]]:
        """What is to be sent now, if anything, and what became too old to be sent. ``hurry``: repeats do not wait."""
        old: list[Waiting] = []
        if self.is_busy or now < self._not_before:
            return None, ()
        for pool in (self._critical, self._others):
            for slot in [slot for slot in pool if now >= self._ready_at(slot, hurry=hurry)]:
                waiting = pool.pop(slot)
                if wall - waiting.since > TOO_OLD_S and (pool is self._others or slot in self._refused):
                    self._forget(slot)
                    self._expired += waiting.repeats
                    old.append(waiting)
                    continue
                self._flying = waiting
                return waiting, tuple(old)
        if not self.is_resting(now):
            self._flying = self._losses(wall)
        return self._flying, tuple(old)

    def settle(self, delivery: Delivery, now: float) -> Waiting | None:
        """What became of the one that was sent; returns it when nothing of it waits any more."""
        flying, self._flying = self._flying, None
        assert flying is not None
        match delivery:
            case Delivered():
                return self._arrived(flying, now)
            case TryLater(after_s=after_s):
                self._not_before = now + self._pause(after_s)
                return self._put_back(flying)
            case Failed():
                self._not_before = now + self._pause(None)
                self._step_aside(flying, now)
                return self._put_back(flying)
            case Refused():
                return self._give_up(flying, now)
            case Undeliverable():
                self._rest(now)
                return self._put_back(flying)

    def next_s(self, now: float, *, hurry: bool = False) -> float | None:
        """Seconds until something may be due; None while nothing waits or an answer is awaited."""
        if self.is_busy or not (len(self) or self._dropped or self._expired):
            return None
        times = [self._ready_at(slot, hurry=hurry) for pool in (self._critical, self._others) for slot in pool]
        if self._dropped or self._expired:
            times.append(self._rests_until)
        return max(min(times) - now, self._not_before - now, 0.0)

    def _ready_at(self, slot: str, *, hurry: bool) -> float:
        quiet = 0.0 if hurry else self._quiet.get(slot, 0.0)
        return max(quiet, self._aside.get(slot, 0.0), 0.0 if slot in self._critical else self._rests_until)

    def _arrived(self, flying: Waiting, now: float) -> Waiting:
        self._take_as_well(now)
        self._lost_in_flight = (0, 0)
        self._forget(_slot(flying))
        self._quiet = {slot: until for slot, until in self._quiet.items() if until > now}
        if flying.notice.fold:
            self._quiet[_slot(flying)] = now + FOLD_S
        return flying

    def _pause(self, after_s: float | None) -> float:
        self._failures += 1
        if after_s is not None:
            return min(max(after_s, GAP_S), LONGEST_WISH_S)
        return min(FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 20), LONGEST_PAUSE_S)

    def _put_back(self, flying: Waiting) -> Waiting | None:
        """To where it was: before those that came later."""
        if any(self._lost_in_flight):
            self._dropped += self._lost_in_flight[0]
            self._expired += self._lost_in_flight[1]
            self._lost_in_flight = (0, 0)
            return flying
        pool, slot = self._pool(flying), _slot(flying)
        newer = pool.pop(slot, None)
        rest = dict(pool)
        pool.clear()
        pool[slot] = flying if newer is None else folded(flying, newer)
        pool.update(rest)
        return flying if newer is not None else None

    def _take_as_well(self, now: float) -> None:
        """The channel answers, and takes notices."""
        self._failures = self._refusals = 0
        self._not_before, self._rests_until = now + GAP_S, 0.0

    def _rest(self, now: float) -> None:
        if not self.is_resting(now):
            self._rests_until = now + REST_S
        self._not_before = now + _knock(self._refusals)
        self._refusals += 1

    def _step_aside(self, flying: Waiting, now: float) -> None:
        """What fails again and again must not keep everything after it from being told."""
        slot = _slot(flying)
        self._failed[slot] = self._failed.get(slot, 0) + 1
        if self._failed[slot] >= MOST_FAILURES:
            self._aside[slot] = now + _knock(self._failed[slot] - MOST_FAILURES)

    def _give_up(self, flying: Waiting, now: float) -> Waiting | None:
        """What is critical comes again, for a day; what says how many were lost is of no use when it is refused."""
        self._take_as_well(now)
        if any(self._lost_in_flight):
            self._lost_in_flight = (0, 0)
            return flying
        slot = _slot(flying)
        if not flying.notice.is_critical:
            self._forget(slot)
            self._dropped += flying.repeats
            return flying
        self._refused.add(slot)
        self._aside[slot] = now + LONGEST_KNOCK_S
        return self._put_back(flying)

    def _forget(self, slot: str) -> None:
        self._aside.pop(slot, None)
        self._failed.pop(slot, None)
        self._refused.discard(slot)

    def _losses(self, wall: float) -> Waiting | None:
        """One line for everything that was not told."""
        if not (self._dropped or self._expired):
            return None
        parts = []
        if self._dropped:
            parts.append(f"{self._dropped} dropped, because too many came at once or were refused")
        if self._expired:
            parts.append(f"{self._expired} not sent, because they were older than a day")
        self._lost_in_flight = (self._dropped, self._expired)
        title = f"Notices that you did not get: {'; '.join(parts)}"
        self._dropped = self._expired = 0
        when = datetime.fromtimestamp(wall, UTC)
        return Waiting(self.name, Notice(f"lost:{when.isoformat()}", Kind.HEALTH, when, title), wall)

    def _pool(self, waiting: Waiting) -> dict[str, Waiting]:
        return self._critical if waiting.notice.is_critical else self._others


def folded(older: Waiting, newer: Waiting) -> Waiting:
    """The newer one, for both: it waits since the older came, and is silent only if both were."""
    is_silent = older.is_silent and newer.is_silent
    return replace(newer, since=older.since, repeats=older.repeats + newer.repeats, is_silent=is_silent)


def _knock(times: int) -> float:
    """1, 2, 4, 8, 15, 15 … minutes."""
    return min(FIRST_KNOCK_S * 2.0 ** min(times, 20), LONGEST_KNOCK_S)


def _slot(waiting: Waiting) -> str:
    """What repeats what. Something critical is never held back for the sake of what is not."""
    notice = waiting.notice
    name = f"fold:{notice.fold}" if notice.fold else f"key:{notice.key}"
    return f"critical:{name}" if notice.is_critical else name
