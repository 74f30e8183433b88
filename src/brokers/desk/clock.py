"""Market time for clients on a wire: real milliseconds, with the idle rest of a bar skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class PacedClock:
    """A ``Clock`` that runs in real milliseconds; whoever sleeps for a gap waits ``gap / speed``, then time jumps.

    Only the market's walk may sleep on it: latencies and time-outs take the loop's own time, so that they are real at
    any speed. ``hold_at_ms``: time stands there until ``release``, for a market that waits for its first client.
    """

    def __init__(
        self, loop_time: Callable[[], float], epoch_ms: int, *, speed: float = 1.0, hold_at_ms: int | None = None
    ) -> None:
        if speed < 1.0:
            raise ValueError(f"speed is {speed}; expected 1 (real time) or more")
        self.speed = speed
        self._loop_time, self._origin_s, self._epoch_ms = loop_time, loop_time(), epoch_ms
        self._hold_at_ms = hold_at_ms

    def now_ms(self) -> int:
        running = self._epoch_ms + round((self._loop_time() - self._origin_s) * 1000.0)
        return running if self._hold_at_ms is None else min(running, self._hold_at_ms)

    def release(self) -> None:
        """Let time run on from where it stands. May be called again."""
        self._set(self.now_ms())
        self._hold_at_ms = None

    async def sleep_until(self, when_ms: int) -> None:
        await asyncio.sleep(max(0, when_ms - self.now_ms()) / 1000.0 / self.speed)
        if self.now_ms() < when_ms:
            self._set(when_ms)

    def _set(self, now_ms: int) -> None:
        self._epoch_ms, self._origin_s = now_ms, self._loop_time()
