"""What is shown of long and hostile texts."""

from __future__ import annotations

import re
from html import unescape

from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.bot_desk import Answer
from notifications.telegram.text import MAX_PAGES, MESSAGE_UNITS, answer_pages, html, units

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


def shown(markup: str) -> str:
    return unescape(re.sub(r"</?(?:b|i|code|pre)>", "", markup))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "b", "code"]), TEXTS), max_size=6), st.integers(6, 200))
def test_whatever_is_said_fits_and_nothing_of_it_becomes_markup(pieces, limit):
    said = "".join(text for _, text in pieces)
    markup = html(pieces, limit)
    assert re.sub(r"</?(?:b|i|code|pre)>", "", markup).count("<") == 0
    text = shown(markup)
    assert units(text) <= limit
    assert text == said if units(said) <= limit else text.endswith("\n… cut")
    assert said.startswith(text.removesuffix("\n… cut"))


def test_half_a_letter_is_shown_as_a_question_mark():
    assert answer_pages(Answer("a\ud800", ("b\udfff",))) == ["<b>a?</b>\nb?"]


def test_a_short_answer_is_one_message():
    assert answer_pages(Answer("Title", ("a < b", "c"))) == ["<b>Title</b>\na &lt; b\nc"]
    assert answer_pages(Answer("Title")) == ["<b>Title</b>"]
    assert answer_pages(Answer("Title", ("a",), is_table=True)) == ["<b>Title</b>\n<pre>a</pre>"]


def test_a_long_answer_comes_in_pages_of_whole_lines_and_says_what_it_leaves_out():
    lines = tuple(f"line {number} <&>" * 10 for number in range(300))
    pages = [shown(page) for page in answer_pages(Answer("Log", lines, is_table=True))]
    assert len(pages) == MAX_PAGES and all(units(page) <= MESSAGE_UNITS for page in pages)
    assert pages[0].startswith("Log (1/4)\n") and pages[3].startswith("Log (4/4)\n")
    told = [line for page in pages for line in page.splitlines() if line in lines]
    assert told == list(lines[: len(told)])
    assert pages[-1].endswith(f"… cut: {300 - len(told)} more lines")


def test_a_line_longer_than_a_message_is_cut():
    (page,) = answer_pages(Answer("Log", ("😀" * 5000,)))
    assert units(shown(page)) <= MESSAGE_UNITS and shown(page).endswith("… cut")
