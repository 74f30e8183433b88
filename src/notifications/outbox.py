"""What is still to be told, in a file of its own: a restart neither loses nor repeats it.

A file that cannot be used costs nothing but that: what waits is known in memory, and ``trouble`` says why.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
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
    """For one thread. ``path`` None: nothing is kept. Changes reach the disk with ``flush``, all or none of them."""

    def __init__(self, path: Path | None, *, now: Callable[[], float] = time.time) -> None:
        self._path, self._now = path, now
        self._connection: sqlite3.Connection | None = None
        self._known: dict[str, None] = {}
        self._pending: list[Change] = []
        self._try_again = 0.0
        self.trouble = ""

    def open(self) -> tuple[Waiting, ...]:
        """What an earlier process left, oldest first."""
        if self._path is None:
            return ()
        try:
            self._connection = _connected(self._path)
            self._connection.execute("DELETE FROM told WHERE at < ?", (self._now() - KEPT_S,))
            newest = f"SELECT key FROM (SELECT key, at FROM told ORDER BY at DESC LIMIT {MOST_KEYS}) ORDER BY at"
            self._known = dict.fromkeys(key for (key,) in self._connection.execute(newest))
            return self._left()
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:
            self._give_up(error)
            return ()

    def is_new(self, key: str) -> bool:
        """True for a fact that was never told; from now on it is known."""
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > MOST_KEYS:
            del self._known[next(iter(self._known))]
        self._note("INSERT OR REPLACE INTO told VALUES (?, ?)", key, self._now())
        return True

    def put(self, waiting: Waiting) -> None:
        self._note(
            "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?, ?)",
            waiting.channel,
            waiting.notice.key,
            waiting.since,
            waiting.repeats,
            int(waiting.is_silent),
            notice_text(waiting.notice),
        )

    def remove(self, waiting: Waiting) -> None:
        self._note("DELETE FROM waiting WHERE channel = ? AND key = ?", waiting.channel, waiting.notice.key)

    def flush(self) -> None:
        """Never raises; a disk that is full or locked is tried again after a while."""
        if self._connection is None or not self._pending or self._now() < self._try_again:
            return
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                for statement, values in self._pending:
                    self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            self.trouble, self._try_again = str(error), self._now() + RETRY_S
        except sqlite3.Error as error:
            self._give_up(error)
        else:
            self.trouble = ""
            self._pending.clear()

    def close(self) -> None:
        self._try_again = 0.0
        self.flush()
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()

    def _note(self, statement: str, *values: object) -> None:
        if self._connection is None:
            return
        self._pending.append((statement, values))
        if len(self._pending) > MOST_PENDING:
            self._give_up(self.trouble or "too much waits for the disk")

    def _left(self) -> tuple[Waiting, ...]:
        assert self._connection is not None
        rows = self._connection.execute(
            "SELECT channel, notice, since, repeats, is_silent FROM waiting ORDER BY since, rowid"
        )
        return tuple(
            Waiting(channel, notice_of(text), since, repeats, bool(silent))
            for channel, text, since, repeats, silent in rows
        )

    def _give_up(self, reason: object) -> None:
        """From now on memory alone, until the next start."""
        self.trouble = str(reason) or type(reason).__name__
        connection, self._connection = self._connection, None
        self._pending.clear()
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _connected(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", *SCHEMA):
            connection.execute(statement)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
