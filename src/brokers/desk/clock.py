"""Market time for clients on a wire: real milliseconds, with the idle rest of a bar skipped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ccxt_bt_bridge.clock import Clock

REMEMBERED_S = 70.0  # a little more than the longest window a signed request may ask for


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Time without a jump: it was ``market_ms`` when the loop's clock said ``real_s``."""

    real_s: float
    market_ms: int


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
        self._loop_time, self._hold_at_ms = loop_time, hold_at_ms
        self._stretches = deque([_Stretch(loop_time(), epoch_ms)])

    def now_ms(self) -> int:
        current = self._stretches[-1]
        running = current.market_ms + round((self._loop_time() - current.real_s) * 1000.0)
        return running if self._hold_at_ms is None else min(running, self._hold_at_ms)

    def age_ms(self, sent_ms: int) -> int:
        """How long ago, in real milliseconds, it was ``sent_ms``; negative for the future.

        What was skipped does not count: a request on its way while time jumps is no older for it.
        """
        now_s, ends_s = self._loop_time(), float("inf")
        for stretch in reversed(self._stretches):
            if sent_ms >= stretch.market_ms:
                then_s = min(stretch.real_s + (sent_ms - stretch.market_ms) / 1000.0, ends_s)
                return round((now_s - then_s) * 1000.0)
            ends_s = stretch.real_s
        return round((now_s - ends_s) * 1000.0) + self._stretches[0].market_ms - sent_ms

    def release(self) -> None:
        """Let time run on from where it stands. May be called again."""
        self._jump(self.now_ms())
        self._hold_at_ms = None

    async def sleep_until(self, when_ms: int) -> None:
        await asyncio.sleep(max(0, when_ms - self.now_ms()) / 1000.0 / self.speed)
        if self.now_ms() < when_ms:
            self._jump(when_ms)

    def _jump(self, now_ms: int) -> None:
        now_s = self._loop_time()
        self._stretches.append(_Stretch(now_s, now_ms))
        while self._stretches[1].real_s < now_s - REMEMBERED_S:
            self._stretches.popleft()


def age_of(clock: Clock) -> Callable[[int], int]:
    """``age_ms`` of any clock: one that never jumps needs no memory."""
    return clock.age_ms if isinstance(clock, PacedClock) else lambda sent_ms: clock.now_ms() - sent_ms
