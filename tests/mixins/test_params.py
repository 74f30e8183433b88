"""How parameters are declared and read."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import pytest

from mixins.params import Bounds, bounds, parameter, parameters


@dataclass(frozen=True)
class Params:
    e_size: int = parameter(3, "how many", min=1, max=9)
    e_level: float = parameter(0.5, "how far", above=0.0, max=1.0)
    e_word: str = parameter("a", "which", choices=("a", "b"))


def test_metadata_hold_only_the_bounds_that_were_given():
    size, level, word = fields(Params)
    assert dict(size.metadata) == {"help": "how many", "min": 1, "max": 9}
    assert dict(level.metadata) == {"help": "how far", "above": 0.0, "max": 1.0}
    assert dict(word.metadata) == {"help": "which", "choices": ("a", "b")}


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("e_size", (1, 9), (0, 10)),
        ("e_level", (1e-9, 1.0), (0.0, -1.0, 1.01, math.nan, math.inf)),
        ("e_word", ("a", "b"), ("c", "", None)),
    ],
)
def test_bounds_know_what_they_allow(name, inside, outside):
    limits = {each.name: bounds(each) for each in fields(Params)}[name]
    assert all(limits.allow(value) for value in inside)
    assert not any(limits.allow(value) for value in outside)


def test_bounds_say_themselves_in_words():
    assert [str(bounds(each)) for each in fields(Params)] == [
        "at least 1 and at most 9",
        "above 0 and at most 1",
        "one of a, b",
    ]
    assert str(Bounds()) == ""


def test_parameters_are_told_in_their_order_with_their_kind():
    told = [(each.name, each.kind, each.default, each.help) for each in parameters(Params)]
    assert told == [("e_size", int, 3, "how many"), ("e_level", float, 0.5, "how far"), ("e_word", str, "a", "which")]
