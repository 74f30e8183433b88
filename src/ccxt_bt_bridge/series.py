"""Whole histories as arrays: bars and funding of one symbol. Frozen values, no I/O.

Times are integer milliseconds UTC; a bar's time is its *close*. Holes are holes: nothing here fills one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from ccxt_bt_bridge.words import Bar

# Lengths that begin with the day in UTC; a week and a month do not, and would be cut wrongly.
INTERVALS = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
}


def interval_ms(interval: str) -> int:
    """Length of a bar: ``"1h"`` → 3600000. Raises ``ValueError`` listing the known ones."""
    if interval not in INTERVALS:
        raise ValueError(f"unknown interval {interval!r}; known: {', '.join(INTERVALS)}")
    return INTERVALS[interval]


@dataclass(frozen=True, slots=True, eq=False)
class BarSeries:
    """Bars of one symbol, strictly ascending by close time; the arrays are of one length and read-only.

    ``symbol`` compact. ``close_only``: open, high and low repeat the close and volume is 0, because the source has
    closes alone. ``notes``: what a reader should be told about the source.
    """

    symbol: str
    interval_ms: int
    time_ms: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    close_only: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for column in self.columns:
            if len(column) != len(self.time_ms):
                raise ValueError(f"{self.symbol}: columns differ in length")
            column.flags.writeable = False

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """time_ms, open, high, low, close, volume."""
        return (self.time_ms, self.open, self.high, self.low, self.close, self.volume)

    def __len__(self) -> int:
        return len(self.time_ms)

    def __iter__(self) -> Iterator[Bar]:
        return (self.bar(index) for index in range(len(self)))

    def bar(self, index: int) -> Bar:
        """One bar in plain Python numbers."""
        time_ms, *prices = (column[index].item() for column in self.columns)
        return Bar(self.symbol, time_ms, *prices)

    def slice(self, start: int, stop: int) -> BarSeries:
        """Bars ``start`` to ``stop`` (exclusive) by position, as views."""
        return self._with(slice(start, stop))

    def take(self, positions: np.ndarray) -> BarSeries:
        """The bars at these positions, as copies."""
        return self._with(positions)

    def _with(self, which: Any) -> BarSeries:
        names = ("time_ms", "open", "high", "low", "close", "volume")
        return replace(self, **{name: column[which] for name, column in zip(names, self.columns, strict=True)})


@dataclass(frozen=True, slots=True)
class FundingSeries:
    """Funding events of one symbol, ascending. ``rates`` as fractions, positive when longs pay."""

    symbol: str
    time_ms: tuple[int, ...]
    rates: tuple[Decimal, ...]
    mark_prices: tuple[Decimal | None, ...]

    def __len__(self) -> int:
        return len(self.time_ms)
