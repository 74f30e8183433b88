"""Entry and exit rules as the config names them: found by name, their parameters checked against their bounds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mixins.params import Parameter, parameters
from mixins.registry import ENTRY_RULES, EXIT_RULES, Kind, RuleNotFound, resolve
from trading.config.messages import unknown_key
from trading.config.model import RuleSpec
from trading.config.position_json import Path
from trading.config.report import WARNING, Problem, did_you_mean, excerpt
from trading.config.source import MISSING, Source, finite

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_SIGNAL_NAMES = {
    "entry": {"entry_threshold": "e_entry_z", "lookback_bars": "e_window"},
    "exit": {"exit_threshold": "x_exit_z", "stop_loss_threshold": "x_stop_z"},
}


@dataclass(frozen=True)
class RuleFacts:
    """What is known of one rule of the config, also when parts of it are wrong. ``spec`` is None when it cannot be
    built."""

    kind: Kind
    source: Source
    rule: type[Any] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Path] = field(default_factory=dict)
    spec: RuleSpec | None = None

    @property
    def path(self) -> Path:
        return ("strategy", f"{self.kind}_logic")

    def number(self, name: str) -> float | None:
        """A parameter as it would be used, None when the rule has none of that name or its value is wrong."""
        return finite(self.values.get(name))

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def place(self, name: str) -> Path:
        """Where the file says the parameter, or where it could."""
        return self.places.get(name, (*self.path, "params", name))

    @property
    def warmup_bars(self) -> int | None:
        """Bars before the rule's first answer, None when it cannot be built."""
        if self.spec is None:
            return None
        try:
            return int(self.spec.rule.warmup_bars(self.spec.params))  # type: ignore[attr-defined]
        except Exception:  # a rule of the user's own may fail in any way
            return None


def read_rule(kind: Kind, source: Source) -> tuple[RuleFacts, list[Problem]]:
    """The rule of ``kind`` and everything wrong with its name and parameters."""
    facts = RuleFacts(kind, source)
    name = source.value((*facts.path, "name"))
    params = source.value((*facts.path, "params"))
    given = dict(params) if isinstance(params, dict) else {}
    rule, problems = _find(name, facts) if isinstance(name, str) and name else (None, [])
    if rule is None:
        return RuleFacts(kind, source, None, given), problems
    return _with_params(RuleFacts(kind, source, rule), str(name), given, problems)


def _find(name: str, facts: RuleFacts) -> tuple[type[Any] | None, list[Problem]]:
    known = _known(facts.kind)
    module, colon, _ = name.partition(":")
    if colon and module.split(".")[0] in sys.stdlib_module_names:
        return None, [_not_found(facts, "a rule of your own lies in a module of your own, not in the standard library")]
    try:
        return resolve(name, facts.kind), []
    except Exception as error:  # a module of the user's own may fail in any way
        if ":" in name or not isinstance(error, RuleNotFound):
            return None, [_not_found(facts, _one_line(str(error)))]
    other = "exit" if facts.kind == "entry" else "entry"
    if name in _known(other):
        return None, [_not_found(facts, f"this is an {other} rule; an {facts.kind} rule is wanted here")]
    return None, [_not_found(facts, f"there is no {facts.kind} rule of this name", did_you_mean(name, known))]


def _not_found(facts: RuleFacts, message: str, suggestion: str | None = None) -> Problem:
    expected = f"one of {', '.join(_known(facts.kind))}, or module:Class"
    return facts.source.problem((*facts.path, "name"), message, expected=expected, suggestion=suggestion)


