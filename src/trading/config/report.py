"""What a check of a config has to tell: problems with their places, in text for people and as JSON for machines."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from trading.config.position_json import Path

ERROR = "error"
WARNING = "warning"
_LONGEST_WORD = 48


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. ``found`` is an excerpt as JSON writes it; None where there was nothing.

    ``line`` and ``column`` count from 1 and are None for what stands in no file (the environment, the command line).
    ``file`` names the place when it is not the config itself: a pairs file, "environment" or "command line".
    """

    path: str
    line: int | None
    column: int | None
    severity: str
    message: str
    found: str | None = None
    expected: str | None = None
    suggestion: str | None = None
    file: str | None = None

    def text(self, config: str) -> str:
        """``file:line:col: error: path: message (found …, expected …; did you mean …?)``, on one line."""
        place = self.file or config
        if self.line is not None:
            place = f"{place}:{self.line}:{self.column}"
        details = [f"{word} {value}" for word, value in (("found", self.found), ("expected", self.expected)) if value]
        note = ", ".join(details)
        if self.suggestion:
            note = f"{note}; did you mean {self.suggestion}?" if note else f"did you mean {self.suggestion}?"
        return f"{place}: {self.severity}: {self.path}: {self.message}" + (f" ({note})" if note else "")


@dataclass(frozen=True)
class Report:
    """Every problem of one config, sorted by place. ``ok`` is True when there are warnings at most."""

    config: str
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == WARNING)

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def summary(self) -> str:
        verdict = "is good" if self.ok else "cannot be used"
        return f"{self.config} {verdict}: {_count(len(self.errors), ERROR)}, {_count(len(self.warnings), WARNING)}"

    def text(self) -> str:
        """One line a problem, then the summary."""
        return "\n".join([*(problem.text(self.config) for problem in self.problems), self.summary])

    def as_json(self) -> list[dict[str, Any]]:
        """The list that ``--json`` writes."""
        return [asdict(problem) for problem in self.problems]


def sorted_report(config: str, problems: Iterable[Problem]) -> Report:
    """A report in the order of the places, the config's own before those of other files, each problem once."""
    return Report(config, tuple(sorted(dict.fromkeys(problems), key=_place)))


def _place(problem: Problem) -> tuple[str, int, int, str, str]:
    return (problem.file or "", problem.line or 0, problem.column or 0, problem.severity, problem.path)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def path_text(path: Path) -> str:
    """``pairs[0].leg_a``; ``$`` for the whole document. Keys that are no plain words are quoted."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif step.replace("$", "").replace("-", "").isidentifier() and len(step) <= _LONGEST_WORD:
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{excerpt(step)}]")
    return "".join(parts) or "$"


def excerpt(value: Any) -> str:
    """A value as JSON writes it, on one line and shortened; lists and objects by their size."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(value if not isinstance(value, str) else value[:_LONGEST_WORD], ensure_ascii=False)
    text = "".join(char if char.isprintable() else "?" for char in text[: _LONGEST_WORD + 2])
    return text if not isinstance(value, str) or len(value) <= _LONGEST_WORD else f"{text}…"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to ``word``, None when none is near."""
    return _nearest(word, tuple(known)) if len(word) <= _LONGEST_WORD else None


@lru_cache(maxsize=4096)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.55)
    return by_lower[close[0]] if close else None
