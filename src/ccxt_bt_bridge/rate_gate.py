"""Silence while the exchange wants it: 429 and 418 stop every request of this machine, reads and orders alike."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import RateBanned

log = logging.getLogger(__name__)

BANNING = {429: 60.0, 418: 120.0}  # status → seconds when the exchange does not say how long
USED = "x-mbx-used-weight-1m"
MINUTE_MS = 60_000
_UNTIL = re.compile(r"banned until (\d{13})")


class RateGate:
    """Shared by all clients of a session: the exchange counts by address. ``loop_time`` in seconds."""

    def __init__(self, loop_time: Callable[[], float], clock: Clock) -> None:
        self._loop_time, self._clock = loop_time, clock
        self._until_s = float("-inf")
        self._weight, self._weight_minute = 0, 0

    @property
    def left_s(self) -> float:
        """Seconds until the exchange listens again; not above 0 when it does."""
        return self._until_s - self._loop_time()

    @property
    def weight_used(self) -> int:
        """Request weight of this minute of the exchange's, by what it said last; 0 when that was in an earlier one."""
        return self._weight if self._weight_minute == self._clock.now_ms() // MINUTE_MS else 0

    def check(self) -> None:
        """Raises ``RateBanned`` while a ban lasts."""
        left_s = self.left_s
        if left_s > 0:
            until_ms = self._clock.now_ms() + round(left_s * 1000)
            raise RateBanned(f"the exchange wants silence for {left_s:.0f} s more (too many requests)", until_ms)

    def hear(self, status: int, headers: Mapping[str, str], body: str) -> None:
        """Every answer passes here."""
        used = next((value for name, value in headers.items() if name.lower() == USED), "")
        if str(used).isdigit():
            self._weight, self._weight_minute = int(used), self._clock.now_ms() // MINUTE_MS
        if status in BANNING:
            wait_s = self._wait_s(status, headers, body)
            self._until_s = max(self._until_s, self._loop_time() + wait_s)
            log.warning("rate_banned status=%d seconds=%.0f", status, wait_s)

    def _wait_s(self, status: int, headers: Mapping[str, str], body: str) -> float:
        given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
        named = _UNTIL.search(body)
        if given.isdigit():
            return float(given)
        if named:
            return max(0.0, (int(named[1]) - self._clock.now_ms()) / 1000)
        return BANNING[status]
