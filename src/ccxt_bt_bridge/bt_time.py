"""The one conversion between milliseconds and Backtrader's day numbers.

Backtrader compares its times as exact floats, and two formulas that differ in the last bit put one data "ahead" of the
other. Every feed (history, live, replay) therefore goes through ``ms_to_num`` and nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

import numpy as np

EPOCH_DAY = 719163  # datetime(1970, 1, 1).toordinal()
DAY_MS = 86_400_000.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def ms_to_num(ms: int) -> float: ...
@overload
def ms_to_num(ms: np.ndarray) -> np.ndarray: ...
def ms_to_num(ms):
    """Days since year one, as Backtrader counts them. Scalars and int64 arrays give bit-identical floats.

    >>> ms_to_num(0)
    719163.0
    """
    return EPOCH_DAY + ms / DAY_MS


def num_to_ms(num: float) -> int:
    """The exact inverse of ``ms_to_num`` for every whole millisecond."""
    return round((num - EPOCH_DAY) * DAY_MS)


def ms_to_datetime(ms: int) -> datetime:
    """A UTC-aware datetime, exact to the millisecond."""
    return EPOCH + timedelta(milliseconds=ms)


def datetime_to_ms(when: datetime) -> int:
    """Milliseconds since 1970. Raises ``ValueError`` on a naive datetime: its zone would be a guess."""
    if when.tzinfo is None:
        raise ValueError(f"expected a datetime with a time zone, found the naive {when!r}; give it tzinfo=UTC")
    return (when - EPOCH) // timedelta(milliseconds=1)
