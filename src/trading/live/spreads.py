"""z and spread of each pair between two bars, written into the journal for whoever looks on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from trading.journal.errors import JournalError
from trading.journal.writer import Journal

LIVE_KEY = "live_spreads"
WRITE_EVERY_S = 2.0  # of wall time

log = logging.getLogger(__name__)

Spreads = Mapping[str, Mapping[str, Any]]


class LiveSpreads:
    """Pair → ``time``, ``z``, ``spread``, in a commit of their own. ``every_s``: of the loop's time.

    Nobody trades by what is written here: what the disk refuses is logged, and the next look writes anew.
    """

    def __init__(self, journal: Journal, now: Callable[[], Spreads], *, every_s: float) -> None:
        self._journal, self._now, self._every_s = journal, now, every_s
        self._written: Spreads = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            self.write()

    def write(self) -> None:
        """Nothing where nothing has moved."""
        now = self._now()
        if now == self._written:
            return
        try:
            self._journal.save_risk_state(LIVE_KEY, now)
            self._written = now
        except JournalError as error:
            log.warning("live_spreads_unwritten error=%s", error)
