"""What cannot wait: an emergency stop, known to all who send orders or wait, and single pairs that must be left now."""

from __future__ import annotations

import asyncio


class Urgency:
    """While it is on nothing adds risk, and no leg waits for the other one."""

    def __init__(self) -> None:
        self._on = asyncio.Event()
        self._hurried: set[str] = set()

    @property
    def is_on(self) -> bool:
        return self._on.is_set()

    def begin(self) -> None:
        self._on.set()

    def end(self) -> None:
        self._on.clear()

    def hurry(self, pair_id: str) -> None:
        """Until ``calm``, what is under way for the pair takes no further slice."""
        self._hurried.add(pair_id)

    def calm(self, pair_id: str) -> None:
        self._hurried.discard(pair_id)

    def has_no_time_for(self, pair_id: str) -> bool:
        return self.is_on or pair_id in self._hurried

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``, or as soon as it begins: whoever waits has to look anew then."""
        if self.is_on:
            await asyncio.sleep(seconds)
            return
        try:
            await asyncio.wait_for(self._on.wait(), seconds)
        except TimeoutError:
            return
