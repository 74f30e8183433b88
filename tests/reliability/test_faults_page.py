"""The page of faults names every entry of the catalogue, and only tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.conftest import PROJECT

PAGE = (PROJECT / "docs" / "faults.md").read_text(encoding="utf-8")
LAST = {
    "T": 16,
    "X": 37,
    "D": 16,
    "K": 20,
    "P": 13,
    "C": 8,
    "G": 16,
    "R": 9,
    "Z": 6,
    "B": 8,
    "N": 9,
    "TGC": 7,
    "W": 11,
    "S": 8,
}
ROWS = re.findall(r"^\| ([A-Z]+\d+) \| (.+?) \| (.+) \|$", PAGE, flags=re.MULTILINE)


def test_every_entry_of_the_catalogue_stands_once_and_in_order() -> None:
    wanted = [f"{group}{number}" for group, last in LAST.items() for number in range(group != "K", last + 1)]
    assert [number for number, _, _ in ROWS] == wanted


@pytest.mark.parametrize("number", [number for number, _, _ in ROWS])
def test_what_is_named_exists_and_the_rest_says_why(number: str) -> None:
    (proof,) = [proof for one, _, proof in ROWS if one == number]
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", proof)
    assert named or len(proof.split()) > 10
    for file, name in named:
        assert re.search(rf"def {name}\(", (PROJECT / file).read_text(encoding="utf-8")), f"{file} has no {name}"
