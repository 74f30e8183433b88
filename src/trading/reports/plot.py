"""A run as one picture: equity and drawdown on top, then per pair prices, spread and z-score with bands and trades."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trading.records import RunResult, TradeRecord
from trading.reports.output_files import write_atomically
from trading.reports.panels import (
    ENTRY_BAND,
    INK,
    LONG,
    LOSS,
    MUTED,
    PROFIT,
    SHORT,
    STOP_BAND,
    TRIP,
    PairPlotData,
    draw_drawdown,
    draw_equity,
    draw_holdings,
    draw_marks,
    draw_prices,
    draw_risk_trips,
    draw_spread,
    draw_zscore,
    dress,
    instant,
    price_marks,
    z_marks,
)
from trading.reports.performance import Metrics, drawdowns_pct, metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PairPlotData", "plot_run"]

DPI = 120


@dataclass(frozen=True, slots=True)
class Sheet:
    """The page in inches: margins, panel heights, and where the next panel goes. Pairs stand in one or two columns."""

    columns: int
    rows: int
    pair_height: float

    LEFT = 0.85
    RIGHT = 0.75
    GUTTER = 1.35
    COLUMN = 8.2
    ONE_COLUMN = 10.4
    HEADER = 1.15
    EQUITY = 2.3
    DRAWDOWN = 0.95
    PANEL_GAP = 0.12
    BLOCK_GAP = 0.8
    BOTTOM = 0.45

    @property
    def column_width(self) -> float:
        return self.ONE_COLUMN if self.columns == 1 else self.COLUMN

    @property
    def width(self) -> float:
        return self.LEFT + self.columns * self.column_width + (self.columns - 1) * self.GUTTER + self.RIGHT

    @property
    def top_height(self) -> float:
        return self.HEADER + self.EQUITY + self.PANEL_GAP + self.DRAWDOWN

    @property
    def height(self) -> float:
        return self.top_height + self.rows * (self.BLOCK_GAP + self.pair_height) + self.BOTTOM

    def rectangle(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Matplotlib's fractions for a panel whose upper left corner is given from the page's."""
        return left / self.width, 1.0 - (top + height) / self.height, width / self.width, height / self.height

    def cell(self, index: int) -> tuple[float, float]:
        """The upper left corner of a pair's block."""
        row, column = divmod(index, self.columns)
        left = self.LEFT + column * (self.column_width + self.GUTTER)
        return left, self.top_height + self.BLOCK_GAP + row * (self.pair_height + self.BLOCK_GAP)


PAIR_PANELS = (1.55, 0.95, 2.0)  # prices, spread, z
SINGLE_PANELS = (2.6,)


