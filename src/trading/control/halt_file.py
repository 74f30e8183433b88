"""A file that halts whoever it is for, once each time it appears. On the exchange loop."""

from __future__ import annotations

import asyncio

from trading.control.controls import Controls, Keep

POLL_S = 1.0


class HaltFile:
    """``keep`` runs a task as long as the session lives."""

    def __init__(self, controls: Controls, keep: Keep) -> None:
        self._controls, self._keep = controls, keep
        self._was_there = False

    def look(self) -> list[asyncio.Task[None]]:
        """What was begun because of it."""
        was_there, self._was_there = self._was_there, self._controls.is_flagged
        if was_there or not self._was_there:
            return []
        return [self._keep(self._halt(), "halt file")]

    async def watch(self, every_s: float = POLL_S) -> None:
        """Until cancelled. Seconds of the loop."""
        while True:
            self.look()
            await asyncio.sleep(every_s)

    async def _halt(self) -> None:
        await self._controls.halt("the halt file is there", "file")
