"""The exchange's time: measured, monotonic, and never behind what the exchange itself has said."""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

DRIFT_MS = 500.0  # how far two clocks may come apart between measurements


@dataclass(frozen=True, slots=True)
class TimeSample:
    """One answer of the exchange's clock. ``sent_s`` and ``received_s`` in the loop's seconds."""

    sent_s: float
    received_s: float
    server_ms: int

    @property
    def round_trip_s(self) -> float:
        return self.received_s - self.sent_s

    @property
    def offset_ms(self) -> float:
        """Exchange time less loop time, if both ways took equally long."""
        return self.server_ms - (self.sent_s + self.received_s) * 500.0


class ExchangeClock:
    """A ``Clock``. Between measurements it runs as ``loop_time`` (seconds) does; it is put forward when the exchange is
    seen to have said a later time, but no further from what was measured than drift and the way there explain.

    ``may_skip``: any later time is believed, for an exchange on the desk that skips the idle rest of a bar.
    ``correction_ms``: by how much the last measurement differed from what had been believed; ``round_trip_s``: of the
    quickest of the latest questions, 0 before the first.
    """

    def __init__(self, loop_time: Callable[[], float]) -> None:
        self._loop_time = loop_time
        self._offset_ms = self._measured_ms = 0.0
        self._last_ms = 0
        self._said_ms = 0  # by the exchange, since the last measurement
        self._sleepers: set[asyncio.Event] = set()
        self._is_measured = False
        self._most_ahead_ms = math.inf  # before the first measurement
        self.may_skip = False
        self.correction_ms = 0.0
        self.round_trip_s = 0.0

    def now_ms(self) -> int:
        self._last_ms = max(self._last_ms, self.signing_ms())
        return self._last_ms

    def signing_ms(self) -> int:
        """The best estimate, which a new measurement may take back: what the exchange compares a timestamp with."""
        return int(self._loop_time() * 1000.0 + self._offset_ms)

    def measure(self, samples: Sequence[TimeSample]) -> None:
        """Set by the median of the quickest answers: a slow one says little. ``samples`` must not be empty."""
        quickest_s = min(sample.round_trip_s for sample in samples)
        quick = [s.offset_ms for s in samples if s.round_trip_s <= 1.5 * quickest_s + 0.001]
        offset_ms = statistics.median(quick)
        self.correction_ms = offset_ms - self._offset_ms if self._is_measured else 0.0
        self._offset_ms, self._is_measured, self.round_trip_s = offset_ms, True, quickest_s
        self._measured_ms, self._most_ahead_ms = offset_ms, quickest_s * 1000.0 + DRIFT_MS
        self._said_ms = 0
        self._wake()

    def observe(self, event_ms: int) -> bool:
        """The exchange has said this time. False: it cannot be believed, and changes nothing before a measurement."""
        if event_ms <= self._said_ms:
            return True
        if not self.may_skip and event_ms - self._loop_time() * 1000.0 - self._measured_ms > self._most_ahead_ms:
            return False
        self._said_ms = event_ms
        ahead_ms = event_ms - self.signing_ms()
        if ahead_ms > 0:
            self._offset_ms += ahead_ms
            self._wake()
        return True

    async def sleep_until(self, when_ms: int) -> None:
        await asyncio.sleep(0)
        moved = asyncio.Event()
        self._sleepers.add(moved)
        try:
            while (left_ms := when_ms - self.now_ms()) > 0:
                moved.clear()
                await _either(moved, left_ms / 1000.0)
        finally:
            self._sleepers.discard(moved)

    def _wake(self) -> None:
        for moved in self._sleepers:
            moved.set()


async def _either(moved: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):  # not wait_for: before Python 3.12 it loses a cancellation that comes with the event
        async with asyncio.timeout(seconds):
            await moved.wait()
