"""Reading Backtrader lines without surprises, and the indicators that several rules share."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt
import numpy as np


def latest(line: Any) -> float:
    """The line's value at this bar, NaN when it has none yet."""
    return float(line[0]) if len(line) > 0 else math.nan


def tail(line: Any, bars: int) -> np.ndarray:
    """The line's last ``bars`` values up to this bar, oldest first; fewer when there are not so many yet.

    Clipped by hand: with preloaded data an index before the first bar would wrap round and read the future.
    """
    size = max(0, min(bars, len(line)))
    return np.asarray(line.get(ago=0, size=size) if size else [], dtype=float)


def all_known(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)


def rsi(data: Any, period: int) -> Any:
    """Wilder's RSI: 100 without a fall in the window, 50 without any move (Backtrader's default would divide by 0)."""
    return bt.ind.RSI(data, period=period, safediv=True)


def bollinger(data: Any, period: int, deviations: float) -> Any:
    """Lines ``bot``, ``mid`` and ``top``: mean and mean ∓ ``deviations`` * σ of the close, σ with ddof 0."""
    return bt.ind.BollingerBands(data, period=period, devfactor=deviations)
