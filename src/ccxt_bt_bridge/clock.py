"""The injected clock. Every timer of the live path reads one of these, never the machine's own time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Milliseconds UTC."""

    def now_ms(self) -> int:
        """The time now."""

    async def sleep_until(self, when_ms: int) -> None:
        """Return once ``now_ms() >= when_ms``; yields to other tasks at least once."""


class LoopClock:
    """A clock on the event loop's own time, which may be real, scaled or virtual.

    ``epoch_ms`` is the time at construction; from there it runs as ``loop_time`` (seconds) does.
    """

    def __init__(self, loop_time: Callable[[], float], epoch_ms: int) -> None:
        self._loop_time = loop_time
        self._epoch_ms = epoch_ms
        self._origin_s = loop_time()

    def now_ms(self) -> int:
        return self._epoch_ms + round((self._loop_time() - self._origin_s) * 1000.0)

    async def sleep_until(self, when_ms: int) -> None:
        # The yield at 0 keeps a market that runs late from starving everyone else on the loop.
        await asyncio.sleep(max(0, when_ms - self.now_ms()) / 1000.0)
        while (left_ms := when_ms - self.now_ms()) > 0:
            await asyncio.sleep(left_ms / 1000.0)
