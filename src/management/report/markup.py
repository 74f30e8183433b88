"""HTML and SVG as values: whatever is not markup already is escaped, so that no text can become any."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"meta", "br", "hr", "path", "line", "rect", "circle", "polyline"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Iterable["Child"]


NOTHING = Markup("")


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """``<name …>children</name>``; attributes of None are left out, ``class_`` is class and ``_`` stands for ``-``.

    >>> tag("p", "1 < 2", tag("b", "!"), class_="note", data_x=1)
    '<p class="note" data-x="1">1 &lt; 2<b>!</b></p>'
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = joined(children)
    if name in VOID and not inner:
        return Markup(f"<{name}{named}/>")
    return Markup(f"<{name}{named}>{inner}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """Text, markup and collections of both, one after the other."""
    return Markup("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    return escape(child, quote=False) if isinstance(child, str) else joined(child)


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
