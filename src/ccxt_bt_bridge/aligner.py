"""Aligned legs: a group's bars are handed on together, at one close time, or not at all.

Pure: no threads, no clock, no exchange. A group is one pair (or one symbol), so that one silent symbol does not
silence the others.
"""

from __future__ import annotations

from ccxt_bt_bridge.words import Bar

MOST_WAITING = 1_000


class BarAligner:
    """Collects the bars of ``symbols`` and gives out complete steps in ascending time.

    A bar at or before the last step given out is a duplicate and is dropped. When a later step completes, earlier
    incomplete ones can no longer complete in order: they are dropped and counted in ``dropped``. So is the oldest when
    more than ``MOST_WAITING`` wait for a leg that stays silent.
    """

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self.symbols = symbols
        self.dropped: list[int] = []
        self._last_ms = -1
        self._waiting: dict[int, dict[str, Bar]] = {}

    def put(self, bar: Bar) -> tuple[Bar, ...] | None:
        """The complete step in the order of ``symbols``, or None while a leg is missing."""
        if bar.symbol not in self.symbols or bar.time_ms <= self._last_ms:
            return None
        step = self._waiting.setdefault(bar.time_ms, {})
        step.setdefault(bar.symbol, bar)
        if len(step) < len(self.symbols):
            self._forget_the_oldest()
            return None
        return self._give_out(bar.time_ms)

    def _forget_the_oldest(self) -> None:
        if len(self._waiting) > MOST_WAITING:
            oldest = min(self._waiting)
            del self._waiting[oldest]
            self.dropped.append(oldest)

    def _give_out(self, time_ms: int) -> tuple[Bar, ...]:
        step = self._waiting.pop(time_ms)
        self._last_ms = time_ms
        late = sorted(t for t in self._waiting if t < time_ms)
        self.dropped += late
        for t in late:
            del self._waiting[t]
        return tuple(step[symbol] for symbol in self.symbols)
