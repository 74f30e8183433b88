"""The dear figures of one pair: what it earns against what it costs, and whether it holds in parts of its history.

They take milliseconds a pair, so they are made for pairs near passing only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairs.cointegration import adf, engle_granger
from pairs.johansen import johansen_trace
from pairs.mean_reversion import hurst
from pairs.words import SpreadStatistics
from research.scan.settings import ScanSettings

Floats = NDArray[np.float64]

SHORT = 40  # bars; fewer do not bear the usual number of lags
PARTS = 3  # sub-windows; shorter ones have no power at usual half-lives


@dataclass(frozen=True, slots=True)
class Part:
    """One sub-window: its own hedge ratio, and the p-value of its own test."""

    hedge_ratio: float
    pvalue: float


@dataclass(frozen=True, slots=True)
class Figures:
    """``cost``: of a round trip, in units of the spread (fees, slippage, funding over a half-life). ``edge``: the
    reversion from entry to exit over it. ``holdout_pvalue``: of a unit root in the spread of the last bars, by the line
    of the bars before. ``hurst``: about 0.5 for a random walk, less for a spread that returns. ``johansen_trace``: of
    no combination at all (95 %: 15.49), where it was asked for.
    """

    cost: float
    edge: float
    holdout_pvalue: float
    parts: tuple[Part, ...]
    hedge_drift: float
    hurst: float
    johansen_trace: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """``log(leg_a) = intercept + hedge_ratio · log(leg_b) + spread``: the spread's deviation and half-life."""

    hedge_ratio: float
    intercept: float
    std: float
    half_life_bars: float


def figures(log_a: Floats, log_b: Floats, line: Line, settings: ScanSettings) -> Figures:
    """``log_a`` and ``log_b``: log prices of the whole window, one line fitted to them."""
    gates = settings.gates
    spread = log_a - line.intercept - line.hedge_ratio * log_b
    parts = tuple(
        _part(a, b, settings) for a, b in zip(*(np.array_split(x, PARTS) for x in (log_a, log_b)), strict=True)
    )
    cost = round_trip_cost(line, settings)
    return Figures(
        cost=cost,
        edge=(gates.entry_z - gates.exit_z) * line.std / cost if cost > 0.0 else math.inf,
        holdout_pvalue=_holdout_pvalue(log_a, log_b, settings),
        parts=parts,
        hedge_drift=max(abs(part.hedge_ratio / line.hedge_ratio - 1.0) for part in parts),
        hurst=hurst(spread),
        johansen_trace=float(johansen_trace(log_a, log_b).trace[0]) if settings.johansen else None,
    )


def round_trip_cost(line: Line, settings: ScanSettings) -> float:
    """Infinite for a spread that does not return."""
    if not math.isfinite(line.half_life_bars):
        return math.inf
    statistics = SpreadStatistics(line.hedge_ratio, line.intercept, 0.0, line.std)
    # In logs the cost does not depend on the prices.
    return settings.costs.round_trip(statistics, 1.0, 1.0, hold_hours=line.half_life_bars * settings.bar_hours)


def _part(log_a: Floats, log_b: Floats, settings: ScanSettings) -> Part:
    found = engle_granger(log_a, log_b, max_lag=_lags(settings, log_a), autolag=settings.test.autolag)
    return Part(found.hedge_ratio, found.pvalue)


def _holdout_pvalue(log_a: Floats, log_b: Floats, settings: ScanSettings) -> float:
    """The line comes from other bars, so that the one-variable tables are right."""
    cut = len(log_a) - round(settings.gates.holdout * len(log_a))
    fitted = engle_granger(log_a[:cut], log_b[:cut], max_lag=0, autolag=None)
    spread = log_a[cut:] - fitted.intercept - fitted.hedge_ratio * log_b[cut:]
    return adf(spread, max_lag=_lags(settings, spread), autolag=settings.test.autolag).pvalue


def _lags(settings: ScanSettings, series: Floats) -> int | None:
    """As many as were asked for (None: as usual), unless a part of the history is too short for them."""
    wanted, most = settings.test.max_lag, len(series) // 4
    if wanted is None:
        return None if len(series) >= SHORT else most
    return min(wanted, most)
