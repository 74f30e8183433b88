"""What the published examples share: closes from disk, and the book-keeping of E. Chan's example strategies.

The strategies are plain numpy and know nothing of Tandem; the figures they print are made of Tandem's estimators.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

from pairs.hedge import hedge_series
from pairs.words import HedgeSpec


def closes(folder: Path, symbol: str, *, column: str = "close") -> np.ndarray:
    return np.array(list(dated_closes(folder, symbol, column=column).values()))


def dated_closes(folder: Path, symbol: str, *, column: str = "close") -> dict[str, float]:
    with gzip.open(folder / f"{symbol}.csv.gz", "rt", newline="") as lines:
        return {row["date"]: float(row[column]) for row in csv.DictReader(lines)}


def daily_return(positions: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Profit of yesterday's positions (days, legs; quote currency) ÷ their gross; 0 on days without a position."""
    held, before = positions[:-1], prices[:-1]
    gross = np.abs(held).sum(axis=1)
    profit = (held * (prices[1:] - before) / before).sum(axis=1)
    trading = gross > 0.0
    return np.append(0.0, np.where(trading, profit / np.where(trading, gross, 1.0), 0.0))


def bands(long_entry: np.ndarray, long_exit: np.ndarray, short_entry: np.ndarray, short_exit: np.ndarray) -> np.ndarray:
    """Units in {-1, 0, 1}; an entry persists until the exit of its own side."""
    return _side(long_entry, long_exit) - _side(short_entry, short_exit)


def _side(entry: np.ndarray, leave: np.ndarray) -> np.ndarray:
    units, held = np.zeros(len(entry)), 0.0
    for day in range(len(entry)):
        held = 0.0 if leave[day] else 1.0 if entry[day] else held
        units[day] = held
    return units


def hedges(spec: HedgeSpec, y, x, *, first_bar: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """``hedge_series`` with bars numbered from ``first_bar`` on: ratios and intercepts."""
    found = hedge_series(spec, y, x, first_bar + np.arange(len(y)))
    return found.ratios, found.intercepts
