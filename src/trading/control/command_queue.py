"""Commands to a bot, in a file that both sides open: whoever gives one writes a row, the bot takes it once.

A file of its own: the journal has one writer, the bot. Its times are the wall's, whatever the market's clock says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Self

BUSY_TIMEOUT_S = 5.0
BOT_TIMEOUT_S = 0.2  # the bot's loop has better things to do than to wait for a lock; it looks again
SCHEMA = """
CREATE TABLE IF NOT EXISTS commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    verb TEXT NOT NULL CHECK (verb IN ('halt', 'resume', 'flatten', 'close')),
    pair_id TEXT,
    reason TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given_at TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    result TEXT NOT NULL DEFAULT '',
    ended_at TEXT
)
"""
COLUMNS = "number, verb, pair_id, reason, given_by, given_at, state, result"


class CommandsUnreadable(Exception):
    """The queue's file is not one, or cannot be used now."""


class Verb(Enum):
    """HALT: open nothing more. RESUME: trade again. FLATTEN: cancel and close everything. CLOSE: leave one pair."""

    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"
    CLOSE = "close"

    @property
    def is_safe_when_late(self) -> bool:
        """Whatever has happened since it was given."""
        return self in (Verb.HALT, Verb.FLATTEN)


class CommandState(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"

    @property
    def is_over(self) -> bool:
        return self not in (CommandState.WAITING, CommandState.RUNNING)


@dataclass(frozen=True, slots=True)
class Command:
    """``given_by``: a person or program, in words; ``result``: what the bot answered."""

    number: int
    verb: Verb
    pair_id: str | None
    reason: str
    given_by: str
    given_at: datetime
    state: CommandState
    result: str

    def __str__(self) -> str:
        return f"{self.verb.value} {self.pair_id}" if self.pair_id else self.verb.value


def _now() -> datetime:
    return datetime.now(UTC)


class CommandQueue:
    """One side's connection, for one thread at a time. Every method raises ``CommandsUnreadable``."""

    def __init__(self, path: Path, *, timeout_s: float = BUSY_TIMEOUT_S, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._path = path
        try:
            self._connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
            for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", SCHEMA):
                self._ask(statement)
        except sqlite3.Error as error:
            raise CommandsUnreadable(f"{path} cannot be opened ({error})") from None

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # whoever commands

    def give(self, verb: Verb, *, reason: str, by: str, pair_id: str | None = None) -> int:
        """The command's number; it is on disk then."""
        rows = self._ask(
            "INSERT INTO commands (verb, pair_id, reason, given_by, given_at) VALUES (?, ?, ?, ?, ?) RETURNING number",
            (verb.value, pair_id, reason, by, self._now().isoformat()),
        )
        return int(rows[0][0])

    def command(self, number: int) -> Command:
        return _command(self._ask(f"SELECT {COLUMNS} FROM commands WHERE number = ?", (number,))[0])

    # the bot

    def waiting(self) -> tuple[Command, ...]:
        """In the order in which they were given."""
        return self._in_state(CommandState.WAITING)

    def cut_short(self) -> tuple[Command, ...]:
        """At a start: those that an earlier process had begun."""
        return self._in_state(CommandState.RUNNING)

    def age_s(self, command: Command) -> float:
        return (self._now() - command.given_at).total_seconds()

    def begin(self, command: Command) -> None:
        self._ask("UPDATE commands SET state = ? WHERE number = ?", (CommandState.RUNNING.value, command.number))

    def end(self, command: Command, state: CommandState, result: str) -> None:
        values = (state.value, result, self._now().isoformat(), command.number)
        self._ask("UPDATE commands SET state = ?, result = ?, ended_at = ? WHERE number = ?", values)

    def _in_state(self, state: CommandState) -> tuple[Command, ...]:
        rows = self._ask(f"SELECT {COLUMNS} FROM commands WHERE state = ? ORDER BY number", (state.value,))
        return tuple(map(_command, rows))

    def _ask(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            with closing(self._connection.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise CommandsUnreadable(f"{self._path} cannot be used ({error}); if it is damaged, move it away") from None


def _command(row: tuple[Any, ...]) -> Command:
    number, verb, pair_id, reason, by, given_at, state, result = row
    when = datetime.fromisoformat(given_at)
    return Command(number, Verb(verb), pair_id, reason, by, when, CommandState(state), result)
