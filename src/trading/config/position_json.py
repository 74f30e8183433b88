"""A JSON reader that remembers where everything stood, so that a message can name line and column.

It never raises for what the bytes hold: every fault becomes a ``Flaw``, and reading goes on wherever the values are
still usable (duplicate keys, NaN, a trailing comma), so that one run finds all that is wrong. Limits keep a hostile
document harmless: its bytes, its depth and its number of values.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_BYTES = 10_000_000
MAX_DEPTH = 100
MAX_VALUES = 100_000
MAX_FLAWS = 1_000

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN_KEY = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_SCALAR = re.compile(
    r'"([^"\\\x00-\x1f]*)"'
    r"|(-?(?:0|[1-9][0-9]*)((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))(?![0-9A-Za-z_.+-])"
    r"|(true|false|null)(?![0-9A-Za-z_.+-])"
)
_WORD = re.compile(r"[0-9A-Za-z_.+-]+")
_CHUNK = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_LITERALS = {"true": True, "false": False, "null": None}
_MISSPELT = {"True": True, "False": False, "None": None, "TRUE": True, "FALSE": False, "NULL": None}
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf, "+Infinity": math.inf}
_NUMBER_LIKE = re.compile(r"[-+]?(?=[0-9.])[0-9]{0,300}\.?[0-9]{0,300}")
_LONGEST_INTEGER = 308


@dataclass(frozen=True, slots=True)
class Flaw:
    """One fault of the document's form. ``line`` and ``column`` count characters from 1."""

    path: Path
    line: int
    column: int
    message: str
    found: str | None = None
    expected: str | None = None


@dataclass(frozen=True)
class Document:
    """What a document says, and where. ``values`` is None and ``readable`` False when its form could not be followed.

    NaN and infinities stay in ``values`` as floats (each with its flaw), so that the rest can still be judged.
    """

    values: Any
    readable: bool
    flaws: tuple[Flaw, ...]
    _lines: _Lines
    _keys: dict[Path, int]
    _starts: dict[Path, int]

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column of the value at ``path``, or of the nearest thing around it."""
        while path and path not in self._starts:
            path = path[:-1]
        return self._lines.at(self._starts.get(path, 0))

    def key_position(self, path: Path) -> tuple[int, int]:
        """Line and column of the key of ``path``; for list items and the root, of the value."""
        return self._lines.at(self._keys[path]) if path in self._keys else self.position(path)

    def has(self, path: Path) -> bool:
        return path in self._starts


class _Lines:
    """Line and column of an offset; the line starts are found when first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] | None = None

    def at(self, offset: int) -> tuple[int, int]:
        if self._starts is None:
            self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class _Unreadable(Exception):
    """The form is broken so that nothing after it can be trusted."""


def read_document(data: bytes) -> Document:
    """The document in ``data``, with every flaw of its form. Never raises."""
    if len(data) >= MAX_BYTES:
        return _refused(f"the document has {len(data):,} bytes; a config has fewer than {MAX_BYTES:,}")
    scanner = _Scanner(*_decode(data))
    return scanner.document()


def too_large(size: int) -> Document:
    """The document for a file of ``size`` bytes that is not worth reading."""
    return _refused(f"the document has {size:,} bytes; a config has fewer than {MAX_BYTES:,}")


def _refused(message: str) -> Document:
    return Document(None, False, (Flaw((), 1, 1, message),), _Lines(""), {}, {})


def _decode(data: bytes) -> tuple[str, list[tuple[int, str]]]:
    faults: list[tuple[int, str]] = []
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        faults.append((0, "the file starts with a byte-order mark; save it as UTF-8 without one"))
    try:
        return data.decode("utf-8"), faults
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        faults.append((len(before), f"the bytes are not UTF-8 (byte 0x{data[error.start]:02x})"))
        return data.decode("utf-8", "replace"), faults


