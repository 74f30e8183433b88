"""The small picture of a spread."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from matplotlib.image import imread

from notifications.chart import draw
from notifications.words import SpreadChart
from tests.notifications.telegram.harness import chart


def test_a_chart_is_a_small_png_with_something_on_it():
    drawn = draw(chart())
    image = imread(io.BytesIO(drawn.data))
    assert drawn.name == "ETH_BTC.png" and len(drawn.data) < 100_000
    assert image.shape[:2] == (352, 704) and image.std() > 0.05


@pytest.mark.parametrize("pair_id", ["../../etc", "A$B$", "ETH/USDT:USDT", "привет", "a\nb"])
def test_no_name_of_a_pair_spoils_it(pair_id):
    drawn = draw(chart(pair_id))
    assert drawn.data.startswith(b"\x89PNG") and "/" not in drawn.name and ".." not in drawn.name


@pytest.mark.parametrize("points", [0, 1])
def test_few_bars_are_a_picture_too(points):
    whole = chart()
    assert draw(SpreadChart("A_B", whole.times[:points], whole.zscores[:points])).data.startswith(b"\x89PNG")


def test_a_gap_in_z_is_a_gap():
    whole = chart()
    assert draw(SpreadChart("A_B", whole.times, (float("nan"), *whole.zscores[1:]))).data.startswith(b"\x89PNG")


def test_several_threads_draw_the_same():
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda number: draw(chart()).data, range(8)))
    assert len(set(drawn)) == 1
