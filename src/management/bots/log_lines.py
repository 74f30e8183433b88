"""The end of a bot's logs, and what in them a person should look at. Lines are masked when they are to be shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

TAIL_BYTES = 32 * 1024
ERRORS_BYTES = 128 * 1024  # tracebacks take most of it
WORRYING = ("WARNING", "ERROR", "CRITICAL")


class LogLine(NamedTuple):  # made by the thousand at each look: a tuple costs a third of a dataclass
    """``time``, ``level`` and ``where`` are empty for a line that goes on from the one before it, as tracebacks do."""

    time: str
    level: str
    where: str
    text: str

    @property
    def is_alarm(self) -> bool:
        return self.text.startswith("alarm ") or self.level in ("ERROR", "CRITICAL")

    def masked(self, mask: Callable[[str], str]) -> LogLine:
        return self._replace(where=mask(self.where), text=mask(self.text))

    @property
    def is_worrying(self) -> bool:
        return self.level in WORRYING


@dataclass(frozen=True, slots=True)
class Troubles:
    """``lines``: alarms first, the newest first among each. ``count``: of all of them, of which ``lines`` may be some.

    ``since``: the first moment that was looked at, by log; empty where there is no line.
    """

    lines: tuple[LogLine, ...] = ()
    count: int = 0
    alarms: int = 0
    log_since: str = ""
    errors_since: str = ""


def troubles_of(log: Sequence[LogLine], errors: Sequence[LogLine]) -> Troubles:
    """What is worrying in the ends of both logs.

    Bots of a folder may share a log of errors, and each line of it is in its own bot's log as well: of the time that
    ``log`` covers, ``log`` alone speaks.
    """
    log_since, errors_since = _first_time(log), _first_time(errors)
    older = [line for line in errors if line.time and (not log_since or line.time < log_since)]
    newest_first = [line for line in reversed((*older, *log)) if line.is_worrying]
    alarms = [line for line in newest_first if line.is_alarm]
    others = [line for line in newest_first if not line.is_alarm]
    return Troubles((*alarms, *others), len(newest_first), len(alarms), log_since, errors_since)


def _first_time(lines: Sequence[LogLine]) -> str:
    return next((line.time for line in lines if line.time), "")


def log_tail(path: Path, *, most_bytes: int = TAIL_BYTES) -> tuple[LogLine, ...]:
    """The last lines, oldest first; none where there is no such file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            content = file.read(most_bytes)
    except OSError:
        return ()
    lines = content.decode("utf-8", "replace").splitlines()
    return tuple(map(_line, lines[1:] if size > most_bytes else lines))


def _line(text: str) -> LogLine:
    parts = text.split(" ", 3)
    if len(parts) == 4 and parts[0].endswith("Z") and parts[1].isupper():
        return LogLine(*parts)
    return LogLine("", "", "", text)
