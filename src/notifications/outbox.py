"""What is still to be told, in a file of its own: a restart neither loses nor repeats it.

A file that cannot be used costs nothing but that: what waits is known in memory, and ``trouble`` says why.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from notifications.notice_json import notice_of, notice_text
from notifications.words import Notice

BUSY_TIMEOUT_S = 0.2
KEPT_S = 30 * 86_400.0  # how long a fact is known to have been told
MOST_KEYS = 20_000
MOST_PENDING = 5_000
RETRY_S = 5.0
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS told (key TEXT PRIMARY KEY, at REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS waiting (channel TEXT NOT NULL, key TEXT NOT NULL, since REAL NOT NULL, "
    "repeats INTEGER NOT NULL, is_silent INTEGER NOT NULL, notice TEXT NOT NULL, PRIMARY KEY (channel, key))",
)

KNOW = "INSERT OR REPLACE INTO told VALUES (?, ?)"
WAIT = "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?, ?)"

log = logging.getLogger(__name__)

Change = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice on its way to one channel. ``since``: seconds since 1970; ``repeats``: how many it stands for."""

    channel: str
    notice: Notice
    since: float
    repeats: int = 1
    is_silent: bool = False


class Outbox:
    """For one thread. ``path`` None: nothing is kept. Changes reach the disk with ``flush``, all or none of them.

    A file that is damaged or was deleted is begun anew, with everything that is known. ``trouble``: why the file
    cannot be used; ``remarks``: what a person should hear once.
    """

    def __init__(self, path: Path | None, *, now: Callable[[], float] = time.time) -> None:
        self._path, self._now = path, now
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._known: dict[str, float] = {}
        self._waiting: dict[tuple[str, str], Waiting] = {}
        self._pending: list[Change] = []
        self._try_again = 0.0
        self.trouble = ""
        self.remarks: list[str] = []

    def open(self) -> tuple[Waiting, ...]:
        """What an earlier process left, oldest first."""
        if self._path is None:
            return ()
        try:
            self._connect(self._path)
            return self._read()
        except (sqlite3.Error, OSError) as error:
            self._mend(error)
            return ()

    def is_new(self, key: str) -> bool:
        """True for a fact that was never told; from now on it is known."""
        if key in self._known:
            return False
        self._known[key] = self._now()
        if len(self._known) > MOST_KEYS:
            del self._known[next(iter(self._known))]
        self._note(KNOW, key, self._known[key])
        return True

    def put(self, waiting: Waiting) -> None:
        self._waiting[waiting.channel, waiting.notice.key] = waiting
        self._note(WAIT, *_row(waiting))

    def remove(self, waiting: Waiting) -> None:
        self._waiting.pop((waiting.channel, waiting.notice.key), None)
        self._note("DELETE FROM waiting WHERE channel = ? AND key = ?", waiting.channel, waiting.notice.key)

    def flush(self) -> None:
        """Never raises; a disk that is full or locked is tried again after a while."""
        if self._connection is None or not self._pending or self._now() < self._try_again:
            return
        try:
            if self._is_gone():
                self._begin_anew("was deleted while the bot ran")
            else:
                self._write(self._connection, self._pending)
        except sqlite3.OperationalError as error:
            self.trouble, self._try_again = str(error), self._now() + RETRY_S
        except Exception as error:
            self._mend(error)
        else:
            self.trouble = ""
            self._pending.clear()

    def close(self) -> None:
        self._try_again = 0.0
        self.flush()
        self._disconnect()

    def _note(self, statement: str, *values: object) -> None:
        if self._connection is None:
            return
        self._pending.append((statement, values))
        if len(self._pending) > MOST_PENDING:
            self._give_up(self.trouble or "too much waits for the disk")

    def _write(self, connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement, values in changes:
                connection.execute(statement, values)

    def _read(self) -> tuple[Waiting, ...]:
        assert self._connection is not None
        self._connection.execute("DELETE FROM told WHERE at < ?", (self._now() - KEPT_S,))
        newest = f"SELECT key, at FROM (SELECT key, at FROM told ORDER BY at DESC LIMIT {MOST_KEYS}) ORDER BY at"
        self._known = dict(self._connection.execute(newest))
        rows = self._connection.execute(
            "SELECT rowid, channel, notice, since, repeats, is_silent FROM waiting ORDER BY since, rowid"
        )
        for rowid, *row in rows.fetchall():
            try:
                waiting = _waiting_of(*row)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("outbox_row_unreadable row=%d error=%s", rowid, type(error).__name__)
                self._note("DELETE FROM waiting WHERE rowid = ?", rowid)
            else:
                self._waiting[waiting.channel, waiting.notice.key] = waiting
        return tuple(self._waiting.values())

    # a file that is damaged, gone, or of no use

    def _mend(self, error: Exception) -> None:
        """What SQLite calls no database, or malformed, is damaged; anything else is beyond mending."""
        if type(error) is not sqlite3.DatabaseError:
            self._give_up(error)
            return
        try:
            self._begin_anew(f"was damaged ({error}) and is kept as {self._set_aside().name}")
        except (sqlite3.Error, OSError) as another:
            self._give_up(another)

    def _set_aside(self) -> Path:
        assert self._path is not None
        self._disconnect()
        when = datetime.fromtimestamp(self._now(), UTC)
        aside = self._path.with_name(f"{self._path.name}.damaged-{when:%Y%m%dT%H%M%SZ}")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).replace(aside.with_name(aside.name + suffix))
        return aside

    def _begin_anew(self, why: str) -> None:
        assert self._path is not None
        self._disconnect()
        connection = self._connect(self._path)
        self._write(connection, [(KNOW, known) for known in self._known.items()])
        self._write(connection, [(WAIT, _row(waiting)) for waiting in self._waiting.values()])
        self._pending.clear()
        self.remarks.append(f"The file of notices {why}: a new one is begun")

    def _is_gone(self) -> bool:
        assert self._path is not None
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def _connect(self, path: Path) -> sqlite3.Connection:
        self._connection = connection = _connected(path)
        self._inode = path.stat().st_ino
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _give_up(self, reason: object) -> None:
        """From now on memory alone, until the next start."""
        self.trouble = str(reason) or type(reason).__name__
        self._pending.clear()
        self._disconnect()


def _row(waiting: Waiting) -> tuple[object, ...]:
    notice = waiting.notice
    return waiting.channel, notice.key, waiting.since, waiting.repeats, int(waiting.is_silent), notice_text(notice)


def _waiting_of(channel: str, text: str, since: object, repeats: object, is_silent: object) -> Waiting:
    """Raises ValueError, KeyError, TypeError or AttributeError for what ``_row`` has not written."""
    if not isinstance(since, float) or not isinstance(repeats, int):
        raise TypeError("no time, or no number")
    return Waiting(channel, notice_of(text), since, repeats, bool(is_silent))


def _connected(path: Path) -> sqlite3.Connection:
    """Its owner's alone, since trades and money are told; SQLite makes the files beside it alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(0o600)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.text_factory = lambda written: written.decode("utf-8", "replace")
    try:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", *SCHEMA):
            connection.execute(statement)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
