"""The rules that exist by name, and how a user's own is found.

A name is one of the registered ones, or a dotted path ``my_rules:MyEntryMixin`` (module, colon, class) that is looked
for wherever Python looks and then in the working directory.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

from mixins.base import EntryMixin, ExitMixin
from mixins.exits import (
    ATRExitMixin,
    FixedRatioExitMixin,
    RSIBBExitMixin,
    TimeBasedExitMixin,
    TrailingStopExitMixin,
)
from mixins.params import KINDS, parameters
from mixins.rsi_entries import (
    RSIBBEntryMixin,
    RSIBBVolumeEntryMixin,
    RSIIchimokuEntryMixin,
    RSIVolumeSupertrendEntryMixin,
)
from mixins.zscore import ZScoreEntryMixin, ZScoreExitMixin

Kind = Literal["entry", "exit"]

ENTRY_RULES: dict[str, type[EntryMixin]] = {
    rule.__name__: rule
    for rule in (
        ZScoreEntryMixin,
        RSIBBEntryMixin,
        RSIBBVolumeEntryMixin,
        RSIIchimokuEntryMixin,
        RSIVolumeSupertrendEntryMixin,
    )
}
EXIT_RULES: dict[str, type[ExitMixin]] = {
    rule.__name__: rule
    for rule in (
        ZScoreExitMixin,
        RSIBBExitMixin,
        ATRExitMixin,
        TrailingStopExitMixin,
        TimeBasedExitMixin,
        FixedRatioExitMixin,
    )
}
MARKETS = ("single", "pair", "any")


class RuleNotFound(LookupError):
    """A config names a rule that does not exist or cannot serve; the message says what does exist or what is wrong."""


def resolve(name: str, kind: Kind) -> type[Any]:
    """The class of the entry or exit rule ``name``, ready to be built. Raises ``RuleNotFound``."""
    known: dict[str, type[Any]] = dict(ENTRY_RULES if kind == "entry" else EXIT_RULES)
    if name in known:
        return known[name]
    if ":" in name:
        return _user_rule(name, kind)
    other = EXIT_RULES if kind == "entry" else ENTRY_RULES
    found = f"{name!r} is no {kind} rule" if name in other else f"there is no {kind} rule {name!r}"
    raise RuleNotFound(f"{found}; those that exist: {', '.join(sorted(known))}; or name your own as module:Class")


def _user_rule(path: str, kind: Kind) -> type[Any]:
    module_name, _, class_name = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise RuleNotFound(f"a rule of your own is named module:Class (my_rules:MyEntryMixin), found {path!r}")
    module = _import(module_name, path)
    if not hasattr(module, class_name):
        raise RuleNotFound(f"{path!r}: the module {module_name} has no {class_name}")
    rule = getattr(module, class_name)
    problem = _why_not_a_rule(rule, kind)
    if problem is not None:
        raise RuleNotFound(f"{path!r} cannot serve as {kind} rule: {problem}")
    return rule


def _import(module_name: str, path: str) -> Any:
    """Import a user's module. The working directory goes last and stays on the path: last, so that a file there cannot
    shadow a library; stays, so that other processes of an optimisation can unpickle the rule."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a user's module may fail in any way; validation must go on
        raise RuleNotFound(f"{path!r}: importing {module_name} failed: {type(error).__name__}: {error}") from error


def _why_not_a_rule(rule: Any, kind: Kind) -> str | None:
    base, prefix = (EntryMixin, "e_") if kind == "entry" else (ExitMixin, "x_")
    if not (isinstance(rule, type) and issubclass(rule, base)):
        return f"it must be a class that inherits from mixins.base.{base.__name__}"
    if rule.decide is base.decide:
        return "it has no decide() of its own"
    if rule.market not in MARKETS:
        return f"its market must be one of {', '.join(MARKETS)}, found {rule.market!r}"
    return _why_not_params(getattr(rule, "Params", None), prefix)


def _why_not_params(params: Any, prefix: str) -> str | None:
    if not (isinstance(params, type) and is_dataclass(params) and params.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        return "its Params must be a frozen dataclass (@dataclass(frozen=True))"
    for each in fields(params):
        if not each.name.startswith(prefix):
            return f"the parameter {each.name} must begin with {prefix}"
        if each.default is MISSING:
            return f"the parameter {each.name} needs a default"
    return _why_not_kinds(params)


def _why_not_kinds(params: type) -> str | None:
    try:
        odd = [each.name for each in parameters(params) if each.kind not in KINDS]
    except (NameError, TypeError) as error:
        return f"the types of its parameters cannot be read: {error}"
    return f"the parameters {', '.join(odd)} must be int, float, bool or str" if odd else None
