"""The picture of a daily summary: equity and drawdown of the last days, drawn as a run's report draws them."""

from __future__ import annotations

import io
from datetime import datetime

from notifications.chart import DRAWING
from notifications.words import Picture

WIDTH_IN, HEIGHT_IN, DPI = 7.2, 4.0, 110


def equity_picture(curve: tuple[tuple[datetime, float], ...]) -> tuple[Picture, ...]:
    """None for fewer than two points. Loads matplotlib."""
    if len(curve) < 2:
        return ()
    with DRAWING:
        return (Picture("equity.png", _png(curve)),)


def _png(curve: tuple[tuple[datetime, float], ...]) -> bytes:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from trading.reports.panels import draw_drawdown, draw_equity, dress, instant
    from trading.reports.performance import drawdowns_pct

    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    times = np.array([instant(time) for time, _ in curve])
    values = np.array([equity for _, equity in curve])
    equity = figure.add_axes((0.13, 0.42, 0.84, 0.5))
    fall = figure.add_axes((0.13, 0.1, 0.84, 0.26), sharex=equity)
    draw_equity(equity, times, values, start=float(values[0]))
    draw_drawdown(fall, times, drawdowns_pct(values))
    dress(equity, title="Equity and drawdown", dates=False)
    dress(fall)
    image = io.BytesIO()
    canvas.print_png(image, metadata={"Software": None})
    return image.getvalue()
