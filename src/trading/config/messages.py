"""Turns what the strict sections refuse into sentences with a place, what was wanted, and did-you-mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from trading.config.position_json import Path
from trading.config.report import Problem, did_you_mean, excerpt
from trading.config.sections import NAME_PATTERN, SYMBOL_PATTERN
from trading.config.source import HIDDEN, Source, is_secret_key, is_secret_value

SECRETS_ELSEWHERE = "a secret stands in the config; secrets come from the environment or a 0600 file"

_KINDS = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "model_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_PATTERNS = {
    SYMBOL_PATTERN: "a symbol such as BTC/USDT or BTCUSDT",
    NAME_PATTERN: "1 to 48 letters, digits, _ or -",
}
_QUOTED = re.compile(r"'([^']*)'")


def explain(model: type[BaseModel], error: ValidationError, source: Source) -> Iterator[Problem]:
    """One problem for each refusal, save those that only follow from another."""
    for refusal in error.errors(include_url=False, include_input=False):
        path = tuple(step for step in refusal["loc"] if step != "[key]")
        problem = _explained(model, str(refusal["type"]), path, refusal.get("ctx", {}), str(refusal["msg"]), source)
        if problem is not None:
            yield problem


def _explained(
    model: type[BaseModel], kind: str, path: Path, context: Mapping[str, Any], message: str, source: Source
) -> Problem | None:
    if kind == "extra_forbidden":
        return unknown_key(source, path, known_keys(model, path[:-1]))
    if kind == "missing":
        return source.problem(path, f'the key "{path[-1]}" is missing')
    if kind == "literal_error":
        return _wrong_word(source, path, str(context["expected"]))
    if kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        return source.problem(path, "is out of bounds", expected=f"{word} {context[bound]:g}")
    if kind in _KINDS:
        return source.problem(path, "is of the wrong kind", expected=_KINDS[kind])
    return _of_length_or_form(kind, path, context, message, source)


def _of_length_or_form(
    kind: str, path: Path, context: Mapping[str, Any], message: str, source: Source
) -> Problem | None:
    if kind == "string_pattern_mismatch":
        expected = _PATTERNS.get(str(context["pattern"]), "an address such as https://host:port")
        return source.problem(path, "is not written as it should be", expected=expected)
    if kind in ("too_short", "string_too_short"):
        return None if source.value(path) else source.problem(path, "is empty", expected="at least one")
    if kind in ("too_long", "string_too_long"):
        return source.problem(path, "is too long", expected=f"at most {context['max_length']:,}")
    return source.problem(path, message, expected=context.get("expected"))


def unknown_key(source: Source, path: Path, known: tuple[str, ...]) -> Problem:
    """The problem of a key that does not exist, with the nearest that does."""
    key = str(path[-1])
    if is_secret_key(key) or is_secret_value(source.value(path)):
        return source.problem(path, SECRETS_ELSEWHERE, key=True, found=HIDDEN)
    expected = f"one of {', '.join(known)}" if known else "no key here"
    return source.problem(
        path,
        "there is no such key",
        key=True,
        found=excerpt(key),
        expected=expected,
        suggestion=did_you_mean(key, known),
    )


def _wrong_word(source: Source, path: Path, expected: str) -> Problem:
    words = tuple(_QUOTED.findall(expected))
    found = source.value(path)
    near = did_you_mean(found, words) if isinstance(found, str) else None
    return source.problem(
        path, "is not one of the words known here", expected=f"one of {', '.join(words)}", suggestion=near
    )


@lru_cache(maxsize=256)
def _keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(info.alias or name for name, info in model.model_fields.items())


def known_keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The keys that exist in the object at ``path``."""
    section = _section(model, tuple(step for step in path if isinstance(step, str)))
    return _keys_of(section) if section is not None else ()


@lru_cache(maxsize=256)
def _section(model: type[BaseModel], path: tuple[str, ...]) -> type[BaseModel] | None:
    for step in path:
        info = {field.alias or name: field for name, field in model.model_fields.items()}.get(step)
        inner = _model_in(info.annotation) if info is not None else model
        if inner is None:
            return None
        model = inner
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
