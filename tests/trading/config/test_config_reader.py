"""The JSON reader: values, places, and every fault of form as a flaw."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.config.position_json import MAX_BYTES, MAX_FLAWS, read_document


def test_values_keep_the_kinds_that_json_gives_them() -> None:
    values = read_document(b'{"a": 1, "b": 1.0, "c": true, "d": null, "e": "1", "f": [1e3, -2]}').values
    assert values == {"a": 1, "b": 1.0, "c": True, "d": None, "e": "1", "f": [1000.0, -2]}
    assert [type(values[key]) for key in "abce"] == [int, float, bool, str]


def test_every_key_and_value_has_its_line_and_column() -> None:
    document = read_document(b'{\n  "a": [10,\n    20],\n  "b": {"c": true}\n}')
    assert document.key_position(("a",)) == (2, 3)
    assert document.position(("a",)) == (2, 8)
    assert document.position(("a", 1)) == (3, 5)
    assert document.key_position(("b", "c")) == (4, 9)
    assert document.position(("b", "c")) == (4, 14)
    assert document.position(("b", "absent", 3)) == (4, 8)


def test_columns_count_characters_not_bytes() -> None:
    assert read_document('{"ä€": "ö", "x": 1}'.encode()).position(("x",)) == (1, 18)


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


@given(json_values, st.sampled_from([None, 0, 2]), st.booleans())
def test_what_json_writes_is_read_as_json_reads_it(value: object, indent: int | None, ascii_only: bool) -> None:
    document = read_document(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode())
    assert document.readable and document.flaws == ()
    assert repr(document.values) == repr(value)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        (b"", 1, 1, "the file is empty"),
        (b" \n ", 2, 2, "the file is empty"),
        (b'\xef\xbb\xbf{"a": 1}', 1, 1, "byte-order mark"),
        (b'{"a": 1,\n "a": 2}', 2, 2, "given twice; it first stands at line 1, column 2"),
        (b'{"a": NaN}', 1, 7, "no number that can be compared"),
        (b'{"a": -Infinity}', 1, 7, "no number that can be compared"),
        (b'{"a": 1e400}', 1, 7, "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", 1, 7, "too large"),
        (b'{"a": "\xff"}', 1, 8, "not UTF-8 (byte 0xff)"),
        (b'{"a": 1} junk', 1, 10, "follows the end"),
        (b'{"a": 1,}', 1, 8, 'a comma stands before the closing "}"'),
        (b"[1, 2,]", 1, 6, 'a comma stands before the closing "]"'),
        (b'{"a": 1\n "b": 2}', 2, 2, "a comma is missing"),
        (b'{"a": True}', 1, 7, "JSON writes this true"),
        (b'{"a": 01}', 1, 7, "not written as JSON writes numbers"),
        (b'{"a": .5}', 1, 7, "not written as JSON writes numbers"),
        (b'{"a": mock}', 1, 7, "a text needs double quotes"),
        (b'{"a": "b\\q"}', 1, 9, "starts no JSON escape"),
        (b'{"a": "b\tc"}', 1, 9, "a control character"),
        (b'{"a": "\\ud800"}', 1, 7, "no printable character"),
        (b'{"a": "\\u0000"}', 1, 7, "no printable character"),
        (b'{"a" 1}', 1, 6, "a colon was expected"),
        (b"{a: 1}", 1, 2, "a key was expected"),
        (b"{'a': 1}", 1, 2, "a key was expected"),
        (b"{\"a\": 'b'}", 1, 7, "double quotes"),
        (b'{"a": // note\n 1}', 1, 7, "JSON has no comments"),
        (b'{"a": "b\n"}', 1, 7, "not closed on its line"),
        (b'{"a":\n [1, 2', 2, 7, "the file ends inside the list opened at line 2, column 2"),
        (b'{"a": {"b": 1', 1, 14, "the file ends inside the object opened at line 1, column 7"),
        (b'{"a": 1]', 1, 8, "breaks off here"),
        (b'{"a": }', 1, 7, "a value was expected"),
        (b"[" * 10_000, 1, 101, "nested deeper than 100 levels"),
        (b'{"a":' * 10_000, 1, 501, "nested deeper than 100 levels"),
        (b" " * MAX_BYTES, 1, 1, "10,000,000 bytes"),
        (b"[" + b"0," * 300_000 + b"0]", 1, 200_704, "more than 100,000 values"),
    ],
)
def test_each_fault_of_form_is_told_with_its_place(text: bytes, line: int, column: int, words: str) -> None:
    flaw = read_document(text).flaws[0]
    assert words in flaw.message
    assert (flaw.line, flaw.column) == (line, column)


def test_reading_goes_on_past_faults_that_leave_the_values_usable() -> None:
    document = read_document(b'{"a": NaN, "b": 1e999, "a": 01, "c": True "d": [1,],} x')
    assert document.readable
    assert document.values == {"a": 1.0, "b": math.inf, "c": True, "d": [1]}
    assert len(document.flaws) == 9


def test_a_hundred_levels_are_read_and_a_hundred_and_one_are_not() -> None:
    assert read_document(b"[" * 100 + b"]" * 100).flaws == ()
    assert not read_document(b"[" * 101 + b"]" * 101).readable


def test_faults_without_end_stop_the_reading() -> None:
    document = read_document(b"[" + b"NaN," * 5_000 + b"0]")
    assert not document.readable
    assert len(document.flaws) == MAX_FLAWS + 1


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    document = read_document(data)
    assert document.readable or document.flaws
