"""Places, ticks and lines of the charts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from management.report.axes import BUCKETS, framed, thinned, time_ticks, value_ticks
from management.report.charts import Level, Line, Mark, Span, bar_chart, line_chart

START = datetime(2024, 1, 1, tzinfo=UTC)


def hours(count: int) -> np.ndarray:
    return START.timestamp() + 3600.0 * np.arange(count)


def drawing(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


@pytest.mark.parametrize("count", [0, 1, 2, 500, 20_000])
def test_a_line_of_any_length_is_drawn_with_finite_places(count: int) -> None:
    values = np.sin(np.arange(count) / 7.0)
    made = line_chart("x", [Line("a", hours(count), values, "own", fills=True)], levels=[Level(0.5, "muted")])
    drawing(made)
    assert "nan" not in made and "inf" not in made


def test_thinning_keeps_the_extremes_and_the_ends() -> None:
    values = np.sin(np.arange(100_000) / 50.0)
    values[54_321] = 9.0
    times, kept = thinned(hours(100_000), values)
    assert len(kept) <= 4 * BUCKETS
    assert kept.max() == 9.0 and kept.min() == values.min()
    assert (times[0], times[-1]) == (hours(100_000)[0], hours(100_000)[-1])
    assert (np.diff(times) > 0).all()


def test_what_is_not_a_number_is_left_out() -> None:
    values = np.array([1.0, np.nan, 2.0, np.inf])
    assert thinned(hours(4), values)[1].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 7.9), (9_999.0, 10_001.0), (1e-6, 3e-6), (5.0, 5.0)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = value_ticks(low, high)
    assert 1 <= len(ticks) <= 8
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_ticks_with_halves_of_a_digit_show_it() -> None:
    made = line_chart("x", [Line("a", hours(3), np.array([-1.39, -1.35, -1.31]), "own")], height=150.0)
    assert "-1.375" in made or "-1.325" in made or "-1.350" in made


@pytest.mark.parametrize("days", [0.2, 1, 5, 40, 400, 2_000, 9_000])
def test_times_are_labelled_at_round_moments(days: float) -> None:
    ticks = time_ticks(START.timestamp(), (START + timedelta(days=days)).timestamp())
    assert 1 <= len(ticks) <= 10
    assert all(datetime.fromtimestamp(seconds, UTC).minute == 0 for seconds, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)


def test_marks_and_spans_stay_inside_the_frame() -> None:
    frame = framed(hours(10), [0.0, 1.0], 200.0)
    assert frame.y(-50.0) == frame.bottom and frame.y(50.0) < 20.0
    early, late = hours(10)[0] - 1e6, hours(10)[-1] + 1e6
    made = line_chart(
        "x",
        [Line("a", hours(10), np.arange(10.0), "own")],
        spans=[Span(early, late, "held-gain")],
        marks=[Mark(hours(10)[3], 3.0, shape, "gain", "<t>") for shape in ("up", "down", "cross")],
    )
    assert "&lt;t&gt;" in made
    span = next(one for one in drawing(made).iter("rect") if "span" in one.attrib["class"])
    assert float(span.attrib["x"]) >= 0.0 and float(span.attrib["width"]) <= 1000.0


def test_bars_stand_on_zero_in_their_colours() -> None:
    made = drawing(bar_chart("x", [2.0, -1.0], ["up", "down"], names=["one", "two"]))
    up, down = [one for one in made.iter("rect")]
    assert "gain" in up.attrib["class"] and "loss" in down.attrib["class"]
    bottom = float(up.attrib["y"]) + float(up.attrib["height"])
    assert bottom == pytest.approx(float(down.attrib["y"]), abs=0.1)
    assert {"one", "two"} <= {one.text for one in made.iter("text")}
