"""A pair's z-score over its last bars as a small picture, for messages."""

from __future__ import annotations

import io
import re
import threading
from datetime import UTC

from notifications.words import Picture, SpreadChart

WIDTH_IN, HEIGHT_IN, DPI = 6.4, 3.2, 110
LINE, LEVEL, MARK, MUTED = "#1f5fa8", "#b0442e", "#1a7f37", "#8a8f98"
DRAWING = threading.Lock()  # matplotlib keeps fonts and texts in caches that are not made for several threads


def draw(chart: SpreadChart) -> Picture:
    """A PNG of some 700 by 350 points. Loads matplotlib; any thread."""
    with DRAWING:
        return Picture(f"{re.sub(r'[^A-Za-z0-9_-]', '_', chart.pair_id)}.png", _png(chart))


def _png(chart: SpreadChart) -> bytes:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    days = [float(date2num(time)) for time in chart.times]
    axes.plot(days, chart.zscores, color=LINE, linewidth=1.3)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    for label, level in chart.levels:
        axes.axhline(level, color=LEVEL, linewidth=0.9, linestyle="--")
        axes.annotate(
            _literal(label),
            (0.0, level),
            xycoords=("axes fraction", "data"),
            xytext=(4, 2),
            textcoords="offset points",
            color=LEVEL,
            fontsize=8,
        )
    for when, zscore, label in chart.marks:
        at = float(date2num(when))
        axes.plot([at], [zscore], marker="o", markersize=7, color=MARK)
        axes.annotate(_literal(label), (at, zscore), xytext=(0, 8), textcoords="offset points", fontsize=8, ha="center")
    axes.xaxis.axis_date(UTC)
    if len(days) == 1:
        axes.set_xlim(days[0] - 0.5, days[0] + 0.5)
    locator = AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_title(f"{_literal(chart.pair_id)}: z-score", loc="left", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _literal(text: str) -> str:
    """Matplotlib takes what stands between dollars for mathematics."""
    return text.replace("$", r"\$")
