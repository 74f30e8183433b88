"""What a chart needs of each pair: from the bars that a run was played on, or from what a journal kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import inf, isfinite, nan

import numpy as np
from numpy.typing import NDArray

from pairs.spread_tracker import spread_series
from pairs.words import Pair
from strategies.plan import spread_window
from trading.config.model import LoadedConfig
from trading.market_input import MarketInput
from trading.plan_builder import stop_levels
from trading.records import Decision
from trading.reports.panels import PairPlotData

Times = NDArray[np.datetime64]
Values = NDArray[np.float64]


def views_of_bars(
    config: LoadedConfig, market: MarketInput, start: datetime | None, end: datetime | None
) -> tuple[PairPlotData, ...]:
    """Prices, spread and z of every pair between two closes, by the functions that a strategy calls."""
    return tuple(_view_of_bars(config, market, pair, _span(start, end)) for pair in config.pairs)


def views_of_decisions(config: LoadedConfig, decisions: Sequence[Decision]) -> tuple[PairPlotData, ...]:
    """Spread and z as the bot saw them on each bar; the journal keeps no prices. One symbol alone has no spread."""
    return tuple(_views_of_decisions(config, decisions))


def _view_of_bars(
    config: LoadedConfig, market: MarketInput, pair: Pair, span: tuple[np.datetime64, np.datetime64]
) -> PairPlotData:
    legs = market.aligned(pair)
    times = legs[0].time_ms.astype("datetime64[ms]")
    inside = (times >= span[0]) & (times <= span[1])
    if pair.leg_b is None:
        return _view(config, pair, times[inside], price_a=legs[0].close[inside])
    bar_numbers = legs[0].time_ms // legs[0].interval_ms
    hedges, rolling = spread_series(
        pair.hedge, spread_window(config.entry), legs[0].close, legs[1].close, bar_numbers=bar_numbers
    )
    return _view(
        config,
        pair,
        times[inside],
        price_a=legs[0].close[inside],
        price_b=legs[1].close[inside],
        spread=hedges.errors[inside],
        zscore=rolling.zscore[inside],
    )


def _views_of_decisions(config: LoadedConfig, decisions: Sequence[Decision]) -> Iterator[PairPlotData]:
    for pair in config.pairs:
        own = [decision for decision in decisions if decision.pair_id == pair.pair_id]
        if pair.leg_b is None or not own:
            continue
        times = np.array([_instant(decision.time) for decision in own])
        spread, zscore = (_column([getattr(one, name) for one in own]) for name in ("spread", "zscore"))
        unknown = np.full(len(own), nan)
        yield _view(config, pair, times, price_a=unknown, price_b=unknown, spread=spread, zscore=zscore)


def _view(
    config: LoadedConfig,
    pair: Pair,
    times: Times,
    *,
    price_a: Values,
    price_b: Values | None = None,
    spread: Values | None = None,
    zscore: Values | None = None,
) -> PairPlotData:
    has_z = zscore is not None
    return PairPlotData(
        pair_id=pair.pair_id,
        times=times,
        price_a=price_a,
        price_b=price_b,
        spread=spread,
        zscore=zscore,
        entry_z=(pair.entry_z or getattr(config.entry.params, "e_entry_z", None)) if has_z else None,
        exit_z=getattr(config.exit.params, "x_exit_z", None) if has_z else None,
        stop_z=_finite(stop_levels(config).get(pair.pair_id, inf)) if has_z else None,
        leg_a=pair.leg_a,
        leg_b=pair.leg_b or "",
    )


def _span(start: datetime | None, end: datetime | None) -> tuple[np.datetime64, np.datetime64]:
    first = np.datetime64(0, "ms") if start is None else _instant(start)
    last = np.datetime64("2200-01-01", "ms") if end is None else _instant(end)
    return first, last


def _instant(when: datetime) -> np.datetime64:
    return np.datetime64(when.astimezone(UTC).replace(tzinfo=None), "ms")


def _column(values: Sequence[float | None]) -> Values:
    return np.array([nan if value is None else value for value in values], dtype=np.float64)


def _finite(level: float) -> float | None:
    return level if isfinite(level) else None
