"""Waiting before asking again: longer each time, up to a limit."""

from __future__ import annotations

from ccxt_bt_bridge.clock import Clock


class Pause:
    """``first_ms``, then twice as long each time, at most ``longest_ms``."""

    def __init__(self, clock: Clock, *, first_ms: int = 250, longest_ms: int = 10_000) -> None:
        self._clock, self._first_ms, self._longest_ms = clock, first_ms, longest_ms
        self._next_ms = first_ms

    async def sleep(self) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + self._next_ms)
        self._next_ms = min(2 * self._next_ms, self._longest_ms)

    def reset(self) -> None:
        self._next_ms = self._first_ms
