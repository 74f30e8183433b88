"""Where a config's values come from: a document, and on top of it what the environment or the command line says."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from trading.config.model import Config
from trading.config.position_json import Document, Path
from trading.config.report import ERROR, Problem, excerpt, path_text

_SECRET_KEY = re.compile(
    r"(^|_)(api_?keys?|secrets?|tokens?|passwords?|passwd|passphrase|private_?key|apikey|apisecret)($|_)", re.IGNORECASE
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_VALUE = re.compile(r"(?=.*[0-9])(?=.*[a-zA-Z])[A-Za-z0-9]{64}|[0-9]{8,10}:[A-Za-z0-9_-]{35}|-----BEGIN .*")
_SHORTEST_SECRET = 11
HIDDEN = "(hidden)"


def is_secret_key(key: str) -> bool:
    """True for keys under which people keep secrets (``api_key``, ``apiSecret``, ``telegram_token``)."""
    return len(key) <= 100 and _SECRET_KEY.search(_CAMEL.sub("_", key)) is not None


def is_secret_value(value: object) -> bool:
    """True for what looks like an exchange key, a bot token or a private key."""
    return isinstance(value, str) and len(value) >= _SHORTEST_SECRET and _SECRET_VALUE.match(value) is not None


@dataclass(frozen=True)
class Override:
    """One value from outside the file. ``origin``: "environment" or "command line"; ``name``: what the person wrote."""

    path: Path
    value: Any
    origin: str
    name: str


@dataclass(frozen=True)
class Source:
    """The values of one document with their places. ``file`` is None for the config itself."""

    document: Document
    values: Any
    file: str | None = None
    overrides: Mapping[Path, Override] = field(default_factory=dict)

    def value(self, path: Path) -> Any:
        """What stands at ``path``; ``MISSING`` where nothing does."""
        return _look_up(self.values, path)

    def problem(
        self,
        path: Path,
        message: str,
        *,
        severity: str = ERROR,
        key: bool = False,
        found: Any = None,
        expected: str | None = None,
        suggestion: str | None = None,
    ) -> Problem:
        """A problem at the value of ``path`` (at its key with ``key``); ``found`` defaults to what stands there."""
        if found is None:
            found = self._found(path)
        name, override = path_text(path), self._override(path)
        if override is not None:
            message = f"{override.name}: {message}"
            return Problem(name, None, None, severity, message, found, expected, suggestion, override.origin)
        line, column = self.document.key_position(path) if key else self.document.position(path)
        return Problem(name, line, column, severity, message, found, expected, suggestion, self.file)

    def flaws(self) -> Iterator[Problem]:
        """The faults of the document's form."""
        for flaw in self.document.flaws:
            yield Problem(
                path_text(flaw.path),
                flaw.line,
                flaw.column,
                ERROR,
                flaw.message,
                flaw.found,
                flaw.expected,
                None,
                self.file,
            )

    def _found(self, path: Path) -> str | None:
        value = self.value(path)
        if value is MISSING:
            return None
        if is_secret_value(value) or any(isinstance(step, str) and is_secret_key(step) for step in path):
            return HIDDEN
        return excerpt(value)

    def _override(self, path: Path) -> Override | None:
        """The override that set ``path``, or something around it, or that alone created it."""
        if not self.overrides:
            return None
        for end in range(len(path), 0, -1):
            if path[:end] in self.overrides:
                return self.overrides[path[:end]]
        if not path or self.document.has(path):
            return None
        return next((each for at, each in self.overrides.items() if at[: len(path)] == path), None)


class _Missing:
    """Nothing stands there; unlike None, which JSON can say."""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


def _look_up(values: Any, path: Path) -> Any:
    for step in path:
        if isinstance(values, dict) and step in values:
            values = values[step]
        elif isinstance(values, list) and isinstance(step, int) and 0 <= step < len(values):
            values = values[step]
        else:
            return MISSING
    return values


def overridden(source: Source, overrides: Iterable[Override]) -> tuple[Source, list[Problem]]:
    """``source`` with each override set, in order, and those that have no place to be set in.

    Containers on the way are copied, never changed.
    """
    values, applied = source.values, dict(source.overrides)
    lost: list[Path] = []
    for override in overrides:
        path = _existing_spelling(values, override.path)
        values = _with(values, path, override.value)
        applied[path] = override
        if _look_up(values, path) is not override.value:
            lost.append(path)
    result = Source(source.document, values, source.file, applied)
    return result, [result.problem(path, "there is no such place in the config") for path in lost]


def _existing_spelling(values: Any, path: Path) -> Path:
    """``path`` with each step as the document spells it: list items by number, keys whatever their case."""
    spelt: list[str | int] = []
    for step in path:
        found = _spelling(values, str(step))
        values = _look_up(values, (found,))
        spelt.append(found)
    return tuple(spelt)


def _spelling(values: Any, step: str) -> str | int:
    if isinstance(values, list) and step.isascii() and step.isdigit() and len(step) < 9:
        return int(step)
    if isinstance(values, dict):
        return next((key for key in values if key.lower() == step.lower()), step)
    return step


def _with(values: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(values, list) and isinstance(head, int) and head < len(values):
        return [*values[:head], _with(values[head], rest, value), *values[head + 1 :]]
    if isinstance(values, dict) or values is MISSING or values is None:
        known = values if isinstance(values, dict) else {}
        return {**known, str(head): _with(known.get(str(head), MISSING), rest, value)}
    return values


class Facts:
    """Typed answers about a config that may be wrong in places: a value of the wrong kind counts as unknown (None), an
    absent one as its default."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def given(self, *path: str | int) -> bool:
        """True when the file says something other than null there."""
        return self._source.value(path) not in (MISSING, None)

    def number(self, *path: str | int) -> float | None:
        return finite(self._value(path))

    def text(self, *path: str | int) -> str | None:
        value = self._value(path)
        return value if isinstance(value, str) else None

    def flag(self, *path: str | int) -> bool | None:
        value = self._value(path)
        return value if isinstance(value, bool) else None

    def items(self, *path: str | int) -> list[Any]:
        value = self._source.value(path)
        return value if isinstance(value, list) else []

    def members(self, *path: str | int) -> dict[str, Any]:
        value = self._source.value(path)
        return value if isinstance(value, dict) else {}

    def _value(self, path: Path) -> Any:
        value = self._source.value(path)
        return _defaults().get(path) if value is MISSING else value


def finite(value: object) -> float | None:
    """A finite number as a float, None for everything else (booleans are no numbers)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None


@lru_cache(maxsize=1)
def _defaults() -> dict[Path, Any]:
    """Path of a setting → its default, for every setting that has one."""
    return dict(_defaults_of(Config, ()))


def _defaults_of(model: type[BaseModel], path: Path) -> Iterator[tuple[Path, Any]]:
    for name, info in model.model_fields.items():
        here = (*path, info.alias or name)
        if isinstance(info.default, BaseModel):
            yield from _defaults_of(type(info.default), here)
        elif isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _defaults_of(info.annotation, here)
        elif info.default is not PydanticUndefined:
            yield here, info.default
