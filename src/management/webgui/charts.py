"""Charts as SVG that the server draws: no script, no style of their own, classes for the colours of day and night.

Every chart says in words what it shows (``aria-label``), so that it can be read without being seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from management.bots.curve import Curve

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 92, 104, 12, 24
MOST_COLUMNS = 360
SPARK_WIDTH, SPARK_HEIGHT = 120, 28


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line. ``kind``: the CSS class of its colour."""

    value: float
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign on the line at point ``index``. ``kind``: long, short or exit; ``text`` in words."""

    index: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places, the larger value higher up."""

    low: float
    high: float
    count: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM

    def x(self, index: int) -> float:
        return self.left + (self.width - self.left - self.right) * index / max(1, self.count - 1)

    def y(self, value: float) -> float:
        return self.top + (self.height - self.top - self.bottom) * (self.high - value) / (self.high - self.low)


def scale_of(values: Iterable[float], count: int, **place: int) -> Scale:
    """With a little air above and below."""
    known = list(values)
    low, high = min(known), max(known)
    air = 0.05 * (high - low) or max(abs(high), 1.0) * 0.01
    return Scale(low - air, high + air, count, **place)


def equity_chart(curve: Curve) -> Markup:
    """Equity over time."""
    if len(curve) < 2:
        return _nothing("No equity yet: it is drawn from the second bar on.")
    values, times = thinned(curve.equity), curve.times
    scale = scale_of(values, len(values))
    words = f"Equity from {_money(values[0])} on {_day(times[0])} to {_money(values[-1])} on {_day(times[-1])}"
    body = _grid(scale, _money) + _line(scale, values, "line-equity") + _ends(scale, times[0], times[-1])
    return _svg(body + _end_label(scale, values[-1], _money(values[-1])), words)


def drawdown_chart(curve: Curve) -> Markup:
    """How far below its highest equity it stood."""
    if len(curve) < 2:
        return _nothing("No drawdown yet.")
    values = [-drawdown_pct for drawdown_pct in thinned(curve.drawdown_pct)]
    scale = Scale(min(min(values) * 1.05, -0.1), 0.0, len(values))
    words = f"Drawdown: now {-values[-1]:.2f} per cent, at worst {-min(values):.2f} per cent"
    body = _grid(scale, lambda value: f"{value:.1f} %", rows=3) + _area(scale, values)
    ends = _ends(scale, curve.times[0], curve.times[-1])
    return _svg(body + ends + _end_label(scale, values[-1], f"{values[-1]:.2f} %"), words)


