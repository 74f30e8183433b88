"""Bars and funding from files: one file per symbol, ``BTCUSDT.csv``, ``.csv.gz`` or ``.parquet``.

HistoryError    the files cannot serve the run as they are: stop, say what was found and what to do

A file's ``timestamp`` is the bar's *open*; here and everywhere inside, a bar's time is its *close*, so loading adds the
interval. Holes stay holes. Nothing is filled, sorted or repaired: a file that would need it is refused.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from ccxt_bt_bridge.bt_time import datetime_to_ms, ms_to_datetime
from ccxt_bt_bridge.series import INTERVALS, BarSeries, FundingSeries, interval_ms
from feeds.tables import SUFFIXES, HistoryError, Table, read_table
from pairs.symbols import compact_symbol

__all__ = [
    "BarSeries",
    "FundingSeries",
    "HistoryError",
    "align",
    "interval_ms",
    "load_bars",
    "load_closes",
    "load_funding",
    "symbols_in",
]

PRICES = ("open", "high", "low", "close")
SECOND_MS = 1000


def load_bars(
    folder: Path, symbol: str, interval: str, *, start: datetime | None = None, end: datetime | None = None
) -> BarSeries:
    """The bars of ``symbol`` (any notation) whose close lies in ``[start, end]``, both UTC-aware and inclusive.

    Raises ``HistoryError`` when the file is missing, damaged, out of order, of another interval, or holds no such bar.
    """
    step_ms = _known_interval(interval)
    path = _find(Path(folder), symbol)
    series = _bars(read_table(path), compact_symbol(symbol), step_ms)
    return _between(series, path, start=start, end=end)


def load_closes(folder: Path, symbol: str, interval: str) -> BarSeries:
    """Closes and volume alone, whatever the other columns hold; a close that is no positive number is NaN and stays.

    For looking at many symbols at once, where one with odd prices is left out and the others are not. Raises
    ``HistoryError`` when the file is missing, damaged, out of order or of another interval.
    """
    step_ms = _known_interval(interval)
    table = read_table(_find(Path(folder), symbol))
    open_ms = _open_ms(table)
    _refuse_disorder(table, open_ms)
    _refuse_other_interval(table, open_ms, step_ms)
    close = table.floats("close", empty=math.nan)
    close = np.where(np.isfinite(close) & (close > 0.0), close, np.nan)
    volume = table.floats("volume", empty=0.0) if "volume" in table.columns else np.zeros(len(close))
    return BarSeries(
        compact_symbol(symbol), step_ms, open_ms + step_ms, close, close, close, close, volume, close_only=True
    )


def load_funding(folder: Path, symbol: str) -> FundingSeries | None:
    """Funding events of ``symbol``, None when the folder has no file for it.

    Stamps are rounded to the second: an exchange stamps its funding some milliseconds after the hour.
    """
    if compact_symbol(symbol) not in symbols_in(Path(folder)):
        return None
    table = read_table(_find(Path(folder), symbol))
    raw_ms = table.times_ms("timestamp")
    time_ms = (raw_ms + SECOND_MS // 2) // SECOND_MS * SECOND_MS
    _refuse_disorder(table, time_ms)
    marks = _marks(table) if "mark_price" in table.columns else (None,) * len(time_ms)
    return FundingSeries(compact_symbol(symbol), tuple(time_ms.tolist()), _decimals(table, "funding_rate"), marks)


def align(a: BarSeries, b: BarSeries) -> tuple[BarSeries, BarSeries, int]:
    """Both series on their common close times, and how many bars of either had no partner."""
    if a.interval_ms != b.interval_ms:
        raise HistoryError(
            f"{a.symbol} has bars of {_words(a.interval_ms)}, {b.symbol} of {_words(b.interval_ms)}; "
            "load both with one interval"
        )
    common, in_a, in_b = np.intersect1d(a.time_ms, b.time_ms, assume_unique=True, return_indices=True)
    return a.take(in_a), b.take(in_b), len(a) + len(b) - 2 * len(common)


def carry(a: BarSeries, b: BarSeries) -> tuple[BarSeries, BarSeries]:
    """Both series on every close time of either, from the first time at which both are known.

    Where one has no bar, its last close stands for all four prices, with volume 0.
    """
    times = np.union1d(a.time_ms, b.time_ms)
    times = times[times >= max(a.time_ms[0], b.time_ms[0])]
    return _carried(a, times), _carried(b, times)


def _carried(series: BarSeries, times: np.ndarray) -> BarSeries:
    last = series.take(np.searchsorted(series.time_ms, times, side="right") - 1)
    known = last.time_ms == times
    prices = (np.where(known, column, last.close) for column in (last.open, last.high, last.low))
    opened, high, low = prices
    volume = np.where(known, last.volume, 0.0)
    return replace(last, time_ms=times, open=opened, high=high, low=low, volume=volume)


def symbols_in(folder: Path) -> list[str]:
    """The symbols that ``folder`` has a file for, sorted. Raises ``HistoryError`` when it is no folder."""
    if not folder.is_dir():
        raise HistoryError(f"no folder {folder}; expected a folder with one file per symbol, such as BTCUSDT.csv.gz")
    names = (path.name for path in folder.iterdir() if path.is_file())
    return sorted({name.removesuffix(suffix) for name in names for suffix in SUFFIXES if name.endswith(suffix)})


def _find(folder: Path, symbol: str) -> Path:
    compact = compact_symbol(symbol)
    known = symbols_in(folder)
    for suffix in SUFFIXES:
        path = folder / f"{compact}{suffix}"
        if path.is_file():
            return path
    raise HistoryError(
        f"{folder} has no file for {symbol} ({compact}.csv, .csv.gz or .parquet); {_instead(compact, known)}"
    )


def _instead(compact: str, known: list[str]) -> str:
    if not known:
        return "the folder has no such file at all"
    close = difflib.get_close_matches(compact, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}it has {', '.join(known)}"


def _bars(table: Table, symbol: str, step_ms: int) -> BarSeries:
    close_only = "close" in table.columns and not any(name in table.columns for name in ("open", "high", "low"))
    open_ms = _open_ms(table)
    _refuse_disorder(table, open_ms)
    _refuse_other_interval(table, open_ms, step_ms)
    time_ms = open_ms + step_ms
    if close_only:
        close = _prices(table, "close")
        note = f"{symbol}: closes only; open, high and low repeat the close, volume is 0"
        none = np.zeros(len(close))
        return BarSeries(symbol, step_ms, time_ms, close, close, close, close, none, close_only=True, notes=(note,))
    opened, high, low, close = (_prices(table, name) for name in PRICES)
    _refuse_crossed(table, opened, high, low, close)
    return BarSeries(symbol, step_ms, time_ms, opened, high, low, close, _volumes(table))


def _open_ms(table: Table) -> np.ndarray:
    return table.times_ms("timestamp" if "timestamp" in table.columns or "date" not in table.columns else "date")


def _between(series: BarSeries, path: Path, *, start: datetime | None, end: datetime | None) -> BarSeries:
    first = 0 if start is None else int(np.searchsorted(series.time_ms, _ms(start, "start"), side="left"))
    stop = len(series) if end is None else int(np.searchsorted(series.time_ms, _ms(end, "end"), side="right"))
    if first >= stop:
        raise HistoryError(f"{path}: {_empty(series, start, end)}")
    return series.slice(first, stop)


def _empty(series: BarSeries, start: datetime | None, end: datetime | None) -> str:
    if not len(series):
        return "no rows below the header"
    first, last = (ms_to_datetime(int(series.time_ms[at])).isoformat() for at in (0, -1))
    return f"no bar closes between {start or 'the beginning'} and {end or 'the end'}; its closes run {first} .. {last}"


def _ms(when: datetime, name: str) -> int:
    try:
        return datetime_to_ms(when)
    except ValueError as error:
        raise HistoryError(f"{name}: {error}") from None


def _known_interval(interval: str) -> int:
    try:
        return interval_ms(interval)
    except ValueError as error:
        raise HistoryError(str(error)) from None


def _prices(table: Table, name: str) -> np.ndarray:
    values = table.floats(name)
    table.refuse(~(np.isfinite(values) & (values > 0.0)), f"{name} is not a positive number")
    return values


def _volumes(table: Table) -> np.ndarray:
    values = table.floats("volume")
    table.refuse(~(np.isfinite(values) & (values >= 0.0)), "volume is not a number of 0 or more")
    return values


def _refuse_crossed(table: Table, opened: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> None:
    table.refuse(high < low, "high is below low")
    outside = (np.maximum(opened, close) > high) | (np.minimum(opened, close) < low)
    table.refuse(outside, "open or close lies outside low .. high")


def _refuse_disorder(table: Table, time_ms: np.ndarray) -> None:
    steps = np.diff(time_ms)
    table.refuse(np.concatenate(([False], steps == 0)), "this time occurs twice")
    table.refuse(np.concatenate(([False], steps < 0)), "this time lies before that of the row above")


def _refuse_other_interval(table: Table, open_ms: np.ndarray, step_ms: int) -> None:
    steps = np.diff(open_ms)
    if not len(steps):
        return
    sizes, counts = np.unique(steps, return_counts=True)
    common = int(sizes[counts.argmax()])
    if common != step_ms:
        raise HistoryError(
            f"{table.path}: wanted bars of {_words(step_ms)}, but its rows are mostly {_words(common)} apart; "
            "choose that interval or another folder"
        )
    table.refuse(np.concatenate(([False], steps < step_ms)), f"less than {_words(step_ms)} after the row above")


def _words(step_ms: int) -> str:
    return next((name for name, size in INTERVALS.items() if size == step_ms), f"{step_ms / 1000:g} s")


def _marks(table: Table) -> tuple[Decimal | None, ...]:
    """Exchanges do not know the mark of their oldest events: an empty cell."""
    texts = table.texts("mark_price")
    return tuple(_decimal(table, "mark_price", row, text) if text.strip() else None for row, text in enumerate(texts))


def _decimals(table: Table, name: str) -> tuple[Decimal, ...]:
    texts = table.texts(name)
    return tuple(_decimal(table, name, row, text) for row, text in enumerate(texts))


def _decimal(table: Table, name: str, row: int, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise table.error(row, f"{name} is not a number: {text!r}") from None
    if not value.is_finite():
        raise table.error(row, f"{name} is not a finite number: {text!r}")
    return value
