"""A folder of bars as the input of a scan: what was read, and the hash of every file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ccxt_bt_bridge.series import BarSeries
from feeds.history import HistoryError, load_closes, symbols_in
from feeds.tables import SUFFIXES
from pairs.symbols import compact_symbol
from research.scan.data_care import Excluded
from research.scan.errors import ScanError
from research.scan.tester import Tell


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file that was read: its name in the folder, and the SHA-256 of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class FolderBars:
    folder: Path
    interval: str
    series: tuple[BarSeries, ...]
    files: tuple[InputFile, ...]
    unreadable: tuple[Excluded, ...] = ()


def read_folder(
    folder: Path, interval: str, *, symbols: Sequence[str] | None = None, tell: Tell = lambda *_: None
) -> FolderBars:
    """Closes of ``symbols`` (any notation; default: all that the folder has). ``tell`` hears how far it is.

    Raises ``ScanError`` when the folder or a symbol is missing; a file that cannot be read is among ``unreadable``.
    """
    known = symbols_in(folder)
    if not known:
        raise ScanError(f"{folder} has no bars: wanted one SYMBOL.csv, .csv.gz or .parquet for each symbol")
    wanted = known if symbols is None else list(dict.fromkeys(map(compact_symbol, symbols)))
    missing = [symbol for symbol in wanted if symbol not in known]
    if missing:
        raise ScanError(f"{folder} has no file for {', '.join(missing)}; it has {', '.join(known)}")
    if not wanted:
        raise ScanError("no symbol is named: wanted two or more, such as BTCUSDT,ETHUSDT")
    if len(wanted) < 2:
        raise ScanError(f"two symbols are wanted for a pair, and there is only {wanted[0]}")
    read, unreadable = [], []
    for done, symbol in enumerate(wanted, 1):
        try:
            read.append((load_closes(folder, symbol, interval), _hashed(folder, symbol)))
        except HistoryError as error:
            unreadable.append(Excluded(symbol, str(error)))
        tell("reading files", done, len(wanted))
    series, files = (tuple(column) for column in zip(*read, strict=True)) if read else ((), ())
    return FolderBars(folder, interval, series, files, tuple(unreadable))


def _hashed(folder: Path, symbol: str) -> InputFile:
    path = next(path for suffix in SUFFIXES if (path := folder / f"{symbol}{suffix}").is_file())
    try:
        return InputFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read ({error.strerror})") from error
