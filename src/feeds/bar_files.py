"""Bars on their way to disk: gathered in a draft that survives an interruption, then written as a whole.

BarFileError    the folder, or a file in it, cannot take these bars: stop and tell the person
└── DiskFull    make room and go on: nothing is lost

The draft (``.BTCUSDT.1h.part``) grows row by row; a row that an interruption tore is cut off when the draft is opened
again. The file that others read is only ever replaced, never changed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.words import Bar
from feeds.history import load_bars, symbols_in
from feeds.tables import SUFFIXES
from pairs.symbols import compact_symbol

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
FORMATS = ("csv", "parquet")
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class BarFileError(Exception):
    """The bars cannot be written there."""


class DiskFull(BarFileError):
    """There is no room for more."""


class BarFile:
    """The bars of one symbol and interval in a folder: those on disk, and those that are added to them.

    ``form``: "csv" or "parquet". Raises ``BarFileError`` when the folder has the symbol in another form already, and
    ``HistoryError`` when what it has is damaged or of another interval.
    """

    def __init__(self, folder: Path, symbol: str, interval: str, *, form: str = "csv") -> None:
        self.symbol, self._interval, self._step_ms = compact_symbol(symbol), interval, interval_ms(interval)
        self.path = folder / f"{self.symbol}.{form}"
        self._draft = folder / f".{self.symbol}.{interval}.part"
        made_folder(folder)
        self._refuse_other_forms()
        on_disk = self._load()
        self._on_disk = len(on_disk)
        self._parts = [on_disk, *self._resumed()]

    @property
    def times_ms(self) -> np.ndarray:
        """Closes of every bar that is there, ascending."""
        return self._rows()[:, 0].astype(np.int64)

    @property
    def added(self) -> int:
        """Bars that the file did not have when it was opened."""
        return len(self._rows()) - self._on_disk

    def add(self, bars: Iterable[Bar]) -> None:
        """Keep these bars; one that is there already stays as it is. On disk when this returns."""
        rows = [(bar.time_ms, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
        text = "".join(f"{time_ms},{_prices(prices)}\n" for time_ms, *prices in rows)
        with _telling(self._draft, "written"), open(self._draft, "ab") as draft:
            draft.write(text.encode("ascii"))
        self._parts.append(_matrix(rows))

    def finish(self) -> None:
        """Put the file in its place, with every bar in order; nothing is touched when nothing was added."""
        if self.added:
            write = _write_parquet if self.path.suffix == ".parquet" else _write_csv
            _replace(self.path, lambda place: write(place, self._rows(), self._step_ms))
        self._draft.unlink(missing_ok=True)

    def _rows(self) -> np.ndarray:
        """Every bar once, ascending: close time in ms, and the prices and volume."""
        rows = np.concatenate(self._parts)
        self._parts = [rows[np.unique(rows[:, 0], return_index=True)[1]]]
        return self._parts[0]

    def _refuse_other_forms(self) -> None:
        others = [self.path.with_name(f"{self.symbol}{suffix}") for suffix in SUFFIXES]
        there = [path.name for path in others if path != self.path and path.exists()]
        if there:
            raise BarFileError(
                f"{self.path.parent} has {there[0]} already, and {self.path.name} beside it would be read instead or "
                "not at all: take another folder or --format, or move that file away"
            )

    def _load(self) -> np.ndarray:
        if self.symbol not in symbols_in(self.path.parent):
            return _matrix([])
        series = load_bars(self.path.parent, self.symbol, self._interval)
        return np.column_stack([column.astype(np.float64) for column in series.columns])

    def _resumed(self) -> Iterator[np.ndarray]:
        """What an interrupted download left, without its torn row."""
        if not self._draft.exists():
            return
        content = self._draft.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self._draft, len(whole))
        yield _matrix([line.split(",") for line in whole.decode("ascii").splitlines()])


def made_folder(folder: Path) -> None:
    """Make it where it is not. Raises ``BarFileError``."""
    with _telling(folder, "made"):
        folder.mkdir(parents=True, exist_ok=True)


def replace_csv(path: Path, header: Iterable[str], rows: Iterable[str]) -> None:
    """Write a CSV file as a whole: a reader finds the former one or this one. Raises ``BarFileError``."""
    text = "\n".join([",".join(header), *rows, ""])
    _replace(path, lambda place: place.write_text(text, encoding="ascii"))


def iso_times(times_ms: np.ndarray) -> list[str]:
    """Milliseconds as ``2024-01-01T00:00:00Z``, with a fraction only where there is one."""
    texts = np.datetime_as_string(times_ms.astype("datetime64[ms]")).tolist()
    return [f"{text.removesuffix('.000')}Z" for text in texts]


def _matrix(rows: Sequence[Any]) -> np.ndarray:
    # Milliseconds are whole numbers far below 2**53: a float holds them exactly.
    return np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))


def _write_csv(place: Path, rows: np.ndarray, step_ms: int) -> None:
    opens = iso_times(rows[:, 0].astype(np.int64) - step_ms)
    lines = (f"{opened},{_prices(prices)}" for opened, prices in zip(opens, rows[:, 1:].tolist(), strict=True))
    place.write_text("\n".join([",".join(COLUMNS), *lines, ""]), encoding="ascii")


def _write_parquet(place: Path, rows: np.ndarray, step_ms: int) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BarFileError(
            "Parquet needs pyarrow; install the extra with pip install 'tandem-pairs[parquet]', or use --format csv"
        ) from None
    opens = pyarrow.array(rows[:, 0].astype(np.int64) - step_ms, pyarrow.timestamp("ms", tz="UTC"))
    prices = [pyarrow.array(column) for column in rows[:, 1:].T]
    parquet.write_table(pyarrow.table([opens, *prices], names=list(COLUMNS)), place)


def _prices(prices: Iterable[float]) -> str:
    return ",".join(repr(float(price)) for price in prices)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    fresh = path.with_name(f".{path.name}.new")
    try:
        with _telling(path, "written"):
            write(fresh)
            with open(fresh, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def _telling(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise DiskFull(f"the disk is full at {path}; what came before is kept: make room and call again") from error
        raise BarFileError(f"{path} cannot be {what} ({error.strerror}); choose another folder") from error
