"""The end of a bot's log, without secrets, and what in it a person should look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 32 * 1024
WORRYING = ("WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class LogLine:
    """``time``, ``level`` and ``where`` are empty for a line that goes on from the one before it, as tracebacks do."""

    time: str
    level: str
    where: str
    text: str

    @property
    def is_alarm(self) -> bool:
        return self.text.startswith("alarm ") or self.level in ("ERROR", "CRITICAL")

    @property
    def is_worrying(self) -> bool:
        return self.level in WORRYING


def log_tail(path: Path, mask: Callable[[str], str], *, most_bytes: int = TAIL_BYTES) -> tuple[LogLine, ...]:
    """The last lines, oldest first; none where there is no such file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            content = file.read(most_bytes)
    except OSError:
        return ()
    lines = mask(content.decode("utf-8", "replace")).splitlines()
    return tuple(map(_line, lines[1:] if size > most_bytes else lines))


def _line(text: str) -> LogLine:
    parts = text.split(" ", 3)
    if len(parts) == 4 and parts[0].endswith("Z") and parts[1].isupper():
        return LogLine(*parts)
    return LogLine("", "", "", text)
