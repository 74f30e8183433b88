"""Whole runs for tests: a config in a folder of its own, run as a bot or as a backtest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import PROJECT
from trading.backtesting.backtest import run_backtest
from trading.config.loader import load_config
from trading.live_trading_bot import LiveTradingBot
from trading.market_input import DataChoice, market_input
from trading.records import RunResult

CONFIGS = PROJECT / "config" / "trading"


def merged(base: Any, changes: Any) -> Any:
    """``changes`` on top of ``base``, section by section; a value of None takes the key away."""
    if not (isinstance(base, dict) and isinstance(changes, Mapping)):
        return changes
    known = dict(base)
    for name, value in changes.items():
        known[name] = merged(known.get(name), value)
        if value is None:
            del known[name]
    return known


def write_config(folder: Path, base: str = "0001.json", name: str = "test.json", **changes: Any) -> Path:
    raw = json.loads((CONFIGS / base).read_text(encoding="utf-8"))
    raw.pop("$schema", None)
    path = folder / name
    path.write_text(json.dumps(merged(raw, changes)), encoding="utf-8")
    return path


def backtest(path: Path, choice: DataChoice | None = None) -> RunResult:
    config = load_config(path, environ={})
    return run_backtest(config, market_input(config, choice or DataChoice())).result


def live(path: Path, choice: DataChoice | None = None) -> RunResult:
    """Writes logs and state into the current folder."""
    return LiveTradingBot(path, environ={}, choice=choice).run()
