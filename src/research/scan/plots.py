"""The pictures of a scan: one sheet for each chosen pair, and the p-values of all pairs as a map."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pairs.hedge import hedge_series
from pairs.spread import rolling_statistics, transform
from pairs.words import HedgeSpec
from research.scan.choice import Row
from research.scan.result_files import slashed
from research.scan.scan import Scan
from trading.reports.output_files import write_atomically
from trading.reports.panels import (
    ENTRY_BAND,
    INK,
    LEG_A,
    MUTED,
    STOP_BAND,
    PairPlotData,
    draw_prices,
    draw_spread,
    draw_zscore,
    dress,
    name_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
SHEET = (10.4, 8.4)
HEIGHTS = (2.2, 1.5, 1.7, 1.4)  # prices, spread, z, rolling hedge ratio
ROLLING_PARTS, STEPS = 6, 200  # a sixth of the window, refitted at so many places
Z_WINDOW = 100  # bars, as the z rule has it unless told otherwise
MOST_LABELS = 60
OVERVIEW = "overview.png"


def plot_pair(scan: Scan, row: Row, path: Path) -> None:
    """Prices, spread with bands, z by the bars before and rolling hedge ratio. Raises ``OutputPathError``."""
    figure = _figure(SHEET)
    panels: Any = figure.subplots(len(HEIGHTS), 1, sharex=True, gridspec_kw={"height_ratios": HEIGHTS, "hspace": 0.14})
    view = _view(scan, row)
    for panel in panels:
        dress(panel, title=_title(scan, row) if panel is panels[0] else "", dates=panel is panels[-1])
    draw_prices(panels[0], view)
    draw_spread(panels[1], view)
    _bands(panels[1], scan, float(scan.tests.spread_std[row]))
    draw_zscore(panels[2], view, ())
    _draw_hedge(panels[3], scan, row, view=view)
    _write(figure, path)


def plot_overview(scan: Scan, path: Path) -> None:
    """The p-values of every pair: leg_a is the row, leg_b the column. Raises ``OutputPathError``."""
    symbols, tests = scan.universe.symbols, scan.tests
    grid = np.full((len(symbols), len(symbols)), np.nan)
    grid[tests.first, tests.second] = tests.coint_p
    grid[tests.second, tests.first] = tests.coint_p_reverse
    side = min(4.0 + 0.22 * len(symbols), 14.0)
    figure = _figure((side + 1.4, side))
    axes = figure.add_subplot()
    _draw_map(figure, axes, grid)
    _label(axes, symbols)
    chosen = list(scan.choice.chosen)
    axes.scatter(tests.second[chosen], tests.first[chosen], marker="s", s=60, facecolors="none", edgecolors=INK)
    title = f"p-values of {len(tests):,} pairs (row on column), {len(chosen)} chosen"
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    _write(figure, path)


def _view(scan: Scan, row: Row) -> PairPlotData:
    (leg_a, leg_b), gates = scan.symbols(row), scan.settings.gates
    price_a, price_b = (scan.universe.closes[leg[row]] for leg in (scan.tests.first, scan.tests.second))
    ratio, intercept = float(scan.tests.hedge_ratio[row]), float(scan.tests.intercept[row])
    log_a, log_b = transform(price_a, "log"), transform(price_b, "log")
    ratios, intercepts = np.full(len(log_a), ratio), np.full(len(log_a), intercept)
    window = min(Z_WINDOW, len(log_a) // ROLLING_PARTS)
    moving = rolling_statistics(log_a, log_b, ratios, intercepts, window)
    return PairPlotData(
        scan.names[row],
        scan.universe.time_ms.astype("datetime64[ms]"),
        price_a,
        price_b,
        moving.spread,
        moving.zscore,
        gates.entry_z,
        gates.exit_z,
        gates.stop_z,
        slashed(leg_a),
        slashed(leg_b),
    )


def _title(scan: Scan, row: Row) -> str:
    tests, hours = scan.tests, scan.settings.bar_hours
    return (
        f"{scan.names[row]}: hedge ratio {tests.hedge_ratio[row]:.4f}, p {tests.coint_p[row]:.2g}, "
        f"q {scan.q_values[row]:.2g}, half-life {tests.half_life_bars[row] * hours:.1f} h"
    )


def _bands(axes: Axes, scan: Scan, std: float) -> None:
    gates = scan.settings.gates
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    for level, colour in ((gates.entry_z, ENTRY_BAND), (gates.stop_z, STOP_BAND)):
        for height in (-level * std, level * std):
            axes.axhline(height, color=colour, linewidth=0.9, linestyle=(0, (5, 3)))


def _draw_hedge(axes: Axes, scan: Scan, row: Row, *, view: PairPlotData) -> None:
    assert view.price_b is not None
    bars = len(view.times)
    spec = HedgeSpec("ols", window=bars // ROLLING_PARTS, refit_every=max(1, bars // STEPS))
    ratios = hedge_series(spec, transform(view.price_a, "log"), transform(view.price_b, "log")).ratios
    axes.plot(view.times, ratios, color=LEG_A, linewidth=0.9)
    axes.axhline(float(scan.tests.hedge_ratio[row]), color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    name_axis(axes, f"hedge ratio\n({spec.window} bars)")


def _draw_map(figure: Figure, axes: Axes, grid: NDArray[np.float64]) -> None:
    from matplotlib.colors import LogNorm

    picture = axes.imshow(np.clip(grid, 1e-4, 1.0), cmap="viridis_r", norm=LogNorm(1e-4, 1.0))
    bar = figure.colorbar(picture, ax=axes, shrink=0.8)
    bar.set_ticks([1e-4, 1e-3, 1e-2, 0.05, 0.2, 1.0], labels=["<= 0.0001", "0.001", "0.01", "0.05", "0.2", "1"])
    bar.ax.tick_params(labelsize=8, colors=MUTED)


def _label(axes: Axes, symbols: tuple[str, ...]) -> None:
    if len(symbols) > MOST_LABELS:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    axes.set_xticks(range(len(symbols)), labels=symbols, rotation=90, fontsize=7, color=MUTED)
    axes.set_yticks(range(len(symbols)), labels=symbols, fontsize=7, color=MUTED)


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _write(figure: Figure, path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", bbox_inches="tight", metadata={"Software": None})
    write_atomically(path, image.getvalue())
