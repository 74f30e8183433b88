"""Looks at every bot of a state folder, and remembers what need not be read twice. Any thread may ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from management.bots.curve import CurvePoint, EquityCurve
from management.bots.finding import BotFiles, find_bots
from management.bots.log_lines import LogLine, log_tail
from management.bots.reading import BotReader, Unreadable
from management.bots.views import BotView, bot_view
from trading.run_logs import Redactor


class NoSuchBot(Exception):
    """No journal in the state folder belongs to a bot of that key."""


@dataclass(frozen=True, slots=True)
class LostBot:
    """A bot whose journal cannot be read, and why."""

    key: str
    problem: str


@dataclass(slots=True)
class _Memory:
    """Of one bot: its curve so far; the log's end by the file's time and size."""

    curve: EquityCurve = field(default_factory=EquityCurve)
    log_stamp: tuple[int, int] = (0, 0)
    log: tuple[LogLine, ...] = ()


def _now() -> datetime:
    return datetime.now(UTC)


class BotWatch:
    """``mask`` takes secrets out of log lines."""

    def __init__(self, state: Path, mask: Redactor, *, now: Callable[[], datetime] = _now) -> None:
        self.state, self.mask, self._now = state, mask, now
        self._memories: dict[str, _Memory] = {}
        self._turn = threading.Lock()

    def files(self, key: str) -> BotFiles:
        """Raises ``NoSuchBot``."""
        try:
            return find_bots(self.state)[key]
        except KeyError:
            raise NoSuchBot(f"there is no bot {key[:80]} in {self.state}") from None

    def all(self) -> list[BotView | LostBot]:
        return [self._seen(files) for files in find_bots(self.state).values()]

    @contextmanager
    def looking(self, files: BotFiles) -> Iterator[tuple[BotReader, BotView]]:
        """Raises ``Unreadable``."""
        with BotReader(files) as reader:
            yield reader, bot_view(files, reader, self._now())

    def curve(self, reader: BotReader, key: str) -> tuple[CurvePoint, ...]:
        """Equity and drawdown of the bot's newest run. Raises ``Unreadable``."""
        with self._turn:
            curve = self._memory(key).curve
            curve.read_on(reader)
            return curve.points

    def log(self, view: BotView) -> tuple[LogLine, ...]:
        """The end of its log, oldest first."""
        path = Path(view.config.get("log_file", ""))
        with self._turn:
            memory = self._memory(view.key)
            stamp = _stamp(path)
            if stamp != memory.log_stamp:
                memory.log_stamp, memory.log = stamp, log_tail(path, self.mask)
            return memory.log

    def _seen(self, files: BotFiles) -> BotView | LostBot:
        try:
            with self.looking(files) as (_, view):
                return view
        except Unreadable as problem:
            return LostBot(files.key, str(problem))

    def _memory(self, key: str) -> _Memory:
        return self._memories.setdefault(key, _Memory())


def _stamp(path: Path) -> tuple[int, int]:
    try:
        known = path.stat()
    except OSError:
        return 0, 0
    return known.st_mtime_ns, known.st_size
