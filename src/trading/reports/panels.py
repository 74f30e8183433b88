"""The panels of a run's picture: each function draws one thing into axes that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trading.records import TradeRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID = "#1f2937", "#6b7280", "#e5e7eb"
EQUITY, FALL = "#1d4e89", "#b4232c"
LEG_A, LEG_B, SPREAD, ZSCORE = "#1d4e89", "#d97706", "#4b5563", "#7b8794"
LONG, SHORT, PROFIT, LOSS = "#0e7490", "#7c3aed", "#15803d", "#b4232c"
ENTRY_BAND, STOP_BAND, TRIP = "#b7791f", "#b4232c", "#111827"
YEARS_ONLY = ["", "%Y", "%Y", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"]  # beside ticks of years, months, days, hours, ...
LABEL_INCHES = 0.62
LABEL_GAP_POINTS = 9.0


@dataclass(frozen=True, slots=True, eq=False)
class PairPlotData:
    """What is drawn of one pair. All arrays have one value a bar; ``times``: datetime64, UTC, a bar's close.

    For one symbol ``price_b``, ``spread`` and ``zscore`` are None and the price is drawn as it is. A level of None or
    infinity is not drawn. ``leg_a`` and ``leg_b`` name the prices.
    """

    pair_id: str
    times: NDArray[np.datetime64]
    price_a: NDArray[np.float64]
    price_b: NDArray[np.float64] | None
    spread: NDArray[np.float64] | None
    zscore: NDArray[np.float64] | None
    entry_z: float | None = None
    exit_z: float | None = None
    stop_z: float | None = None
    leg_a: str = "leg A"
    leg_b: str = "leg B"

    @property
    def is_single(self) -> bool:
        return self.price_b is None


@dataclass(frozen=True, slots=True)
class Mark:
    """One point on a panel: when, how high, and how it looks."""

    time: np.datetime64
    height: float
    shape: str
    colour: str
    hollow: bool


def instant(when: datetime) -> np.datetime64:
    """The same moment as numpy counts it, in UTC."""
    return np.datetime64(when.astimezone(UTC).replace(tzinfo=None), "us")


def dress(axes: Axes, *, title: str = "", dates: bool = True) -> None:
    """Quiet spines and grid; the dates only where asked for."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=8, length=2, labelbottom=dates)
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0)
    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, offset_formats=YEARS_ONLY, show_offset=dates))
    axes.xaxis.get_offset_text().set(color=MUTED, size=8)
    if title:
        axes.set_title(title, loc="left", fontsize=10, color=INK, pad=6)


def name_axis(axes: Axes, name: str) -> None:
    """One left edge for the names of all panels, however wide their numbers are."""
    axes.set_ylabel(name, fontsize=8, color=MUTED)
    width = axes.get_window_extent().width / float(axes.figure.dpi)
    axes.yaxis.set_label_coords(-LABEL_INCHES / width, 0.5)


def draw_equity(axes: Axes, times: NDArray[Any], curve: NDArray[np.float64], *, start: float) -> None:
    axes.axhline(start, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(times, curve, color=EQUITY, linewidth=1.3)
    axes.fill_between(times, curve, start, color=EQUITY, alpha=0.08, linewidth=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    name_axis(axes, "equity")


def draw_drawdown(axes: Axes, times: NDArray[Any], falls_pct: NDArray[np.float64]) -> None:
    axes.fill_between(times, -falls_pct, 0.0, color=FALL, alpha=0.3, linewidth=0)
    axes.plot(times, -falls_pct, color=FALL, linewidth=0.8)
    axes.set_ylim(min(-1.1 * float(falls_pct.max(initial=0.0)), -0.1), 0.0)
    name_axis(axes, "drawdown %")


def draw_risk_trips(axes: Axes, trips: Sequence[tuple[datetime, str]]) -> None:
    for when, _ in trips:
        axes.axvline(instant(when), color=TRIP, linewidth=0.9, linestyle="-.")  # type: ignore[arg-type]


def draw_prices(axes: Axes, view: PairPlotData) -> None:
    """Both legs start at 100; a single symbol keeps its price."""
    if view.price_b is None:
        axes.plot(view.times, view.price_a, color=LEG_A, linewidth=0.9, label=view.leg_a)
        name_axis(axes, "price")
        return
    for prices, colour, name in ((view.price_a, LEG_A, view.leg_a), (view.price_b, LEG_B, view.leg_b)):
        axes.plot(view.times, _from_100(prices), color=colour, linewidth=0.9, label=name)
    name_axis(axes, "price, start = 100")
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.005, 1.0),
        ncols=2,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        handlelength=1.2,
        borderaxespad=0.2,
    )


def draw_spread(axes: Axes, view: PairPlotData) -> None:
    assert view.spread is not None
    axes.plot(view.times, view.spread, color=SPREAD, linewidth=0.8)
    name_axis(axes, "spread")


def draw_zscore(axes: Axes, view: PairPlotData, marks: Sequence[Mark]) -> None:
    """z with its bands; what lies far beyond the stop is cut off, so that the bands stay readable."""
    assert view.zscore is not None
    limit = _z_limit(view, marks)
    axes.set_ylim(-limit, limit)
    axes.plot(view.times, view.zscore, color=ZSCORE, linewidth=0.7)
    levels = _levels(view)
    for name, level, colour, dashes in levels:
        if name == "exit":
            axes.axhspan(-level, level, color=MUTED, alpha=0.12, linewidth=0)
            continue
        for height in (-level, level):
            axes.axhline(height, color=colour, linewidth=0.9, linestyle=dashes)
    _label_levels(axes, [(name, level, colour) for name, level, colour, _ in levels])
    name_axis(axes, "z-score")


