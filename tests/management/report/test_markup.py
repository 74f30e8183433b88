"""Text never becomes markup."""

from __future__ import annotations

import doctest
import importlib
from html.parser import HTMLParser

import pytest

from management.report.markup import VOID, Markup, joined, tag


class Balanced(HTMLParser):
    """Raises AssertionError where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, name: str, attributes: object) -> None:
        self.names.append(name)
        self.open.append(name)

    def handle_startendtag(self, name: str, attributes: object) -> None:
        self.names.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


def test_text_and_attributes_are_escaped_and_markup_is_not() -> None:
    evil = "<script>alert(1)</script>"
    made = tag("p", evil, Markup("<b>x</b>"), title='"><img src=x>')
    assert "<script>" not in made and "<img" not in made and "<b>x</b>" in made


def test_children_may_be_nested_collections() -> None:
    assert joined(["a", [tag("i", "b"), ["<"]]]) == "a<i>b</i>&lt;"


def test_what_is_made_is_balanced() -> None:
    parser = Balanced()
    parser.feed(tag("div", tag("p", "x"), tag("br"), tag("path", tag("title", "t"), d="M0")))
    assert parser.open == [] and set(parser.names) & VOID


@pytest.mark.parametrize(
    "name", ["management.report.markup", "trading.reports.csv_text", "trading.config.redaction", "trading.utc_text"]
)
def test_every_example_in_the_docstrings_is_true(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0 and outcome.failed == 0