class _Scanner:
    def __init__(self, text: str, faults: list[tuple[int, str]]) -> None:
        self._text = text
        self._at = 0
        self._lines = _Lines(text)
        self._keys: dict[Path, int] = {}
        self._starts: dict[Path, int] = {}
        self._flaws: list[Flaw] = []
        for offset, message in faults:
            self._flaw((), offset, message)

    def document(self) -> Document:
        try:
            values = self._whole()
        except _Unreadable:
            return Document(None, False, tuple(self._flaws), self._lines, self._keys, self._starts)
        return Document(values, True, tuple(self._flaws), self._lines, self._keys, self._starts)

    def _whole(self) -> Any:
        self._skip()
        if self._at >= len(self._text):
            self._stop((), self._at, "the file is empty", expected="a JSON object")
        values = self._value((), 1)
        self._skip()
        if self._at < len(self._text):
            self._flaw((), self._at, "something follows the end of the document", self._peek(), "the end of the file")
        return values

    def _value(self, path: Path, depth: int) -> Any:
        text, at = self._text, self._at
        self._starts[path] = at
        match = _SCALAR.match(text, at)
        if match:
            self._at = match.end()
            return self._scalar(match, path)
        start = text[at : at + 1]
        if start in ("{", "["):
            self._check_limits(path, depth)
            return self._object(path, depth) if start == "{" else self._array(path, depth)
        return self._string(path) if start == '"' else self._oddity(path)

    def _check_limits(self, path: Path, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._stop(path[:8], self._at, f"nested deeper than {MAX_DEPTH} levels")
        if len(self._starts) > MAX_VALUES:
            self._stop(path[:8], self._at, f"more than {MAX_VALUES:,} values")

    def _scalar(self, match: re.Match[str], path: Path) -> Any:
        kind = match.lastindex
        if kind == 1:
            return match.group(1)
        if kind == 4:
            return _LITERALS[match.group(4)]
        number, fraction = match.group(2), match.group(3)
        if not fraction and len(number) <= _LONGEST_INTEGER:
            return int(number)
        value = float(number)
        if math.isinf(value) or not fraction:
            self._flaw(path, match.start(), "the number is too large", _short(number), "a number below 1.8e308")
            return math.copysign(math.inf, value)
        return value

    def _object(self, path: Path, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        opened = self._at
        self._at += 1
        self._skip()
        if self._closes("}"):
            return result
        while True:
            if len(result) % 1024 == 1023:
                self._check_limits(path, depth)
            key_at = self._at
            key = self._key(path)
            child = (*path, key)
            if key in result:
                self._duplicate(child, key_at)
            self._keys[child] = key_at
            result[key] = self._value(child, depth + 1)
            if not self._more("}", child, opened):
                return result

    def _array(self, path: Path, depth: int) -> list[Any]:
        result: list[Any] = []
        opened = self._at
        self._at += 1
        self._skip()
        if self._closes("]"):
            return result
        while True:
            if len(result) % 1024 == 1023:
                self._check_limits(path, depth)
            child = (*path, len(result))
            result.append(self._value(child, depth + 1))
            if not self._more("]", child, opened):
                return result

    def _key(self, path: Path) -> str:
        match = _PLAIN_KEY.match(self._text, self._at)
        if match:
            self._at = match.end()
            return match.group(1)
        if self._text[self._at : self._at + 1] != '"':
            self._stop(path, self._at, "a key was expected here", self._peek(), "a key in double quotes")
        key = self._string(path)
        self._skip()
        if self._text[self._at : self._at + 1] != ":":
            self._stop((*path, key), self._at, "a colon was expected after the key", self._peek(), '":"')
        self._at += 1
        self._skip()
        return key

    def _duplicate(self, child: Path, key_at: int) -> None:
        line, column = self._lines.at(self._keys[child])
        self._flaw(
            child,
            key_at,
            f"the key {_short(str(child[-1]))} is given twice; it first stands at line {line}, column {column}",
            _short(str(child[-1])),
            "each key once",
        )

    def _closes(self, closer: str) -> bool:
        if self._text[self._at : self._at + 1] != closer:
            return False
        self._at += 1
        return True

    def _more(self, closer: str, child: Path, opened: int) -> bool:
        """True when another member follows; steps over the comma, or over the closing bracket."""
        self._skip()
        if self._closes(closer):
            return False
        comma_at = self._at
        if self._closes(","):
            self._skip()
            if not self._closes(closer):
                return True
            self._flaw(child, comma_at, f'a comma stands before the closing "{closer}"', '","', f'"{closer}"')
            return False
        return self._missing_comma(closer, child, opened)

    def _missing_comma(self, closer: str, child: Path, opened: int) -> bool:
        text, at = self._text, self._at
        if at >= len(text):
            line, column = self._lines.at(opened)
            kind = "object" if closer == "}" else "list"
            self._stop(child, at, f"the file ends inside the {kind} opened at line {line}, column {column}")
        if text[at] == '"' or (closer == "]" and text[at] in "{["):
            self._flaw(child, at, "a comma is missing before this", self._peek(), '","')
            return True
        self._stop(child, at, "the list of members breaks off here", self._peek(), f'"," or "{closer}"')

    def _string(self, path: Path) -> str:
        """A string the fast pattern did not take: with escapes, or faulty."""
        opened = self._at
        self._at += 1
        pieces: list[str] = []
        while True:
            chunk = _CHUNK.match(self._text, self._at)
            pieces.append(chunk.group() if chunk else "")
            self._at += len(pieces[-1])
            if self._closes('"'):
                return self._unescaped("".join(pieces), path, opened)
            pieces.append(self._odd_character(path, opened))

    def _odd_character(self, path: Path, opened: int) -> str:
        text, at = self._text, self._at
        if at >= len(text) or text[at] == "\n":
            self._stop(path, opened, "the text is not closed on its line", expected="a closing double quote")
        match = _ESCAPE.match(text, at)
        if match:
            self._at = match.end()
            return match.group()
        self._at += 1
        if text[at] == "\\":
            self._flaw(path, at, "a backslash that starts no JSON escape", _short(text[at : at + 2]), '"\\\\"')
        else:
            self._flaw(path, at, "a control character inside a text", f"U+{ord(text[at]):04X}")
        return "\\\\" if text[at] == "\\" else " "

    def _unescaped(self, body: str, path: Path, opened: int) -> str:
        value = str(json.loads(f'"{body}"'))
        clean = "".join(char for char in value if (char >= " " and not "\ud800" <= char <= "\udfff") or char in "\n\t")
        if clean != value:
            self._flaw(path, opened, "the text holds escapes that stand for no printable character", _short(value))
        return clean

    def _oddity(self, path: Path) -> Any:
        """Something that is no JSON value; what was meant, where that is plain."""
        at = self._at
        word_match = _WORD.match(self._text, at)
        if not word_match:
            self._stop(path, at, _no_value(self._text[at : at + 1]), self._peek() or "the end of the file", "a value")
        word = word_match.group()
        self._at = word_match.end()
        if word in _NOT_FINITE:
            self._flaw(path, at, "this is no number that can be compared", word, "a finite number")
            return _NOT_FINITE[word]
        if word in _MISSPELT:
            meant = json.dumps(_MISSPELT[word])
            self._flaw(path, at, f"JSON writes this {meant}", word, meant)
            return _MISSPELT[word]
        return self._odd_number(word, path, at)

    def _odd_number(self, word: str, path: Path, at: int) -> Any:
        if _NUMBER_LIKE.fullmatch(word) and any(char.isdigit() for char in word):
            self._flaw(path, at, "the number is not written as JSON writes numbers", _short(word), "such as 0.5 or 12")
            return float(word)
        self._flaw(path, at, "a text needs double quotes", _short(word), f'"{_short(word)}"')
        return word

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _peek(self) -> str | None:
        return _short(self._text[self._at : self._at + 20].split("\n")[0]) or None

    def _flaw(
        self, path: Path, offset: int, message: str, found: str | None = None, expected: str | None = None
    ) -> None:
        if len(self._flaws) >= MAX_FLAWS:
            self._stop(path, offset, f"more than {MAX_FLAWS:,} faults of form")
        line, column = self._lines.at(offset)
        self._flaws.append(Flaw(path, line, column, message, found, expected))

    def _stop(
        self, path: Path, offset: int, message: str, found: str | None = None, expected: str | None = None
    ) -> NoReturn:
        line, column = self._lines.at(offset)
        self._flaws.append(Flaw(path, line, column, message, found, expected))
        raise _Unreadable


def _no_value(char: str) -> str:
    if char in ("/", "#"):
        return "a value was expected here; JSON has no comments"
    if char == "'":
        return "a value was expected here; JSON texts stand in double quotes"
    return "a value was expected here"


def _short(text: str) -> str:
    """At most 40 printable characters of ``text``."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:41])
    return shown if len(shown) <= 40 else shown[:39] + "…"