def band_chart(
    times: Sequence[str],
    values: Sequence[float | None],
    *,
    levels: Sequence[Level],
    marks: Sequence[Mark],
    words: str,
    form: str,
) -> Markup:
    """A line between its bands, with the trades on it. ``form``: how a value is written."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return _nothing("Not enough bars yet.")
    scale = scale_of([*known, *(level.value for level in levels)], len(values), height=180)
    lines = "".join(_level(scale, level) for level in levels)
    line = _line(scale, values, "line-value")
    signs = "".join(_mark(scale, mark, values) for mark in marks)
    body = _grid(scale, lambda value: format(value, form)) + lines + line + signs + _ends(scale, times[0], times[-1])
    return _svg(body, words, height=180)


def sparkline(values: Sequence[float]) -> Markup:
    """Equity at a glance."""
    if len(values) < 2:
        return Markup("")
    scale = scale_of(values, len(values), width=SPARK_WIDTH, height=SPARK_HEIGHT, left=2, right=2, top=2, bottom=2)
    way = "risen" if values[-1] >= values[0] else "fallen"
    words = f"equity has {way} from {_money(values[0])} to {_money(values[-1])}"
    return _svg(_line(scale, values, "line-equity"), words, width=SPARK_WIDTH, height=SPARK_HEIGHT, kind="spark")


def z_levels(levels: Mapping[str, float]) -> list[Level]:
    """Entry, exit and stop, on both sides."""
    return [
        Level(sign * levels[name], f"{name} {sign * levels[name]:+g}", f"level-{name}")
        for name in ("exit", "entry", "stop")
        if name in levels
        for sign in (1, -1)
    ]


def thinned(values: Sequence[float], most: int = MOST_COLUMNS) -> list[float]:
    """The lowest and the highest value of each column, in their order; the first and the last one always."""
    if len(values) <= 2 * most:
        return list(values)
    kept = [values[0]]
    for column in range(most):
        part = values[column * len(values) // most : (column + 1) * len(values) // most]
        low, high = min(part), max(part)
        kept += (low, high) if part.index(low) < part.index(high) else (high, low)
    return [*kept, values[-1]]


# the parts


def _svg(body: str, words: str, *, width: int = WIDTH, height: int = HEIGHT, kind: str = "chart") -> Markup:
    return Markup(  # everything inside is made of numbers and escaped texts
        f'<svg class="{kind}" role="img" viewBox="0 0 {width} {height}" aria-label="{escape(words)}">{body}</svg>'
    )


def _nothing(words: str) -> Markup:
    return Markup('<p class="quiet">{}</p>').format(words)


def _line(scale: Scale, values: Sequence[float | None], kind: str) -> str:
    path, is_down = [], False
    for index, value in enumerate(values):
        if value is not None:
            path.append(f"{'L' if is_down else 'M'}{scale.x(index):.1f} {scale.y(value):.1f}")
        is_down = value is not None
    return f'<path class="{kind}" d="{"".join(path)}"/>'


def _area(scale: Scale, values: Sequence[float]) -> str:
    top = scale.y(0.0)
    corners = "".join(f"L{scale.x(index):.1f} {scale.y(value):.1f}" for index, value in enumerate(values))
    first, last = scale.x(0), scale.x(len(values) - 1)
    return f'<path class="area-drawdown" d="M{first:.1f} {top:.1f}{corners}L{last:.1f} {top:.1f}Z"/>'


def _grid(scale: Scale, written: Callable[[float], str], *, rows: int = 4) -> str:
    steps = [scale.low + (scale.high - scale.low) * number / rows for number in range(rows + 1)]
    return "".join(
        f'<line class="grid" x1="{scale.left}" x2="{scale.width - scale.right}" y1="{scale.y(value):.1f}" '
        f'y2="{scale.y(value):.1f}"/><text class="axis" x="{scale.left - 6}" y="{scale.y(value) + 4:.1f}" '
        f'text-anchor="end">{escape(written(value))}</text>'
        for value in steps
    )


def _level(scale: Scale, level: Level) -> str:
    y = scale.y(level.value)
    return (
        f'<line class="{level.kind}" x1="{scale.left}" x2="{scale.width - scale.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="axis" x="{scale.width - scale.right + 6}" y="{y + 4:.1f}">{escape(level.label)}</text>'
    )


SIGNS = {"long": "M0 -7L6 5L-6 5Z", "short": "M0 7L6 -5L-6 -5Z", "exit": "M-5 -5L5 -5L5 5L-5 5Z"}


def _mark(scale: Scale, mark: Mark, values: Sequence[float | None]) -> str:
    value = values[mark.index]
    if value is None:
        return ""
    place = f"translate({scale.x(mark.index):.1f} {scale.y(value):.1f})"
    return (
        f'<path class="mark-{mark.kind}" transform="{place}" d="{SIGNS[mark.kind]}"><title>{escape(mark.text)}</title>'
        "</path>"
    )


def _ends(scale: Scale, first: str, last: str) -> str:
    y = scale.height - 6
    right = scale.width - scale.right
    return (
        f'<text class="axis" x="{scale.left}" y="{y}">{escape(_day(first))}</text>'
        f'<text class="axis" x="{right}" y="{y}" text-anchor="end">{escape(_day(last))}</text>'
    )


def _end_label(scale: Scale, value: float, text: str) -> str:
    x, y = scale.width - scale.right + 6, scale.y(value) + 4
    return f'<text class="axis strong" x="{x}" y="{y:.1f}">{escape(text)}</text>'


def _money(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 1e6 else f"{value:,.0f}"


def _day(time: str) -> str:
    return time[:16].replace("T", " ")
