"""A made-up market for the tests of the picture: cointegrated pairs, traded by their z."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np

from tests.trading.journal.journal_samples import START
from tests.trading.reports.result_samples import sample_result
from trading.records import LegRecord, RunResult, TradeRecord
from trading.reports.plot import PairPlotData


def cointegrated_view(pair_id: str, *, seed: int, bars: int = 2000, window: int = 100) -> PairPlotData:
    """ln A = 0.8 ln B + an Ornstein-Uhlenbeck spread; z over the ``window`` bars before."""
    rng = np.random.default_rng(seed)
    log_b = np.log(300.0) + np.cumsum(rng.normal(0.0, 0.006, bars))
    spread = np.zeros(bars)
    for bar in range(1, bars):
        spread[bar] = 0.96 * spread[bar - 1] + rng.normal(0.0, 0.004)
    log_a = 0.8 * log_b + 0.4 + spread
    zscore = np.full(bars, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(spread, window)[:-1]
    zscore[window:] = (spread[window:] - windows.mean(axis=1)) / windows.std(axis=1, ddof=1)
    first = np.datetime64(START.replace(tzinfo=None), "s")
    leg_a, leg_b = pair_id.split("_")
    return PairPlotData(
        pair_id=pair_id,
        times=first + np.arange(bars) * np.timedelta64(1, "h"),
        price_a=np.exp(log_a),
        price_b=np.exp(log_b),
        spread=spread,
        zscore=zscore,
        entry_z=2.0,
        exit_z=0.5,
        stop_z=4.0,
        leg_a=f"{leg_a}USDT",
        leg_b=f"{leg_b}USDT",
    )


def single_view(pair_id: str, *, seed: int, bars: int = 2000) -> PairPlotData:
    view = cointegrated_view(f"{pair_id}_X", seed=seed, bars=bars)
    return replace(view, pair_id=pair_id, price_b=None, spread=None, zscore=None)


def traded(view: PairPlotData, *, formation_bars: int = 0) -> list[TradeRecord]:
    """Enter at |z| ≥ 2, leave at |z| ≤ 0.5, with ten thousand on each leg."""
    trades: list[TradeRecord] = []
    zscore = view.spread / 0.014 if view.zscore is None and view.spread is not None else view.zscore
    if zscore is None:
        zscore = np.sin(np.arange(len(view.times)) / 40.0) * 2.5
    entry = None
    for bar, z in enumerate(zscore):
        if entry is None and 2.0 <= abs(z) < 4.0:
            entry = bar
        elif entry is not None and abs(z) <= 0.5:
            trades.append(_trade(view, zscore, entry, bar, in_formation=bar < formation_bars))
            entry = None
    return trades


def _trade(view: PairPlotData, zscore: np.ndarray, entry: int, leave: int, *, in_formation: bool) -> TradeRecord:
    direction = -1 if zscore[entry] > 0 else 1
    legs = [_leg(view.leg_a, view.price_a, entry, leave, direction)]
    if view.price_b is not None:
        legs.append(_leg(view.leg_b, view.price_b, entry, leave, -direction))
    paired = view.zscore is not None
    return TradeRecord(
        pair_id=view.pair_id,
        direction="long" if direction > 0 else "short",
        entry_time=START + timedelta(hours=entry),
        exit_time=START + timedelta(hours=leave),
        entry_z=float(zscore[entry]) if paired else None,
        exit_z=float(zscore[leave]) if paired else None,
        exit_reason="reversion",
        in_formation=in_formation,
        legs=tuple(legs),
        legging_cost=Decimal(0),
    )


def _leg(symbol: str, prices: np.ndarray, entry: int, leave: int, sign: int) -> LegRecord:
    bought, sold = (Decimal(str(round(float(prices[bar]), 4))) for bar in (entry, leave))
    quantity = sign * Decimal(1000) / bought
    return LegRecord(
        symbol, quantity, bought, sold, quantity * (sold - bought), Decimal("-1.5"), Decimal(0), Decimal(0)
    )


def run_of(views: tuple[PairPlotData, ...], *, formation_bars: int = 0) -> RunResult:
    """The result of trading every view: equity steps at each exit."""
    trades = [trade for view in views for trade in traded(view, formation_bars=formation_bars)]
    bars = len(views[0].times)
    gains = np.zeros(bars)
    for trade in trades:
        gains[int((trade.exit_time - START) / timedelta(hours=1))] += float(trade.pnl)
    curve = 10_000.0 + np.cumsum(gains)
    return sample_result(
        bars=bars,
        end=START + timedelta(hours=bars - 1),
        equity_end=Decimal(str(curve[-1])),
        trades=tuple(trades),
        open=(),
        refused=(),
        equity=tuple((START + timedelta(hours=bar), float(value)) for bar, value in enumerate(curve)),
        bars_in_position=bars // 3,
        risk_trips=((START + timedelta(hours=bars // 2), "max_daily_loss"),),
    )
