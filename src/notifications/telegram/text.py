"""Notices and answers as Telegram's HTML: whatever stands in them is shown, none of it is markup.

Text is cut before it is escaped, in the UTF-16 units in which Telegram counts, so that no entity or letter breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from notifications.bot_desk import Answer
from notifications.cleaning import sound_text
from notifications.words import Notice

MESSAGE_UNITS = 4096
CAPTION_UNITS = 1024
MAX_PAGES = 4
CUT = "\n… cut"

Piece = tuple[str, str]  # a tag or "", and the plain text in it


def units(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def notice_pieces(notice: Notice, repeats: int) -> tuple[Piece, ...]:
    times = f" ({repeats} times)" if repeats > 1 else ""
    mark = "‼ " if notice.is_critical else ""
    pieces = [("b", f"{mark}{notice.title}{times}")]
    for label, value in notice.rows:
        pieces += [("", f"\n{label}: "), ("code", value)]
    if notice.body:
        pieces.append(("", f"\n\n{notice.body}"))
    return (*pieces, ("i", f"\n{notice.time:%Y-%m-%d %H:%M:%S} UTC"))


def html(pieces: Iterable[Piece], limit: int) -> str:
    """At most ``limit`` units are shown; where something is missing, the last line says so."""
    known = tuple(pieces)
    return "".join(_tagged(tag, text) for tag, text in (known if shown_units(known) <= limit else _cut(known, limit)))


def plain(pieces: Iterable[Piece], limit: int) -> str:
    """The same without any markup."""
    known = tuple(pieces)
    return "".join(text for _, text in (known if shown_units(known) <= limit else _cut(known, limit)))


def answer_pages(answer: Answer) -> list[str]:
    """HTML messages in their order; what more than ``MAX_PAGES`` would take is left out, and the last line says so."""
    pages, left_out = _paged(answer.lines, MESSAGE_UNITS - units(answer.title) - 100)
    tag = "pre" if answer.is_table else ""
    shown = [[("b", answer.title), ("", "\n"), (tag, page)] if page else [("b", answer.title)] for page in pages]
    for number, pieces in enumerate(shown if len(shown) > 1 else [], start=1):
        pieces[0] = ("b", f"{answer.title} ({number}/{len(shown)})")
    if left_out:
        shown[-1].append(("i", f"\n… cut: {left_out} more lines"))
    return [html(pieces, MESSAGE_UNITS) for pieces in shown]


def _paged(lines: tuple[str, ...], room: int) -> tuple[list[str], int]:
    """Pages of whole lines, and how many lines are on none of them."""
    pages = [""]
    for number, line in enumerate(_shortened(lines, room)):
        joined = f"{pages[-1]}\n{line}" if pages[-1] else line
        if units(joined) <= room:
            pages[-1] = joined
        elif len(pages) < MAX_PAGES:
            pages.append(line)
        else:
            return pages, len(lines) - number
    return pages, 0


def _shortened(lines: Iterable[str], room: int) -> Iterator[str]:
    for line in lines:
        yield line if units(line) <= room else _first(line, room - units(CUT)) + CUT


def shown_units(pieces: Iterable[Piece]) -> int:
    """How much is shown of them."""
    return sum(units(text) for _, text in pieces)


def _cut(pieces: Iterable[Piece], limit: int) -> Iterator[Piece]:
    room = limit - units(CUT)
    for tag, text in pieces:
        if units(text) > room:
            yield tag, _first(text, room)
            yield "", CUT
            return
        yield tag, text
        room -= units(text)


def _first(text: str, count: int) -> str:
    """The first units of a text, without half a letter at the end."""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * max(count, 0)].decode("utf-16-le", "ignore")


def _tagged(tag: str, text: str) -> str:
    shown = escape(sound_text(text), quote=False)
    return f"<{tag}>{shown}</{tag}>" if tag and shown else shown
