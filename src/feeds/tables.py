"""A file of columns, as text or numbers, with errors that name the row. CSV needs no pandas; Parquet needs pyarrow."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = (".csv", ".csv.gz", ".parquet")


class HistoryError(Exception):
    """The files cannot serve as history: says what was wanted, what was found and what to do."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name (lists of text, or arrays), and the line numbers of their rows in the file."""

    path: Path
    columns: dict[str, Any]
    lines: list[int] | None = None

    def error(self, row: int, complaint: str) -> HistoryError:
        """The complaint with its place; ``row`` counts data rows from 0."""
        place = f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"
        return HistoryError(f"{self.path}, {place}: {complaint}; mend or remove that row")

    def refuse(self, bad: np.ndarray, complaint: str) -> None:
        """Raise for the first row where ``bad``."""
        if bad.any():
            raise self.error(int(bad.argmax()), complaint)

    def texts(self, name: str) -> list[str]:
        return [str(value) for value in self._column(name)]

    def floats(self, name: str, *, empty: float | None = None) -> np.ndarray:
        """A float64 array; ``empty`` stands for cells without text, which are refused otherwise.

        Raises ``HistoryError`` at the first entry that is no number.
        """
        column = self._column(name)
        if empty is not None and isinstance(column, list):
            column = [empty if text is None or not str(text).strip() else text for text in column]
        try:
            return np.array(column, dtype=np.float64)
        except (ValueError, TypeError):
            bad = next(row for row, text in enumerate(column) if not _is_float(text))
            raise self.error(bad, f"{name} is not a number: {column[bad]!r}") from None

    def times_ms(self, name: str) -> np.ndarray:
        """An int64 array of milliseconds UTC, from ISO-8601 text ending in Z (or a bare date), or from datetimes."""
        column = self._column(name)
        if isinstance(column, np.ndarray):
            return column.astype("datetime64[ms]").astype(np.int64)
        try:
            return _parse_times(column)
        except ValueError:
            bad = next(row for row, text in enumerate(column) if not _is_time(text))
            raise self.error(bad, f"{name} is not an ISO-8601 time in UTC: {column[bad]!r}") from None

    def _column(self, name: str) -> Any:
        if name not in self.columns:
            found = ", ".join(self.columns) or "none"
            raise HistoryError(f"{self.path}: no column {name!r}; found {found}; see the format in the README")
        return self.columns[name]


def read_table(path: Path) -> Table:
    """Read ``.csv``, ``.csv.gz`` or ``.parquet``."""
    if path.suffix == ".parquet":
        return _read_parquet(path)
    return _read_csv(path)


def _read_csv(path: Path) -> Table:
    rows = [(number, line) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip()]
    if not rows:
        raise HistoryError(f"{path}: the file is empty; expected a header such as timestamp,open,high,low,close,volume")
    names = [name.strip().lower() for name in rows[0][1].split(",")]
    for number, line in rows[1:]:
        if line.count(",") != len(names) - 1:
            found = line.count(",") + 1
            raise HistoryError(
                f"{path}, line {number}: expected {len(names)} fields, found {found}; mend or remove that row"
            )
    # All cells in one list: a list a row would take twice the time and most of a backtest's memory.
    cells = ",".join(line for _, line in rows[1:]).split(",") if len(rows) > 1 else []
    columns = {name: cells[number :: len(names)] for number, name in enumerate(names)}
    return Table(path, columns, [number for number, _ in rows[1:]])


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise HistoryError(f"{path}: cannot be read as CSV text ({error}); fetch the file again") from error


def _read_parquet(path: Path) -> Table:
    try:
        from pyarrow import parquet
    except ImportError:
        raise HistoryError(
            f"{path}: Parquet needs pyarrow; install the extra with pip install 'tandem-pairs[parquet]', or use CSV"
        ) from None
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors or OSErrors
        raise HistoryError(f"{path}: cannot be read as Parquet ({error}); fetch the file again") from error
    return Table(path, {name.lower(): _parquet_column(table.column(name)) for name in table.column_names})


def _parquet_column(column: Any) -> Any:
    values = column.to_numpy()
    return values.tolist() if values.dtype == object else values


def _parse_times(texts: Any) -> np.ndarray:
    plain = [_without_zone(text) for text in texts]
    times = np.array(plain, dtype="datetime64[ms]")
    if np.isnat(times).any():
        raise ValueError("not a time")
    return times.astype(np.int64)


def _without_zone(text: str) -> str:
    """Times need their Z (a time without a zone is a guess); bare dates stand for midnight UTC."""
    stripped = text.strip()
    if stripped.endswith("Z"):
        return stripped[:-1]
    if stripped.endswith("+00:00"):
        return stripped[:-6]
    if len(stripped) == 10:
        return stripped
    raise ValueError(f"no zone: {text!r}")


def _is_time(text: str) -> bool:
    try:
        _parse_times([text])
    except ValueError:
        return False
    return True


def _is_float(value: Any) -> bool:
    try:
        float(value)
    except (ValueError, TypeError):
        return False
    return True
