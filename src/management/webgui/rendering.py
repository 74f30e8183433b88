"""Templates and how values are written in them. Everything that comes from outside is escaped."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

NOTHING = "–"


def _environment() -> Environment:
    known = Environment(
        loader=PackageLoader("management.webgui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    known.filters |= {"number": number, "money": money, "share": share, "when": when, "age": age, "words": words}
    return known


def number(value: Any, form: str = "+.2f") -> str:
    """Rows hold money as text.

    >>> number("1.5", ".3f"), number(None)
    ('1.500', '–')
    """
    return NOTHING if value is None else format(float(value), form)


def money(value: Any) -> str:
    return number(value, ",.2f")


def share(value: float | None) -> str:
    return NOTHING if value is None else f"{100.0 * value:.0f} %"


def when(text: str | None) -> str:
    """``2024-01-31 08:00`` of an ISO text; the whole page speaks UTC."""
    return text[:16].replace("T", " ") if text else NOTHING


def age(seconds: float | None) -> str:
    """
    >>> age(42.0), age(400.0), age(90_000.0)
    ('42 s', '7 min', '25 h')
    """
    if seconds is None:
        return NOTHING
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.0f} h"


def words(name: str) -> str:
    return name.replace("_", " ")


_TEMPLATES = _environment()


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """The whole page; of one that updates itself, with ``?part=live``, only the part that does.

    A part that the browser has already is not sent again.
    """
    is_part = request.query_params.get("part") == "live"
    text = _TEMPLATES.get_template(template).render(**values, is_part=is_part, path=request.url.path)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'
    if is_part and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return HTMLResponse(text, status, {"ETag": tag} if is_part else None)
