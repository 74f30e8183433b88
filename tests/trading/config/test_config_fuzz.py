"""50,000 broken documents: never a traceback, and what is accepted loads (the reverse too)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.config.config_texts import pair_config, single_config
from trading.config.loader import ConfigError, load_config
from trading.config_validator import ConfigValidator

PROJECT = Path(__file__).resolve().parents[3]
BASES = (
    pair_config(),
    single_config(),
    pair_config({"broker.faults": [{"kind": "reject", "at": 3}], "pairs.0.hedge": {"method": "fixed"}}),
    pair_config({"signal.entry_threshold": 2.0, "strategy.hedge": {"method": "fixed"}, "pairs_file": None}),
)
SHIPPED = tuple(
    path.read_bytes() for path in (PROJECT / "config" / "trading").glob("*.json") if path.name != "schema.json"
)
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, 1e308, 10**30, -(10**300), "", "x", "é\n\u2028", "0", "NaN", "../x", "/", "\x00",
    "mock", "binance", "BTCUSDT", "a:b", "os:path", "x" * 300, [], {}, [[]], {"": {}}, [1, "2", None], {"name": 5},
    "2024-01-01", "9999-12-31T23:59:59+00:00", "0001-01-01", "[::1", "http://[", 4.0, 17, 0.001, 100, 2000,
)  # fmt: skip
SNIPPETS = (
    b"NaN", b"1e400", b"-Infinity", b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\xff",
    b"\xef\xbb\xbf", b"\x00", b"\n", b"//", b"true", b"null", b"01", b"0.", b"9" * 400, b'"a":1,', b"[" * 200, b"'",
)  # fmt: skip

ALPHABET = b'{}[]",:0123456789.eE-+tfn \\u'


def _mutated_values(seed: int, count: int) -> Iterator[bytes]:
    """Good configs with one to four values, keys or members changed, moved or lost."""
    draw = random.Random(seed)
    for _ in range(count):
        values = json.loads(json.dumps(draw.choice(BASES)))
        for _ in range(draw.randint(1, 4)):
            _mutate(draw, values)
        yield json.dumps(values, indent=draw.choice((None, 1))).encode()


def _mutate(draw: random.Random, values: Any) -> None:
    here = values
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            return
        key = draw.choice(keys)
        inner = here[key]
        if not isinstance(inner, dict | list) or draw.random() < 0.25:
            break
        here = inner
    _change(draw, here, key)


def _change(draw: random.Random, here: Any, key: Any) -> None:
    kind = draw.randrange(4)
    if kind == 0:
        del here[key]
    elif kind == 1 and isinstance(here, dict):
        here[_misspelt(draw, key)] = here.pop(key)
    elif kind == 2 and isinstance(here[key], int | float) and not isinstance(here[key], bool):
        here[key] = here[key] * draw.choice((0, -1, 0.01, 0.5, 2, 100, 10**9))
    else:
        here[key] = draw.choice(ODD)


def _misspelt(draw: random.Random, key: str) -> str:
    at = draw.randint(0, max(0, len(key) - 1))
    return draw.choice((key[:at] + key[at + 1 :], key + "s", key.upper(), "api_key", ""))


def _mutated_bytes(seed: int, count: int) -> Iterator[bytes]:
    """Good files cut, stitched, and with bytes and snippets thrown in."""
    draw = random.Random(seed)
    texts = [*SHIPPED, *(json.dumps(base).encode() for base in BASES)]
    for _ in range(count):
        data = bytearray(draw.choice(texts))
        for _ in range(draw.randint(1, 5)):
            start = draw.randrange(len(data) + 1)
            stop = start + draw.choice((0, 0, 1, 2, 30))
            data[start:stop] = draw.choice((b"", draw.choice(SNIPPETS), bytes([draw.randrange(256)])))
        yield bytes(data[: draw.randrange(len(data) + 1)] if draw.random() < 0.2 else data)


def _generated(seed: int, count: int) -> Iterator[bytes]:
    """JSON that no one wrote: nests of the config's own words and odd values."""
    draw = random.Random(seed)
    words = sorted({*_words(BASES[0]), *_words(BASES[1]), "", "x", "password"})
    for _ in range(count):
        yield json.dumps(_tree(draw, words, 4)).encode()


def _words(values: Any) -> Iterator[str]:
    for key, inner in values.items() if isinstance(values, dict) else ():
        yield key
        yield from _words(inner)


def _tree(draw: random.Random, words: list[str], depth: int) -> Any:
    kind = draw.random()
    if depth and kind < 0.5:
        return {draw.choice(words): _tree(draw, words, depth - 1) for _ in range(draw.randrange(6))}
    if depth and kind < 0.6:
        return [_tree(draw, words, depth - 1) for _ in range(draw.randrange(4))]
    return draw.choice(ODD)


def _raw(seed: int, count: int) -> Iterator[bytes]:
    """Bytes of no meaning, some of them of JSON's own alphabet."""
    draw = random.Random(seed)
    for _ in range(count):
        size = draw.randrange(120)
        yield (
            draw.randbytes(size)
            if draw.random() < 0.5
            else bytes(draw.choices(b'{}[]",:0123456789.eE-+tfn \\u', k=size))
        )


KINDS = {"values": (_mutated_values, 14_000), "bytes": (_mutated_bytes, 8_000), "generated": (_generated, 13_000),
         "raw": (_raw, 15_000)}  # fmt: skip


def test_the_kinds_make_fifty_thousand_documents() -> None:
    assert sum(count for _, count in KINDS.values()) == 50_000


@pytest.mark.parametrize("kind", KINDS)
def test_no_document_raises_and_what_is_accepted_loads(kind: str, tmp_path: Path) -> None:
    make, count = KINDS[kind]
    validator, path = ConfigValidator(), tmp_path / "config.json"
    accepted = refused = 0
    for data in make(seed=20_261_120, count=count):
        report = validator.examine_bytes(data, path).report
        accepted, refused = accepted + report.ok, refused + (not report.ok)
        if report.ok or refused % 10 == 0:
            _agrees_with_the_loader(data, report.ok, path)
            assert len(report.text().splitlines()) == len(report.problems) + 1
            json.dumps(report.as_json(), allow_nan=False)
    assert accepted + refused == count and refused > count / 4
    assert accepted > 200 or kind in ("generated", "raw")


def _agrees_with_the_loader(data: bytes, accepted: bool, path: Path) -> None:
    path.write_bytes(data)
    try:
        loaded = load_config(path, environ={})
    except ConfigError as error:
        assert not accepted and error.report.errors
        return
    assert accepted and loaded.pairs and loaded.entry.params is not None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_that_hypothesis_finds_raise(data: bytes) -> None:
    examination = ConfigValidator().examine_bytes(data)
    assert examination.loaded is None and not examination.report.ok


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(pair_config())),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
            max_leaves=8,
        ),
    )
)
def test_no_values_that_hypothesis_finds_raise(changes: dict[str, Any]) -> None:
    examination = ConfigValidator().examine_bytes(json.dumps({**pair_config(), **changes}).encode())
    assert examination.report.ok == (examination.loaded is not None)
