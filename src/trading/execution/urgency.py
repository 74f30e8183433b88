"""What cannot wait: an emergency stop, known to all who send orders or wait, and single pairs that must be left now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Urgency:
    """While it is on nothing adds risk, and no leg waits for the other one."""

    def __init__(self) -> None:
        self.is_on = False
        self._hurried: set[str] = set()
        self._sleepers: dict[str, asyncio.Event] = {}

    def begin(self) -> None:
        self.is_on = True
        for sleeper in self._sleepers.values():
            sleeper.set()

    def end(self) -> None:
        self.is_on = False

    def hurry(self, pair_id: str) -> None:
        """Until ``calm``, what is under way for the pair takes no further slice."""
        self._hurried.add(pair_id)
        if pair_id in self._sleepers:
            self._sleepers[pair_id].set()

    def calm(self, pair_id: str) -> None:
        self._hurried.discard(pair_id)

    def has_no_time_for(self, pair_id: str) -> bool:
        return self.is_on or pair_id in self._hurried

    async def pause(self, seconds: float, pair_id: str) -> None:
        """Between slices: ``seconds``, or for as long as the pair has time."""
        await self.sleep(seconds, pair_id, lambda: self.has_no_time_for(pair_id))

    async def sleep(self, seconds: float, pair_id: str, is_over: Callable[[], bool]) -> None:
        """Return after ``seconds``, or when it is over, which is looked at whenever something hurries the pair.

        One thing at a time waits for a pair.
        """
        woken = self._sleepers[pair_id] = asyncio.Event()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not is_over():
                        woken.clear()
                        await woken.wait()
        finally:
            del self._sleepers[pair_id]
