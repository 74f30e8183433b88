"""A notice as lines of plain text, and as a small page, for the media that take either."""

from __future__ import annotations

from html import escape

from notifications.words import Notice

LONGEST_LINE = 200


def headline(notice: Notice, repeats: int = 1) -> str:
    """One line, whatever line breaks an exchange's words have."""
    words = " ".join(notice.title.split())
    times = f" ({repeats} times)" if repeats > 1 else ""
    return _cut(f"{'CRITICAL: ' if notice.is_critical else ''}{words}{times}")


def plain_text(notice: Notice, repeats: int = 1) -> str:
    width = max((len(label) for label, _ in notice.rows), default=0)
    rows = [f"{label + ':':<{width + 1}} {value}" for label, value in notice.rows]
    blocks = [" ".join(notice.title.split()), "\n".join(rows), notice.body, *_again(repeats), _when(notice)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def short_text(notice: Notice, repeats: int = 1) -> str:
    """For a medium that refuses the whole: letters that each of them takes, no rows."""
    title = headline(notice, repeats).encode("ascii", "replace").decode()
    return f"{title}\n\nThe rest of this notice was refused here.\n\n{_when(notice)}\n"


def html_text(notice: Notice, repeats: int = 1, *, images: tuple[str, ...] = ()) -> str:
    """``images``: content ids of attached pictures."""
    cells = "".join(
        f'<tr><td style="padding:2px 12px 2px 0;color:#6b7280">{escape(label)}</td><td>{escape(value)}</td></tr>'
        for label, value in notice.rows
    )
    colour = "#b4232c" if notice.is_critical else "#1f2937"
    parts = [
        f'<h2 style="font-size:17px;color:{colour}">{escape(headline(notice, repeats))}</h2>',
        f'<table style="border-collapse:collapse">{cells}</table>' if cells else "",
        *(f"<p>{escape(line)}</p>" for line in notice.body.splitlines() if line),
        *(f'<p><img src="cid:{image}" alt="" style="max-width:100%"></p>' for image in images),
        f'<p style="color:#6b7280">{escape(_when(notice))}</p>',
    ]
    body = "\n".join(part for part in parts if part)
    return f'<html><body style="font-family:sans-serif;font-size:14px;color:#1f2937">\n{body}\n</body></html>\n'


def _again(repeats: int) -> tuple[str, ...]:
    return (f"{repeats} times; this is the last of them.",) if repeats > 1 else ()


def _when(notice: Notice) -> str:
    return f"{notice.time:%Y-%m-%d %H:%M:%S} UTC"


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