def _known(kind: str) -> tuple[str, ...]:
    return tuple(sorted(ENTRY_RULES if kind == "entry" else EXIT_RULES))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _with_params(
    facts: RuleFacts, name: str, given: dict[str, Any], problems: list[Problem]
) -> tuple[RuleFacts, list[Problem]]:
    known = _parameters(facts.rule.Params)  # type: ignore[union-attr]
    values, places, clashes = _with_signal(facts, given, known)
    problems = [*problems, *clashes, *_unknown(facts, given, known)]
    good: dict[str, Any] = {}
    for key, parameter in known.items():
        value, problem = _checked(facts, parameter, values.get(key, parameter.default), places.get(key))
        good[key] = value
        problems += [problem] if problem else []
    spec, problem = _built(facts, name, good) if not problems else (None, None)
    problems += [problem] if problem else []
    rest = {key: values.get(key) if good[key] is None else good[key] for key in good}
    return RuleFacts(facts.kind, facts.source, facts.rule, rest, places, spec), [*problems, *_unused(facts, known)]


@lru_cache(maxsize=256)
def _parameters(params_class: type[Any]) -> dict[str, Parameter]:
    return {each.name: each for each in parameters(params_class)}


def _with_signal(
    facts: RuleFacts, given: dict[str, Any], known: Mapping[str, Parameter]
) -> tuple[dict[str, Any], dict[str, Path], list[Problem]]:
    """The parameters with those that the section ``signal`` says by its own names, and the two that disagree."""
    values, clashes = dict(given), []
    places: dict[str, Path] = {key: (*facts.path, "params", key) for key in given}
    for theirs, ours in _SIGNAL_NAMES[facts.kind].items():
        value = facts.source.value(("signal", theirs))
        if value in (MISSING, None) or ours not in known:
            continue
        if ours not in given:
            values[ours], places[ours] = value, ("signal", theirs)
        elif given[ours] != value:
            clashes.append(_clash(facts, theirs, places[ours], given[ours]))
    return values, places, clashes


def _clash(facts: RuleFacts, theirs: str, place: Path, value: Any) -> Problem:
    expected = f"{excerpt(value)}, as {place[-1]} says, or only one of the two"
    return facts.source.problem(
        ("signal", theirs), f"says another value than {place[-1]} of the rule", expected=expected
    )


def _unused(facts: RuleFacts, known: Mapping[str, Parameter]) -> Iterator[Problem]:
    for theirs, ours in _SIGNAL_NAMES[facts.kind].items():
        if facts.source.value(("signal", theirs)) not in (MISSING, None) and ours not in known:
            message = f"has no effect: the {facts.kind} rule has no parameter {ours}"
            yield facts.source.problem(("signal", theirs), message, severity=WARNING, key=True)


def _unknown(facts: RuleFacts, given: Mapping[str, Any], known: Mapping[str, Parameter]) -> Iterator[Problem]:
    for key in given:
        if key not in known:
            yield unknown_key(facts.source, (*facts.path, "params", key), tuple(known))


def _checked(facts: RuleFacts, parameter: Parameter, value: Any, place: Path | None) -> tuple[Any, Problem | None]:
    """The value in the parameter's own kind, or None and why not."""
    if place is None:
        return value, None
    if not _is_of_kind(value, parameter.kind):
        expected = _WORDS.get(parameter.kind, parameter.kind.__name__)
        return None, facts.source.problem(place, f"{parameter.name} is of the wrong kind", expected=expected)
    if parameter.bounds.allow(value):
        return (float(value) if parameter.kind is float else value), None
    near = did_you_mean(value, parameter.bounds.choices or ()) if isinstance(value, str) else None
    message = f"{parameter.name} is out of bounds" if parameter.bounds.choices is None else "is not one of the choices"
    return None, facts.source.problem(place, message, expected=str(parameter.bounds), suggestion=near)


def _is_of_kind(value: Any, kind: type) -> bool:
    if kind is float:
        return finite(value) is not None
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _built(facts: RuleFacts, name: str, values: dict[str, Any]) -> tuple[RuleSpec | None, Problem | None]:
    rule = facts.rule
    assert rule is not None
    try:
        return RuleSpec(name, rule, rule.Params(**values)), None
    except Exception as error:  # a rule of the user's own may refuse in any way
        message = f"{name} refuses these parameters: {_one_line(str(error)) or type(error).__name__}"
        return None, facts.source.problem((*facts.path, "params"), message)
