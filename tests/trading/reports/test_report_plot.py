"""The picture of a run is a real picture: it decodes, has the right size, and holds what it should."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from tests.trading.journal.journal_samples import START
from tests.trading.reports.plot_samples import cointegrated_view, run_of, single_view, traded
from tests.trading.reports.result_samples import empty_result
from trading.records import RunResult
from trading.reports import panels as panels
from trading.reports.output_files import OutputPathError
from trading.reports.plot import PairPlotData, Sheet, plot_run

NAMES = ("ETH_BTC", "SOL_ADA", "LTC_BCH", "DOT_LINK", "NEAR_XRP", "DOGE_BNB")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def views(count: int, *, bars: int = 600) -> tuple[PairPlotData, ...]:
    return tuple(cointegrated_view(name, seed=seed, bars=bars) for seed, name in enumerate(NAMES[:count], start=1))


def picture(result: RunResult, drawn: tuple[PairPlotData, ...]) -> np.ndarray:
    return imread(plot_run(result, drawn, "out/run.png"))[..., :3]


def share_of(image: np.ndarray, colour: str) -> float:
    """The share of pixels of nearly this colour."""
    return float((np.abs(image - np.array(to_rgb(colour))).max(axis=2) < 0.03).mean())


@pytest.mark.parametrize("count", [1, 2, 6])
def test_the_picture_decodes_and_is_full_of_colours(count: int) -> None:
    drawn = views(count)
    image = picture(run_of(drawn, formation_bars=200), drawn)
    height, width, _ = image.shape
    assert 1200 <= width <= 2600 and 1000 <= height <= 2800
    packed = (image * 255).astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    assert len(np.unique(packed)) > 200
    assert 0.5 < float((image.min(axis=2) > 0.99).mean()) < 0.97


def test_the_picture_grows_with_the_pairs() -> None:
    heights = [picture(run_of(views(count)), views(count)).shape[0] for count in (2, 4)]
    assert heights[1] > heights[0] + 400


def test_prices_trades_and_levels_are_in_it() -> None:
    drawn = views(1)
    image = picture(run_of(drawn), drawn)
    for colour in (panels.LEG_A, panels.LEG_B, panels.SPREAD, panels.LONG, panels.SHORT, panels.PROFIT, panels.LOSS):
        assert share_of(image, colour) > 1e-5, colour


def test_a_pair_that_never_traded_is_drawn_without_marks() -> None:
    drawn = views(1)
    image = picture(replace(run_of(drawn), trades=()), drawn)
    assert share_of(image, panels.LEG_B) > 1e-5
    assert share_of(image, panels.SHORT) < share_of(picture(run_of(drawn), drawn), panels.SHORT) / 5


def test_one_symbol_has_price_and_trades_only() -> None:
    drawn = (single_view("BTCUSDT", seed=3, bars=600),)
    image = picture(run_of(drawn), drawn)
    assert share_of(image, panels.LONG) > 1e-5 and share_of(image, panels.PROFIT) > 1e-5
    assert share_of(image, panels.LEG_B) == share_of(image, panels.ENTRY_BAND) == 0.0


def test_the_same_run_gives_the_same_picture() -> None:
    drawn = views(1)
    first = plot_run(run_of(drawn), drawn, "a.png").read_bytes()
    assert plot_run(run_of(drawn), drawn, "b.png").read_bytes() == first


def test_a_run_without_a_bar_is_drawn_too() -> None:
    assert picture(empty_result(), ()).shape[0] > 400


def test_a_z_that_never_was_is_no_hindrance() -> None:
    view = cointegrated_view("ETH_BTC", seed=1, bars=100)
    assert view.zscore is not None and np.isnan(view.zscore).all()
    bare = replace(view, entry_z=None, exit_z=None, stop_z=float("inf"))
    for drawn in (view, bare):
        assert picture(replace(run_of((drawn,)), trades=()), (drawn,)).shape[0] > 1000


def test_a_picture_is_not_written_over_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputPathError, match="is a folder"):
        plot_run(empty_result(), (), tmp_path)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_no_panel_overlaps_another(count: int) -> None:
    sheet = Sheet(1 if count == 1 else 2, -(-count // 2) if count > 1 else 1, 4.0)
    boxes = [sheet.rectangle(*sheet.cell(index), sheet.column_width, sheet.pair_height) for index in range(count)]
    boxes.append(sheet.rectangle(sheet.LEFT, sheet.HEADER, 3.0, sheet.top_height - sheet.HEADER))
    for index, (left, bottom, width, height) in enumerate(boxes):
        assert left >= 0 and bottom >= 0 and left + width <= 1 and bottom + height <= 1
        for x, y, w, h in boxes[:index]:
            assert left + width <= x or x + w <= left or bottom + height <= y or y + h <= bottom


def test_marks_stand_where_the_trade_was() -> None:
    view = cointegrated_view("ETH_BTC", seed=1, bars=600)
    trade = traded(view)[0]
    entry, leave = panels.z_marks(view, [trade])
    assert (entry.height, leave.height) == (trade.entry_z, trade.exit_z)
    assert entry.time == panels.instant(trade.entry_time) and leave.shape == "x"
    assert entry.shape == {"long": "^", "short": "v"}[trade.direction]
    assert leave.colour == (panels.PROFIT if trade.pnl > 0 else panels.LOSS)


def test_a_trade_without_its_z_is_marked_on_the_line() -> None:
    view = cointegrated_view("ETH_BTC", seed=1, bars=600)
    trade = traded(view)[0]
    recorded = panels.z_marks(view, [trade])
    assert panels.z_marks(view, [replace(trade, entry_z=None, exit_z=None)]) == recorded
    before_all = replace(trade, entry_z=None, entry_time=START.replace(year=2020))
    assert len(panels.z_marks(view, [before_all])) == 1


def test_trades_in_formation_are_hollow() -> None:
    view = cointegrated_view("ETH_BTC", seed=1, bars=600)
    inside, outside = (panels.z_marks(view, traded(view, formation_bars=bars)) for bars in (600, 0))
    assert all(mark.hollow for mark in inside) and not any(mark.hollow for mark in outside)


def test_matplotlib_is_loaded_by_drawing_only() -> None:
    source = Path(__file__).resolve().parents[3] / "src"
    code = (
        f"import sys; sys.path[:0] = [{str(source)!r}]; import trading.reports.plot; print('matplotlib' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "False"


def test_drawing_leaves_pyplot_alone() -> None:
    plot_run(empty_result(), (), "run.png")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
