"""Funding rates on disk: read what is there, add what is new, write the file as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ccxt_bt_bridge.series import FundingSeries
from feeds.bar_files import iso_times, made_folder, replace_csv
from feeds.history import load_funding

HEADER = ("timestamp", "symbol", "funding_rate", "mark_price")


def add_funding(folder: Path, series: FundingSeries) -> int:
    """Add the events that the folder's file of that symbol lacks, and say how many they were.

    An event that is there already stays as it is. Raises ``BarFileError``, and ``HistoryError`` for a damaged file.
    """
    made_folder(folder)
    there = load_funding(folder, series.symbol)
    rows = {} if there is None else _rows(there)
    before = len(rows)
    rows = _rows(series) | rows
    if len(rows) > before:
        lines = [text for _, text in sorted(rows.items())]
        replace_csv(folder / f"{series.symbol}.csv", HEADER, lines)
    return len(rows) - before


def _rows(series: FundingSeries) -> dict[int, str]:
    """One line by the second it is due: an exchange stamps its funding some milliseconds after it."""
    seconds = [(time_ms + 500) // 1000 * 1000 for time_ms in series.time_ms]
    texts = iso_times(np.array(seconds, dtype=np.int64))
    events = zip(seconds, texts, series.rates, series.mark_prices, strict=True)
    return {
        second: f"{text},{series.symbol},{rate:f},{'' if mark is None else f'{mark:f}'}"
        for second, text, rate, mark in events
    }
