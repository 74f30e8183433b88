"""The charts of a report: equity, drawdown, beta, profit by trade, and every pair's prices, spread and z."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np

from management.report.axes import Times, Values
from management.report.charts import LOW, Level, Line, Mark, Span, bar_chart, line_chart
from management.report.markup import Markup, joined, tag
from management.report.words import length, minute, money, number
from trading.records import TradeRecord
from trading.reports.panels import PairPlotData
from trading.reports.performance import drawdowns_pct
from trading.reports.report import Report

MOST_BARS = 400
Z_MARGIN, LEAST_Z = 1.25, 3.0


def equity_picture(report: Report) -> Markup:
    times, values = _curve(report)
    trips = [Span(time.timestamp(), time.timestamp(), "trip") for time, _ in report.result.risk_trips]
    start = Level(float(report.result.equity_start), "muted")
    return line_chart("Equity over time", [Line("this run", times, values, "own")], levels=[start], spans=trips)


def benchmark_picture(report: Report) -> Markup:
    held = report.benchmark
    assert held is not None
    name = "buy and hold: " + (held.symbols[0] if len(held.symbols) == 1 else "first legs in equal parts")
    lines = [Line("this run", *_curve(report), "own"), Line(name, _seconds(held.times), held.held, "other")]
    return line_chart("Equity beside buy and hold", lines, levels=[Level(float(report.result.equity_start), "muted")])


def drawdown_picture(report: Report) -> Markup:
    times, values = _curve(report)
    curve = np.concatenate([[float(report.result.equity_start)], values])
    line = Line("drawdown", times, -drawdowns_pct(curve)[1:], "fall", fills=True)
    return line_chart("Drawdown from the highest equity so far, per cent", [line], height=LOW, unit=" %")


def beta_picture(report: Report) -> Markup:
    assert report.beta is not None
    line = Line("beta", _seconds(report.beta.times), report.beta.values, "other")
    return line_chart("Rolling beta of the run to its market", [line], height=LOW, levels=[Level(0.0, "muted")])


def profit_picture(trades: Sequence[TradeRecord]) -> Markup:
    """The last trades, each a bar."""
    shown = trades[-MOST_BARS:]
    label = f"Profit of each of the last {len(shown)} trades after fees and funding"
    return bar_chart(label, [float(trade.pnl) for trade in shown], [_said(trade) for trade in shown])


def parts_picture(parts: Sequence[tuple[str, Decimal]]) -> Markup:
    return bar_chart(
        "The parts of the profit",
        [float(value) for _, value in parts],
        [f"{name}: {money(value)}" for name, value in parts],
        names=[f"{name} {money(value)}" for name, value in parts],
    )


def pair_pictures(view: PairPlotData, trades: Sequence[TradeRecord]) -> Markup:
    """Prices where there are any, the spread, and z with its levels and the trades."""
    spans = [
        Span(trade.entry_time.timestamp(), trade.exit_time.timestamp(), "held-gain" if trade.pnl > 0 else "held-loss")
        for trade in trades
    ]
    return joined(_pair_pictures(view, trades, spans))


def _pair_pictures(view: PairPlotData, trades: Sequence[TradeRecord], spans: Sequence[Span]) -> Iterator[Markup]:
    times = view.times.astype("datetime64[ms]").astype(np.int64) / 1000.0
    yield from _prices(view, times, trades, spans)
    if view.spread is None or view.zscore is None:
        return
    yield tag("h4", "spread")
    label = f"{view.pair_id}: spread, with the time of each trade"
    marks = [mark for trade in trades for mark in _marks(trade, times, view.spread)]
    yield line_chart(label, [Line("spread", times, view.spread, "spread")], height=LOW, spans=spans, marks=marks)
    yield tag("h4", "z-score")
    yield _z_picture(view, times, view.zscore, trades, spans)


def _prices(view: PairPlotData, times: Times, trades: Sequence[TradeRecord], spans: Sequence[Span]) -> Iterator[Markup]:
    if not np.isfinite(view.price_a).any():
        return
    if view.price_b is None:
        yield tag("h4", f"price of {view.leg_a}")
        marks = [mark for trade in trades for mark in _marks(trade, times, view.price_a)]
        yield line_chart(
            f"{view.leg_a}: price with trades", [Line(view.leg_a, times, view.price_a, "own")], spans=spans, marks=marks
        )
        return
    yield tag("h4", "prices, both 100 at the start")
    legs = ((view.leg_a, view.price_a, "own"), (view.leg_b, view.price_b, "other"))
    lines = [Line(name, times, _from_100(prices), look) for name, prices, look in legs]
    yield line_chart(f"{view.pair_id}: prices of both legs", lines, height=LOW, spans=spans)


def _z_picture(
    view: PairPlotData, times: Times, zscore: Values, trades: Sequence[TradeRecord], spans: Sequence[Span]
) -> Markup:
    named = ((view.exit_z, "muted"), (view.entry_z, "entry"), (view.stop_z, "stop"))
    known = [(value, look) for value, look in named if value is not None and np.isfinite(value)]
    levels = [Level(sign * value, look) for value, look in known for sign in (1.0, -1.0)]
    marks = [mark for trade in trades for mark in _marks(trade, times, zscore, is_z=True)]
    limit = _z_limit(zscore, [value for value, _ in known], marks)
    return line_chart(
        f"{view.pair_id}: z-score with its levels and the trades",
        [Line("z-score", times, zscore, "spread")],
        levels=levels,
        spans=spans,
        marks=marks,
        limits=(-limit, limit),
    )


def _z_limit(zscore: Values, levels: Sequence[float], marks: Sequence[Mark]) -> float:
    """What lies far beyond the stop is cut, so that the levels stay apart."""
    sizes = np.abs(zscore[np.isfinite(zscore)])
    usual = float(np.quantile(sizes, 0.999)) if len(sizes) else LEAST_Z
    far = 2.0 * max([LEAST_Z, *levels])
    return min(max([LEAST_Z, usual, *levels, *(abs(mark.value) for mark in marks)]) * Z_MARGIN, far * Z_MARGIN)


def _marks(trade: TradeRecord, times: Times, values: Values, *, is_z: bool = False) -> Iterator[Mark]:
    """Where a trade was entered and left: by its own z where it has one, else on the line."""
    sides = ((trade.entry_time, trade.entry_z, True), (trade.exit_time, trade.exit_z, False))
    for when, zscore, is_entry in sides:
        value = zscore if is_z and zscore is not None else _at(when, times, values)
        if value is None or not np.isfinite(value):
            continue
        shape = ("up" if trade.direction == "long" else "down") if is_entry else "cross"
        look = trade.direction if is_entry else "gain" if trade.pnl > 0 else "loss"
        hollow = " hollow" if trade.in_formation else ""
        yield Mark(when.timestamp(), float(value), shape, look + hollow, _said(trade))


def _at(when: datetime, times: Times, values: Values) -> float | None:
    index = int(np.searchsorted(times, when.timestamp(), side="right")) - 1
    return float(values[index]) if index >= 0 else None


def _said(trade: TradeRecord) -> str:
    course = f"z {number(trade.entry_z)} to {number(trade.exit_z)}, {trade.exit_reason}"
    held = length(trade.exit_time - trade.entry_time)
    return f"{trade.pair_id} {trade.direction}, {minute(trade.entry_time)} for {held}: {course}, {money(trade.pnl)}"


def _curve(report: Report) -> tuple[Times, Values]:
    rows = [(time.timestamp(), value) for time, value in report.result.equity if np.isfinite(value)]
    return np.array([time for time, _ in rows]), np.array([value for _, value in rows])


def _seconds(times: Sequence[datetime]) -> Times:
    return np.array([time.timestamp() for time in times])


def _from_100(prices: Values) -> Values:
    usable = prices[np.isfinite(prices) & (prices > 0.0)]
    return prices / usable[0] * 100.0 if len(usable) else prices
