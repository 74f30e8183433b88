"""Made-up histories to scan: walks, pairs that keep together, and whatever is wrong with real data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ccxt_bt_bridge.series import BarSeries
from feeds.bar_files import iso_times
from research.scan.data_care import Universe, universe
from research.scan.settings import ScanSettings

HOUR_MS = 3_600_000
T0 = 1_704_067_200_000  # 2024-01-01T00:00Z
BARS = 1_440
QUICK = ScanSettings(simulated_pairs=60)

Floats = np.ndarray


def walk(seed: int, bars: int = BARS, *, step: float = 0.01) -> Floats:
    """A log price that goes nowhere in particular."""
    return 3.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, step, bars))


def reverting(seed: int, bars: int = BARS, *, half_life: float = 10.0, step: float = 0.006) -> Floats:
    """A spread that loses half of its distance from zero in ``half_life`` bars."""
    shocks, level, phi = np.random.default_rng(seed).normal(0.0, step, bars), 0.0, 0.5 ** (1.0 / half_life)
    values = np.empty(bars)
    for at, shock in enumerate(shocks):
        level = phi * level + shock
        values[at] = level
    return values


def planted(seed: int, bars: int = BARS, *, ratio: float = 0.8, half_life: float = 10.0) -> tuple[Floats, Floats]:
    """Log prices of leg_a and leg_b that keep together."""
    log_b = walk(seed, bars)
    return 1.0 + ratio * log_b + reverting(seed + 10_000, bars, half_life=half_life), log_b


def series(symbol: str, log_prices: Floats, *, first_hour: int = 1) -> BarSeries:
    """Hourly bars; the first closes ``first_hour`` hours after T0. 1,000 are traded in each."""
    close = np.exp(log_prices)
    time_ms = T0 + (np.arange(len(close)) + first_hour) * HOUR_MS
    return BarSeries(symbol, HOUR_MS, time_ms, close, close, close, close, np.full(len(close), 1_000.0))


def market(pairs: int = 1, walks: int = 4, bars: int = BARS) -> dict[str, Floats]:
    """``A0USDT``/``B0USDT``, … keep together; ``W0USDT``, … are alone."""
    prices: dict[str, Floats] = {}
    for number in range(pairs):
        prices[f"A{number}USDT"], prices[f"B{number}USDT"] = planted(100 + number, bars)
    return prices | {f"W{number}USDT": walk(500 + number, bars) for number in range(walks)}


def without(one: BarSeries, hours: range) -> BarSeries:
    """The series with a hole: bars by their number."""
    return one.take(np.setdiff1d(np.arange(len(one)), np.array(hours)))


def with_close(one: BarSeries, at: slice | int, close: float) -> BarSeries:
    prices = one.close.copy()
    prices[at] = close
    return replace(one, open=prices, high=prices, low=prices, close=prices)


def compared(prices: Mapping[str, Floats], bars: int = BARS) -> Universe:
    return universe([series(symbol, logs) for symbol, logs in prices.items()], bars=bars)


def write(folder: Path, *histories: BarSeries) -> Path:
    """One CSV a symbol, as a user has them."""
    folder.mkdir(exist_ok=True)
    for one in histories:
        opens = iso_times(one.time_ms - HOUR_MS)
        prices = zip(opens, one.close.tolist(), one.volume.tolist(), strict=True)
        rows = [f"{opened},{c!r},{c!r},{c!r},{c!r},{volume!r}" for opened, c, volume in prices]
        (folder / f"{one.symbol}.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows, ""]))
    return folder


def market_folder(folder: Path, prices: Mapping[str, Floats]) -> Path:
    return write(folder, *(series(symbol, logs) for symbol, logs in prices.items()))
