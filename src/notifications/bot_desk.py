"""What crosses between a person who asks or commands from afar and the bot's own side. Frozen values, one port, no I/O.

Texts are plain: the medium that shows them escapes, cuts and pages them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class Topic(Enum):
    """What can be asked. None of it changes anything."""

    STATUS = "status"
    PAIRS = "pairs"
    PAIR = "pair"
    PROFIT = "profit"
    BALANCE = "balance"
    DAILY = "daily"
    TRADES = "trades"
    WHY = "why"
    LOGS = "logs"
    CONFIG = "config"
    VERSION = "version"


class Deed(Enum):
    """What can be commanded."""

    HALT = "halt"
    RESUME = "resume"
    CLOSE = "close"
    FLATTEN = "flatten"

    @property
    def is_asked_back(self) -> bool:
        """A halt only makes safer: it is taken at its word."""
        return self is not Deed.HALT

    @property
    def is_taken_late(self) -> bool:
        """Whoever wanted the bot stopped an hour ago wants it stopped."""
        return self in (Deed.HALT, Deed.FLATTEN)


@dataclass(frozen=True, slots=True)
class Answer:
    """``title``: one line. ``is_table``: the columns of ``lines`` are aligned by spaces, or they are code."""

    title: str
    lines: tuple[str, ...] = ()
    is_table: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """A command as it was given. ``by``: who gave it and through what."""

    deed: Deed
    pair_id: str | None
    reason: str
    by: str

    def __str__(self) -> str:
        return f"{self.deed.value} {self.pair_id}" if self.pair_id else self.deed.value


@dataclass(frozen=True, slots=True)
class Given:
    """A command that the bot's side has written down. ``sentence``: what happens to it next."""

    number: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command, in the bot's words."""

    is_done: bool
    sentence: str


class NotTaken(Exception):
    """The command was not taken, or its outcome cannot be read; the message is a sentence for a person."""


class BotDesk(Protocol):
    """The bot's side. Every method may block for a moment on a file, never on the engine; any thread."""

    def ask(self, topic: Topic, argument: str, now: datetime) -> Answer:
        """``now``: the wall's time. What cannot be answered is a sentence, never an exception."""
        ...

    def examine(self, wish: Wish) -> Wish:
        """The wish in the bot's own words. Raises ``NotTaken`` for what could not be given, such as an unknown pair."""
        ...

    def give(self, wish: Wish) -> Given:
        """Raises ``NotTaken``."""
        ...

    def outcome(self, number: int) -> Outcome | None:
        """None while it is waiting or under way. Raises ``NotTaken`` when that cannot be read."""
        ...
