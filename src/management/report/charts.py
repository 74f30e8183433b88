"""Charts as inline SVG: lines over time with bands, spans and marks; bars. Colours come from the page's style."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from management.report.axes import (
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Frame,
    Times,
    Values,
    framed,
    thinned,
    time_ticks,
    value_ticks,
)
from management.report.markup import Child, Markup, joined, tag

TALL, LOW = 260.0, 150.0
MARK_SIZE = 5.0
BAR_GAP = 0.2


@dataclass(frozen=True, slots=True)
class Line:
    """``look``: a class of the page's style. ``fills``: the area towards zero is filled."""

    name: str
    times: Times
    values: Values
    look: str
    fills: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line across the chart."""

    value: float
    look: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time behind the lines."""

    start: float
    end: float
    look: str


@dataclass(frozen=True, slots=True)
class Mark:
    """``shape``: up, down or cross. ``text`` is shown when pointed at."""

    time: float
    value: float
    shape: str
    look: str
    text: str


def line_chart(
    label: str,
    lines: Sequence[Line],
    *,
    height: float = TALL,
    levels: Sequence[Level] = (),
    spans: Sequence[Span] = (),
    marks: Sequence[Mark] = (),
    limits: tuple[float, float] | None = None,
    unit: str = "",
) -> Markup:
    """One picture; ``label`` says to who cannot see it what it shows. ``limits``: of the values, else by the lines."""
    thin = [Line(one.name, *thinned(one.times, one.values), one.look, one.fills) for one in lines]
    frame = _frame(lines, levels, height, limits)
    body = [
        _grid(frame, unit),
        [_span(frame, span) for span in spans],
        [_level(frame, level) for level in levels],
        [_line(frame, one) for one in thin],
        [_mark(frame, mark) for mark in marks],
    ]
    return _figure(label, body, height, lines)


def bar_chart(
    label: str, values: Sequence[float], texts: Sequence[str], *, names: Sequence[str] = (), height: float = LOW
) -> Markup:
    """A bar a value, in their order, gains and losses in their colours; ``names`` stand below."""
    frame = framed(np.array([0.0, float(len(values))]), [0.0, *values], height)
    bars = [_bar(frame, index, value, text) for index, (value, text) in enumerate(zip(values, texts, strict=True))]
    below = [
        tag("text", name, x=frame.x(index + 0.5), y=height - 6.0, class_="tick", text_anchor="middle")
        for index, name in enumerate(names)
    ]
    return _figure(label, [_value_grid(frame, ""), bars, below], height, ())


def _figure(label: str, body: Iterable[Child], height: float, lines: Sequence[Line]) -> Markup:
    drawing = tag("svg", body, viewBox=f"0 0 {WIDTH:g} {height:g}", role="img", aria_label=label)
    named = [tag("span", tag("i", class_=f"key {one.look}"), one.name, class_="legend-item") for one in lines]
    legend = tag("figcaption", named, class_="legend") if len(named) > 1 else ""
    return tag("figure", legend, tag("div", drawing, class_="chart"))


def _frame(lines: Sequence[Line], levels: Sequence[Level], height: float, limits: tuple[float, float] | None) -> Frame:
    stretches = [one.times for one in lines if len(one.times)]
    ends = np.array([min(one[0] for one in stretches), max(one[-1] for one in stretches)] if stretches else [0.0, 1.0])
    if limits is not None:
        return Frame(float(ends[0]), float(ends[1]), *limits, height)
    extremes = [value for one in lines for value in _extremes(one.values)]
    zero = [0.0] if any(one.fills for one in lines) else []
    return framed(ends, [*extremes, *(level.value for level in levels), *zero], height)


def _extremes(values: Values) -> list[float]:
    finite = values[np.isfinite(values)]
    return [float(finite.min()), float(finite.max())] if len(finite) else []


def _grid(frame: Frame, unit: str) -> Markup:
    ticks = [
        tag("text", text, x=frame.x(seconds), y=frame.height - 6.0, class_="tick", text_anchor="middle")
        for seconds, text in time_ticks(frame.first, frame.last)
        if LEFT + 10.0 <= frame.x(seconds) <= WIDTH - RIGHT - 24.0
    ]
    return joined([_value_grid(frame, unit), ticks])


def _value_grid(frame: Frame, unit: str) -> Markup:
    ticks = value_ticks(frame.low, frame.high, 6 if frame.height > LOW else 4)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    places = next((n for n in range(7) if abs(step * 10**n - round(step * 10**n)) < 1e-6 * step * 10**n), 7)
    rows = []
    for value in ticks:
        y = frame.y(value)
        look = "grid zero" if abs(value) < step * 1e-6 else "grid"
        rows.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_=look))
        text = f"{0.0 if abs(value) < step * 1e-6 else value:,.{places}f}{unit}"
        rows.append(tag("text", text, x=LEFT - 8.0, y=y + 4.0, class_="tick", text_anchor="end"))
    return joined(rows)


def _line(frame: Frame, line: Line) -> Markup:
    points = [f"{frame.x(t):.1f},{frame.y(v):.1f}" for t, v in zip(line.times, line.values, strict=True)]
    if not points:
        return Markup("")
    drawn = tag("path", d=f"M{'L'.join(points)}", class_=f"line {line.look}")
    if not line.fills:
        return drawn
    zero, first, last = frame.y(0.0), frame.x(float(line.times[0])), frame.x(float(line.times[-1]))
    area = f"M{first:.1f},{zero:.1f}L{'L'.join(points)}L{last:.1f},{zero:.1f}Z"
    return joined([tag("path", d=area, class_=f"area {line.look}"), drawn])


def _level(frame: Frame, level: Level) -> Markup:
    y = frame.y(level.value)
    return tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_=f"level {level.look}")


def _span(frame: Frame, span: Span) -> Markup:
    left, right = (frame.x(min(max(at, frame.first), frame.last)) for at in (span.start, span.end))
    height = frame.bottom - TOP
    return tag("rect", x=left, y=TOP, width=max(right - left, 1.0), height=height, class_=f"span {span.look}")


def _mark(frame: Frame, mark: Mark) -> Markup:
    x, y, size = frame.x(mark.time), frame.y(mark.value), MARK_SIZE
    shapes = {
        "up": f"M{x:.1f},{y - size:.1f}l{size:g},{2 * size:g}h{-2 * size:g}z",
        "down": f"M{x:.1f},{y + size:.1f}l{size:g},{-2 * size:g}h{-2 * size:g}z",
        "cross": f"M{x - size:.1f},{y - size:.1f}l{2 * size:g},{2 * size:g}m0,{-2 * size:g}l{-2 * size:g},{2 * size:g}",
    }
    return tag("path", tag("title", mark.text), d=shapes[mark.shape], class_=f"mark {mark.shape} {mark.look}")


def _bar(frame: Frame, index: int, value: float, text: str) -> Markup:
    left, right = frame.x(index + BAR_GAP / 2), frame.x(index + 1 - BAR_GAP / 2)
    top, bottom = frame.y(max(value, 0.0)), frame.y(min(value, 0.0))
    look = "bar gain" if value > 0.0 else "bar loss"
    place = {"x": left, "y": top, "width": max(right - left, 0.5), "height": max(bottom - top, 0.5)}
    return tag("rect", tag("title", text), class_=look, **place)
