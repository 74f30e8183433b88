"""The ground a chart stands on: how values and times become places, which ones are labelled, how many are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
Values = NDArray[np.float64]

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1000.0, 64.0, 16.0, 10.0, 24.0
BUCKETS = 900
MAJOR_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_EVERY = (_HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY)
_EVERY_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)
MOST_TIMES = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle of the drawing with the times (seconds) and values that its sides mean."""

    first: float
    last: float
    low: float
    high: float
    height: float

    @property
    def bottom(self) -> float:
        return self.height - BOTTOM

    def x(self, seconds: float) -> float:
        span = self.last - self.first
        return LEFT + (WIDTH - LEFT - RIGHT) * ((seconds - self.first) / span if span > 0.0 else 0.5)

    def y(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span > 0.0 else 0.5
        return self.bottom - (self.bottom - TOP) * min(max(share, 0.0), 1.0)


def framed(times: Times, values: Sequence[float], height: float, *, margin: float = 0.06) -> Frame:
    """A frame that holds every value, with some air."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    air = (high - low) * margin or abs(high) * margin or 1.0
    first, last = (float(times[0]), float(times[-1])) if len(times) else (0.0, 1.0)
    return Frame(first, last, low - air, high + air, height)


def thinned(times: Times, values: Values, buckets: int = BUCKETS) -> tuple[Times, Values]:
    """The same line with four points a bucket at most, extremes kept: no eye can tell them apart."""
    known = np.isfinite(values)
    times, values = times[known], values[known]
    if len(times) <= 4 * buckets:
        return times, values
    kept: set[int] = set()
    for part in np.array_split(np.arange(len(times)), buckets):
        first, last = int(part[0]), int(part[-1])
        kept |= {first, first + int(values[part].argmin()), first + int(values[part].argmax()), last}
    index = np.array(sorted(kept))
    return times[index], values[index]


def value_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between both."""
    span = high - low
    if not (math.isfinite(span) and span > 0.0):
        return [low]
    raw = span / most
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(scale * one for one in MAJOR_STEPS if scale * one >= raw)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def time_ticks(first: float, last: float) -> list[tuple[float, str]]:
    """Round moments in UTC between both, with their labels."""
    start, end = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    for every in _EVERY:
        if (end - start) / every <= MOST_TIMES:
            form = "%d %b" if every >= _DAY else "%d %b %H:%M"
            return [(when.timestamp(), f"{when:{form}}") for when in _regular(start, end, every)]
    count = (end.year - start.year) * 12 + end.month - start.month
    every_months = next((one for one in _EVERY_MONTHS if count / one <= MOST_TIMES), _EVERY_MONTHS[-1])
    form = "%Y" if every_months >= 12 else "%b %Y"
    return [(when.timestamp(), f"{when:{form}}") for when in _months(start, end, every_months)]


def _regular(start: datetime, end: datetime, every: timedelta) -> Iterator[datetime]:
    epoch = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday
    when = epoch + math.ceil((start - epoch) / every) * every
    while when <= end:
        yield when
        when += every


def _months(start: datetime, end: datetime, every: int) -> Iterator[datetime]:
    number = start.year * 12 + start.month - 1
    number += -number % every
    while (when := datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)) <= end:
        if when >= start:
            yield when
        number += every
