"""How a rule declares its parameters, and how a validator reads them.

A rule's ``Params`` is a frozen dataclass of ``int``, ``float``, ``bool`` and ``str`` fields. Each field is written with
``parameter(...)``, which puts the bounds and the help into the field's metadata: ``min`` and ``max`` are inclusive,
``above`` is an exclusive lower bound, ``choices`` a tuple of the only values allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, get_type_hints

KINDS: tuple[type, ...] = (int, float, bool, str)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values a parameter may take; an absent bound is None."""

    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] | None = None

    def allow(self, value: Any) -> bool:
        """True when ``value``, already of the right kind, lies inside. NaN lies inside no numeric bound."""
        if self.choices is not None:
            return value in self.choices
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= self.maximum)
        )

    def __str__(self) -> str:
        if self.choices is not None:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        named = (("at least", self.minimum), ("above", self.above), ("at most", self.maximum))
        return " and ".join(f"{word} {bound:g}" for word, bound in named if bound is not None)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as a validator or a page of help needs it."""

    name: str
    kind: type
    default: Any
    bounds: Bounds
    help: str


def parameter(
    default: Any,
    help: str,
    *,
    min: float | None = None,
    above: float | None = None,
    max: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """A dataclass field with its bounds and help in the metadata; bounds that are not given are left out."""
    given = {"min": min, "above": above, "max": max, "choices": choices}
    return field(default=default, metadata={"help": help} | {k: v for k, v in given.items() if v is not None})


def bounds(of: Field[Any]) -> Bounds:
    """The bounds in the metadata of a dataclass field."""
    read = of.metadata.get
    return Bounds(read("min"), read("above"), read("max"), read("choices"))


def parameters(params_class: type) -> Iterator[Parameter]:
    """The parameters of a ``Params`` class in the order they are written."""
    kinds = get_type_hints(params_class)
    for each in fields(params_class):
        yield Parameter(each.name, kinds[each.name], each.default, bounds(each), each.metadata.get("help", ""))
