"""Times as text and back."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading import utc_text
from trading.journal import words
from trading.utc_text import parse_utc
from trading.utc_text import utc_text as text_of


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)), st.integers(-14, 14))
def test_a_time_of_any_zone_survives_as_utc(when: datetime, hours: int) -> None:
    aware = when.replace(tzinfo=timezone(timedelta(hours=hours)))
    text = text_of(aware)
    assert text.endswith("Z") and parse_utc(text) == aware and parse_utc(text).tzinfo is UTC


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="give it tzinfo=UTC"):
        text_of(datetime(2024, 1, 1))


@pytest.mark.parametrize("module", [utc_text, words])
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted > 0 and results.failed == 0