def plot_run(result: RunResult, views: Sequence[PairPlotData], path: str | Path) -> Path:
    """Write the picture as PNG; returns where. Raises ``OutputPathError`` where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = _sheet(views)
    figure = Figure(figsize=(sheet.width, sheet.height), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    figures = metrics(result)
    _header(figure, sheet, result, figures)
    shared = _top(figure, sheet, result, views)
    for index, view in enumerate(views):
        trades = [trade for trade in result.trades if trade.pair_id == view.pair_id]
        _pair(figure, sheet, index, view=view, trades=trades, shared=shared)
    image = io.BytesIO()
    canvas.print_png(image, metadata={"Software": None})
    return write_atomically(path, image.getvalue())


def _sheet(views: Sequence[PairPlotData]) -> Sheet:
    columns = 1 if len(views) < 2 else 2
    panels = PAIR_PANELS if any(not view.is_single for view in views) else SINGLE_PANELS
    height = sum(panels) + Sheet.PANEL_GAP * (len(panels) - 1)
    return Sheet(columns, -(-len(views) // columns), height)


def _header(figure: Figure, sheet: Sheet, result: RunResult, figures: Metrics) -> None:
    left = sheet.LEFT / sheet.width
    title = f"{result.config}, {result.mode}"
    if result.start is not None and result.end is not None:
        title += f", {result.start:%Y-%m-%d} to {result.end:%Y-%m-%d}"
    figure.text(left, 1.0 - 0.34 / sheet.height, title, fontsize=14, color=INK, weight="bold", va="center")
    apart = f" ({figures.trades_in_formation} in formation)" if figures.trades_in_formation else ""
    facts = (
        f"return {figures.return_pct:+.2f} %",
        f"Sharpe {figures.sharpe:.2f}",
        f"max drawdown {figures.max_drawdown_pct:.2f} %",
        f"{figures.trades} trades{apart}",
        f"{figures.win_rate_pct:.0f} % won",
        f"exposure {figures.exposure_pct:.0f} %",
    )
    figure.text(left, 1.0 - 0.62 / sheet.height, "   ·   ".join(facts), fontsize=10, color=MUTED, va="center")
    figure.legend(
        handles=list(_legend_handles(result)),
        loc="center left",
        bbox_to_anchor=(left, 1.0 - 0.9 / sheet.height),
        ncols=9,
        frameon=False,
        fontsize=8,
        labelcolor=MUTED,
        handlelength=1.6,
        columnspacing=1.5,
        handletextpad=0.5,
        borderpad=0.0,
        borderaxespad=0.0,
    )


def _legend_handles(result: RunResult) -> Iterator[Any]:
    from matplotlib.lines import Line2D

    looks: list[tuple[str, str, str]] = []
    if result.trades:
        looks = [
            ("^", LONG, "long entry"),
            ("v", SHORT, "short entry"),
            ("x", PROFIT, "exit, profit"),
            ("x", LOSS, "exit, loss"),
        ]
    for shape, colour, label in looks:
        yield Line2D([], [], linestyle="none", marker=shape, color=colour, markersize=6, label=label)
    if any(trade.in_formation for trade in result.trades):
        yield Line2D(
            [], [], linestyle="none", marker="^", color=LONG, markerfacecolor="none", markersize=6, label="in formation"
        )
    if any(len(trade.legs) > 1 for trade in result.trades):
        yield Line2D([], [], color=ENTRY_BAND, linestyle=(0, (4, 2)), linewidth=1, label="entry level")
        yield Line2D([], [], color=STOP_BAND, linestyle=(0, (1.5, 1.5)), linewidth=1, label="stop level")
    if result.risk_trips:
        yield Line2D([], [], color=TRIP, linestyle="-.", linewidth=1, label="risk limit tripped")


def _top(figure: Figure, sheet: Sheet, result: RunResult, views: Sequence[PairPlotData]) -> Axes:
    """Equity and drawdown across the page; returns the axes whose time all others share."""
    width = sheet.width - sheet.LEFT - sheet.RIGHT
    top = sheet.HEADER
    equity = figure.add_axes(sheet.rectangle(sheet.LEFT, top, width, sheet.EQUITY))
    top += sheet.EQUITY + sheet.PANEL_GAP
    fall = figure.add_axes(sheet.rectangle(sheet.LEFT, top, width, sheet.DRAWDOWN), sharex=equity)
    rows = [(instant(time), value) for time, value in result.equity if np.isfinite(value)]
    if rows:
        times = np.array([time for time, _ in rows])
        curve = np.array([value for _, value in rows])
        start = float(result.equity_start)
        draw_equity(equity, times, curve, start=start)
        draw_drawdown(fall, times, drawdowns_pct(np.concatenate([[start], curve]))[1:])
        draw_risk_trips(equity, result.risk_trips)
        draw_risk_trips(fall, result.risk_trips)
    else:
        equity.text(0.5, 0.5, "no bars", transform=equity.transAxes, ha="center", color=MUTED)
    dress(equity, dates=False)
    dress(fall)
    _set_span(equity, [view.times for view in views] + ([times] if rows else []))
    return equity


def _set_span(axes: Axes, times: Sequence[Any]) -> None:
    known = [series for series in times if len(series)]
    if known:
        first = min(series[0] for series in known)
        last = max(series[-1] for series in known)
        axes.set_xlim(first, max(last, first + np.timedelta64(1, "h")))


def _pair(
    figure: Figure, sheet: Sheet, index: int, *, view: PairPlotData, trades: Sequence[TradeRecord], shared: Axes
) -> None:
    left, top = sheet.cell(index)
    panels = []
    for height in SINGLE_PANELS if view.is_single else PAIR_PANELS:
        rectangle = sheet.rectangle(left, top, sheet.column_width, height)
        panels.append(figure.add_axes(rectangle, sharex=shared))
        top += height + sheet.PANEL_GAP
    for panel in panels:
        dress(panel, title=_pair_title(view, trades) if panel is panels[0] else "", dates=panel is panels[-1])
        draw_holdings(panel, trades)
    draw_prices(panels[0], view)
    if view.is_single:
        draw_marks(panels[0], price_marks(trades))
        return
    marks = z_marks(view, trades)
    draw_spread(panels[1], view)
    draw_zscore(panels[2], view, marks)
    draw_marks(panels[2], marks)


def _pair_title(view: PairPlotData, trades: Sequence[TradeRecord]) -> str:
    if not trades:
        return f"{view.pair_id}: no trade"
    won = sum(trade.pnl > 0 for trade in trades) / len(trades) * 100
    word = "trade" if len(trades) == 1 else "trades"
    return f"{view.pair_id}: {len(trades)} {word}, {won:.0f} % won, {sum(trade.pnl for trade in trades):+,.2f}"
