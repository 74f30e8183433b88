"""Whether an emergency stop is on: known to all who send orders or wait, from the moment it is triggered."""

from __future__ import annotations

import asyncio


class Urgency:
    """While it is on nothing adds risk, and no leg waits for the other one."""

    def __init__(self) -> None:
        self._on = asyncio.Event()

    @property
    def is_on(self) -> bool:
        return self._on.is_set()

    def begin(self) -> None:
        self._on.set()

    def end(self) -> None:
        self._on.clear()

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``, or as soon as it begins: whoever waits has to look anew then."""
        if self.is_on:
            await asyncio.sleep(seconds)
            return
        try:
            await asyncio.wait_for(self._on.wait(), seconds)
        except TimeoutError:
            return
