"""Which closed bars are new: each once, ascending per symbol, and where some are missing."""

from __future__ import annotations

import math

from ccxt_bt_bridge.words import Bar


def is_sane(bar: Bar) -> bool:
    """Finite positive prices, with open and close between low and high."""
    # A comparison with NaN is false, and nothing lies above a high that is finite.
    low, high = bar.low, bar.high
    is_ordered = 0.0 < low <= bar.open <= high and low <= bar.close <= high
    return is_ordered and math.isfinite(high) and math.isfinite(bar.volume)


class ClosedBars:
    """The last bar given out of each symbol. Pure. ``length_ms`` of a bar."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._last_ms: dict[str, int] = {}

    def last_ms(self, symbol: str) -> int | None:
        return self._last_ms.get(symbol)

    def begin(self, symbol: str, time_ms: int) -> None:
        """What closed up to then is known already."""
        self._last_ms[symbol] = max(time_ms, self._last_ms.get(symbol, time_ms))

    def leaves_gap(self, bar: Bar) -> bool:
        """Bars before this one have not come."""
        last_ms = self._last_ms.get(bar.symbol)
        return last_ms is not None and bar.time_ms > last_ms + self._length_ms

    def take(self, bar: Bar) -> bool:
        """Whether it is to be given out; from then on it and all before it are old."""
        if bar.time_ms <= self._last_ms.get(bar.symbol, -1):
            return False
        self._last_ms[bar.symbol] = bar.time_ms
        return True
