"""What a person sees of a download: a bar for each symbol in a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from feeds.download import Advance

PLAIN_PARTS = 10


class DownloadDisplay:
    """Give ``show`` to a download, inside ``with``. A plain line comes at every tenth and at every new note."""

    def __init__(self, symbols: Iterable[str], console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {
            symbol: self._progress.add_task(symbol, total=None, note="waiting") for symbol in symbols
        }
        self._told: dict[str, tuple[int, str]] = {}

    def __enter__(self) -> DownloadDisplay:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, advance: Advance) -> None:
        self._progress.update(
            self._tasks[advance.symbol], completed=advance.done, total=advance.total, note=advance.note
        )
        part = (advance.done * PLAIN_PARTS // max(1, advance.total), advance.note)
        if not self._console.is_terminal and part != self._told.get(advance.symbol):
            self._told[advance.symbol] = part
            share = advance.done / max(1, advance.total)
            self._console.print(f"{advance.symbol}  {share:4.0%}  {advance.note}".rstrip(), highlight=False)
