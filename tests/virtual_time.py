"""An event loop whose time costs nothing: it jumps to the next timer, and a hang is an error."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _JumpingSelector(selectors.SelectSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list:
        if timeout is not None and not self.loop.is_woken and len(self.get_map()) == 1:
            self.loop.now_s += timeout  # no socket but the loop's own to listen to: the system need not be asked
            return []
        self.loop.is_woken = False
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("nothing is ready and no timer is left: the test would hang")
        if not ready:
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s, self.is_woken = 0.0, False
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        # asyncio runs timers due before now + 1 ns. After half a year (2**24 s) a float no longer holds that
        # nanosecond: the sum is now itself, and a timer due now would never run.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self.now_s

    def _write_to_self(self) -> None:
        """Another thread has something to tell."""
        self.is_woken = True
        super()._write_to_self()


def run_virtual(main: Coroutine[Any, Any, Any]) -> Any:
    """``asyncio.run`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
