"""Looks at every bot of a state folder, and remembers what need not be read twice. Any thread may ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from management.bots.curve import Curve, EquityCurve
from management.bots.finding import BotFiles, find_bots
from management.bots.log_lines import ERRORS_BYTES, TAIL_BYTES, LogLine, Troubles, log_tail, troubles_of
from management.bots.reading import DAMAGED, BotReader, Row, Unreadable
from management.bots.views import BotView, bot_view
from trading.journal.locks import is_held, lock_path

SAMPLED_POINTS = 120
LISTED_ERRORS = 200
SETTLED_S = 1.0  # two writes within one tick of the file system's clock look like one

Stamp = tuple[tuple[int, int], ...]


class NoSuchBot(Exception):
    """No journal in the state folder belongs to a bot of that key."""


@dataclass(frozen=True, slots=True)
class BotCard:
    """A bot at a glance: ``equity`` at some moments of its run, alarms at the end of its logs."""

    view: BotView
    equity: tuple[float, ...]
    alarms: int


@dataclass(frozen=True, slots=True)
class LostBot:
    """A bot whose journal cannot be read, and why."""

    key: str
    problem: str


@dataclass(slots=True)
class _Memory:
    """Of one bot: its curve so far; its card and what is worrying in its logs, each by its files' times and sizes."""

    curve: EquityCurve = field(default_factory=EquityCurve)
    card_stamp: Stamp = ()
    card: BotCard | None = None
    troubles_stamp: Stamp = ()
    troubles: Troubles = Troubles()


def _now() -> datetime:
    return datetime.now(UTC)


class BotWatch:
    """``mask`` takes secrets out of log lines. ``now``: the wall's time."""

    def __init__(self, state: Path, mask: Callable[[str], str], *, now: Callable[[], datetime] = _now) -> None:
        self.state, self.mask, self._now = state, mask, now
        self._memories: dict[str, _Memory] = {}
        self._tails: dict[Path, tuple[Stamp, tuple[LogLine, ...]]] = {}
        self._turn = threading.Lock()

    def files(self, key: str) -> BotFiles:
        """Raises ``NoSuchBot``."""
        try:
            return find_bots(self.state)[key]
        except KeyError:
            raise NoSuchBot(f"there is no bot {key[:80]} in {self.state}") from None

    def cards(self) -> list[BotCard | LostBot]:
        """All bots, in the order of their keys."""
        with self._turn:
            return [self._card_or_why_not(files) for files in find_bots(self.state).values()]

    @contextmanager
    def looking(self, files: BotFiles) -> Iterator[tuple[BotReader, BotView]]:
        """Raises ``Unreadable``."""
        with BotReader(files) as reader:
            yield reader, self._view(files, reader)

    def curve(self, reader: BotReader, key: str) -> Curve:
        """Equity and drawdown of the bot's newest run. Raises ``Unreadable``."""
        with self._turn:
            curve = self._memory(key).curve
            curve.read_on(reader)
            return curve.points()

    def log(self, view: BotView) -> tuple[LogLine, ...]:
        """The end of its log, oldest first."""
        with self._turn:
            return self._shown(self._tail(_log_of(view)))

    def errors(self, view: BotView) -> tuple[LogLine, ...]:
        """The end of the log of errors, with tracebacks; the bots of a folder may share one."""
        with self._turn:
            return self._shown(self._tail(_errors_of(view), ERRORS_BYTES)[-LISTED_ERRORS:])

    def troubles(self, view: BotView, most: int) -> Troubles:
        """What is worrying at the end of its log and of the log of errors: alarms first, the newest first of each."""
        with self._turn:
            troubles = self._troubles(view)
        return replace(troubles, lines=self._shown(troubles.lines[:most]))

    def told(self, command: Row) -> Row:
        """A command as it may be shown: what failed may have said more than it should."""
        return command | {name: self.mask(command[name]) for name in ("reason", "result")}

    def _view(self, files: BotFiles, reader: BotReader) -> BotView:
        try:
            return bot_view(files, reader, self._now())
        except DAMAGED as error:
            said = self.mask(f"{type(error).__name__}: {error}")
            raise Unreadable(f"{files.journal.name} has a damaged row ({said}): restore a copy of it") from error

    def _card_or_why_not(self, files: BotFiles) -> BotCard | LostBot:
        try:
            return self._card(files)
        except Unreadable as problem:
            return LostBot(files.key, str(problem))

    def _card(self, files: BotFiles) -> BotCard:
        memory = self._memory(files.key)
        stamp = _stamp(files.journal, _beside(files.journal), files.commands, _beside(files.commands))
        if memory.card is None or stamp != memory.card_stamp:
            with self.looking(files) as (reader, view):
                memory.card = BotCard(view, tuple(reader.equity_sample(SAMPLED_POINTS)), 0)
            memory.card_stamp = stamp if self._is_settled(stamp) else ()
        card = memory.card
        view = replace(card.view, is_running=is_held(lock_path(files.journal)))
        return replace(card, view=view, alarms=self._troubles(view).alarms)

    def _troubles(self, view: BotView) -> Troubles:
        memory = self._memory(view.key)
        stamp = _stamp(_log_of(view), _errors_of(view))
        if stamp != memory.troubles_stamp:
            memory.troubles = troubles_of(self._tail(_log_of(view)), self._tail(_errors_of(view), ERRORS_BYTES))
            memory.troubles_stamp = stamp if self._is_settled(stamp) else ()
        return memory.troubles

    def _tail(self, path: Path, most_bytes: int = TAIL_BYTES) -> tuple[LogLine, ...]:
        """Bots may share a file: it is read once when it has changed."""
        stamp, known = _stamp(path), self._tails.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        lines = log_tail(path, most_bytes=most_bytes)
        self._tails[path] = (stamp if self._is_settled(stamp) else (), lines)
        return lines

    def _shown(self, lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
        return tuple(line.masked(self.mask) for line in lines)

    def _is_settled(self, stamp: Stamp) -> bool:
        newest_s = max(changed_ns for changed_ns, _ in stamp) / 1e9
        return self._now().timestamp() - newest_s > SETTLED_S

    def _memory(self, key: str) -> _Memory:
        return self._memories.setdefault(key, _Memory())


def _log_of(view: BotView) -> Path:
    return Path(view.config.get("log_file", ""))


def _errors_of(view: BotView) -> Path:
    return Path(view.config.get("error_file", ""))


def _beside(path: Path) -> Path:
    """SQLite's write-ahead log, where what is new is."""
    return path.with_name(f"{path.name}-wal")


def _stamp(*paths: Path) -> Stamp:
    """When each was changed, in ns, and its size; 0 where there is none."""
    return tuple(map(_changed, paths))


def _changed(path: Path) -> tuple[int, int]:
    try:
        known = path.stat()
    except OSError:
        return 0, 0
    return known.st_mtime_ns, known.st_size