def draw_holdings(axes: Axes, trades: Sequence[TradeRecord]) -> None:
    """A faint band for the time of each trade, coloured by its profit."""
    from matplotlib.dates import date2num

    for colour, chosen in ((PROFIT, [t for t in trades if t.pnl > 0]), (LOSS, [t for t in trades if t.pnl <= 0])):
        starts = [float(date2num(trade.entry_time)) for trade in chosen]
        ends = [float(date2num(trade.exit_time)) for trade in chosen]
        spans = [(start, end - start) for start, end in zip(starts, ends, strict=True)]
        axes.broken_barh(spans, (0, 1), transform=axes.get_xaxis_transform(), color=colour, alpha=0.1, linewidth=0)


def draw_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    """Entries and exits; hollow for trades inside a formation window."""
    size = float(np.clip(2400.0 / max(len(marks), 1), 14.0, 42.0))
    looks = sorted({(mark.shape, mark.colour, mark.hollow) for mark in marks})
    for shape, colour, hollow in looks:
        same = [mark for mark in marks if (mark.shape, mark.colour, mark.hollow) == (shape, colour, hollow)]
        outline = {"facecolors": "none", "edgecolors": colour} if hollow and shape != "x" else {"color": colour}
        axes.scatter(
            [mark.time for mark in same],
            [mark.height for mark in same],
            marker=shape,
            s=size,
            linewidths=1.4 if shape == "x" else 0.9,
            zorder=4,
            **outline,  # type: ignore[arg-type]
        )


def z_marks(view: PairPlotData, trades: Sequence[TradeRecord]) -> list[Mark]:
    """The trades at their z, as recorded or else as the line has it."""
    assert view.zscore is not None
    return [
        mark
        for trade in trades
        for mark in (
            _entry_mark(trade, _known(trade.entry_z, view.times, view.zscore, trade.entry_time)),
            _exit_mark(trade, _known(trade.exit_z, view.times, view.zscore, trade.exit_time)),
        )
        if isfinite(mark.height)
    ]


def price_marks(trades: Sequence[TradeRecord]) -> list[Mark]:
    """The trades of one symbol at their prices."""
    entries = [_entry_mark(trade, float(trade.legs[0].entry_price)) for trade in trades]
    exits = [(trade, trade.legs[0].exit_price) for trade in trades]
    return entries + [_exit_mark(trade, float(price)) for trade, price in exits if price is not None]


def _entry_mark(trade: TradeRecord, height: float) -> Mark:
    shape, colour = ("^", LONG) if trade.direction == "long" else ("v", SHORT)
    return Mark(instant(trade.entry_time), height, shape, colour, trade.in_formation)


def _exit_mark(trade: TradeRecord, height: float) -> Mark:
    return Mark(instant(trade.exit_time), height, "x", PROFIT if trade.pnl > 0 else LOSS, trade.in_formation)


def _known(z: float | None, times: NDArray[np.datetime64], zscore: NDArray[np.float64], when: datetime) -> float:
    """The recorded z, else that of the last bar not after ``when``; NaN before the first."""
    if z is not None and isfinite(z):
        return z
    index = int(np.searchsorted(times.astype("datetime64[us]"), instant(when), side="right")) - 1
    return float(zscore[index]) if index >= 0 else float("nan")


def _from_100(prices: NDArray[np.float64]) -> NDArray[np.float64]:
    usable = prices[np.isfinite(prices) & (prices > 0.0)]
    return prices / usable[0] * 100.0 if len(usable) else prices


def _levels(view: PairPlotData) -> list[tuple[str, float, str, Any]]:
    named = (
        ("exit", view.exit_z, MUTED, "-"),
        ("entry", view.entry_z, ENTRY_BAND, (0, (5, 3))),
        ("stop", view.stop_z, STOP_BAND, (0, (1.5, 1.5))),
    )
    return [
        (name, level, colour, dashes) for name, level, colour, dashes in named if level is not None and isfinite(level)
    ]


def _z_limit(view: PairPlotData, marks: Sequence[Mark]) -> float:
    assert view.zscore is not None
    sizes = np.abs(view.zscore[np.isfinite(view.zscore)])
    usual = float(np.quantile(sizes, 0.999)) if len(sizes) else 1.0
    highest = max((level for _, level, _, _ in _levels(view)), default=0.0)
    cap = 2.0 * highest if highest > 0.0 else usual
    marked = max((abs(mark.height) for mark in marks), default=0.0)
    return max(1.15 * highest, 1.08 * min(max(usual, marked), cap), 1.0)


def _label_levels(axes: Axes, levels: Sequence[tuple[str, float, str]]) -> None:
    """Names beside the upper bands, pushed apart where two would touch."""
    low, high = axes.get_ylim()
    box = axes.get_window_extent()
    dpi = float(axes.figure.dpi)
    gap = (high - low) * LABEL_GAP_POINTS / (box.height * 72.0 / dpi)
    floor = -float("inf")
    for name, level, colour in sorted(levels, key=lambda item: item[1]):
        height = max(level, floor)
        floor = height + gap
        text = f"{name} {level:g}"
        axes.annotate(
            text, (1.0, height), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            fontsize=7, color=colour, va="center", annotation_clip=False,
        )  # fmt: skip
