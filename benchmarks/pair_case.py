"""The benchmark's case as files: a synthetic cointegrated pair by seed, and the config that trades it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

BETA = 0.8
HOUR_S = 3_600
FIRST_OPEN = 1_514_764_800  # 2018-01-01T00:00Z


def write_case(folder: Path, *, bars: int, seed: int) -> None:
    """``AAAUSDT.csv``, ``BBBUSDT.csv`` and ``pair.json``.

    Prices have 3 decimals, steps 1 and the fee 4: together the 8 that the ledger keeps of a fee, so that rounding
    cannot make a difference between the books.
    """
    random = np.random.default_rng(seed)
    log_b = np.cumsum(random.normal(0.0, 0.004, bars))
    noise, gap = random.normal(0.0, 0.003, bars), np.zeros(bars)
    for bar in range(1, bars):
        gap[bar] = 0.97 * gap[bar - 1] + noise[bar]
    for name, logs, base in (("AAAUSDT", BETA * log_b + gap, 20.0), ("BBBUSDT", log_b, 10.0)):
        _write_bars(folder / f"{name}.csv", base * np.exp(logs), random)
    (folder / "pair.json").write_text(json.dumps(config(), indent=1))


def _write_bars(path: Path, close: np.ndarray, random: np.random.Generator) -> None:
    bars = len(close)
    open_ = np.r_[close[0], close[:-1]] * (1 + random.normal(0.0, 2e-4, bars))
    high = np.maximum(open_, close) * (1 + np.abs(random.normal(0.0, 1e-3, bars)))
    low = np.minimum(open_, close) * (1 - np.abs(random.normal(0.0, 1e-3, bars)))
    times = np.datetime_as_string(
        (FIRST_OPEN + HOUR_S * np.arange(bars)).astype("datetime64[s]"), unit="s", timezone="UTC"
    )
    columns = np.column_stack((open_, high, low, close, 1_000.0 + 100.0 * random.random(bars))).round(3)
    rows = (f"{when},{o:.3f},{h:.3f},{l:.3f},{c:.3f},{v:.3f}" for when, (o, h, l, c, v) in zip(times, columns))  # noqa: B905, E741
    path.write_text("\n".join(("timestamp,open,high,low,close,volume", *rows)) + "\n")


def config() -> dict[str, Any]:
    """Limits so wide that none binds: the plain script knows none."""
    rules = {"tick": 0.001, "step": 0.1, "min_amount": 0.1, "min_notional": 0.001}
    return {
        "bot_id": "benchmark",
        "broker": {
            "type": "mock",
            "market": "usdm",
            "initial_balance": 10_000.0,
            "commission": 0.0005,
            "slippage_bps": 0,
        },
        "data": {
            "data_source": "replay",
            "interval": "1h",
            "lookback_bars": 101,
            "funding_rate_8h": 0.0,
            "market_info": {"AAA/USDT": rules, "BBB/USDT": rules},
        },
        "trading": {"position_size": 0.1, "max_drawdown_pct": 100.0, "max_exposure": 2.0},
        "pairs": [
            {"pair_id": "A_B", "leg_a": "AAA/USDT", "leg_b": "BBB/USDT", "hedge_ratio": BETA, "half_life_candles": 24}
        ],
        "strategy": {
            "type": "pair",
            "entry_logic": {
                "name": "ZScoreEntryMixin",
                "params": {"e_window": 100, "e_entry_z": 2.0, "e_min_edge": 1.0},
            },
            "exit_logic": {
                "name": "ZScoreExitMixin",
                "params": {"x_exit_z": 0.5, "x_stop_z": 4.0, "x_max_half_lives": 3.0, "x_cooldown_bars": 12},
            },
        },
        "risk_management": {
            "stop_loss_pct": None,
            "take_profit_pct": None,
            "max_daily_trades": None,
            "max_daily_loss_pct": None,
        },
    }
