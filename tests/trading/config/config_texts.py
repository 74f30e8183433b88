"""Configs for tests: good ones to break in one place, and the place of a mark in a text."""

from __future__ import annotations

import copy
import json
from typing import Any

from trading.config.report import Problem, Report
from trading.config_validator import ConfigValidator

REMOVED = object()

_PAIRS: dict[str, Any] = {
    "version": "1.0",
    "broker": {"type": "mock", "market": "usdm", "initial_balance": 10000.0, "commission": 0.0005},
    "mock": {"seed": 7, "bars": 2000},
    "data": {"data_source": "mock", "interval": "1h", "lookback_bars": 500},
    "trading": {"position_size": 0.1, "max_positions": 5, "max_drawdown_pct": 20.0},
    "pairs": [
        {"pair_id": "ETH_BTC", "leg_a": "ETH/USDT", "leg_b": "BTC/USDT", "hedge_ratio": 0.85},
        {"pair_id": "LTC_BCH", "leg_a": "LTC/USDT", "leg_b": "BCH/USDT", "hedge_ratio": 0.9},
    ],
    "strategy": {
        "type": "pair",
        "entry_logic": {"name": "ZScoreEntryMixin", "params": {"e_window": 100, "e_entry_z": 2.0}},
        "exit_logic": {"name": "ZScoreExitMixin", "params": {"x_exit_z": 0.5, "x_stop_z": 4.0}},
    },
    "execution": {"order_type": "market"},
    "risk_management": {"stop_loss_pct": 5.0, "max_leverage": 2.0},
    "logging": {"log_file": "logs/live/bot.log"},
}

_SINGLE: dict[str, Any] = {
    "broker": {"type": "mock", "initial_balance": 1000.0},
    "data": {"data_source": "mock", "symbol": "BTCUSDT", "lookback_bars": 200},
    "trading": {"symbol": "BTCUSDT", "position_size": 0.1},
    "strategy": {
        "type": "custom",
        "entry_logic": {"name": "RSIBBEntryMixin", "params": {"e_rsi_period": 14}},
        "exit_logic": {"name": "RSIBBExitMixin", "params": {}},
        "position_size": 0.1,
    },
}


def pair_config(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A good pair config with some values changed: dotted path to value, numbers for list items
    (the one after the last appends)."""
    return _changed(_PAIRS, changes or {})


def single_config(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A good one-symbol config with some values changed."""
    return _changed(_SINGLE, changes or {})


def _changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    values: Any = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        here = values
        for step in parents:
            here = here.setdefault(step, {}) if isinstance(here, dict) else here[step]
        if value is REMOVED:
            del here[last]
        elif isinstance(here, list) and last == len(here):
            here.append(value)
        else:
            here[last] = value
    return values


def text_of(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2)


def check(values: dict[str, Any] | str | bytes, **environ: str) -> Report:
    """The report on a config given as values or as text."""
    text = values if isinstance(values, str | bytes) else text_of(values)
    return ConfigValidator(environ=environ).validate_bytes(text.encode() if isinstance(text, str) else text)


def place(text: str, marked: str) -> tuple[int, int]:
    """Line and column of the "|" in ``marked``, which stands once in ``text`` (without its mark)."""
    before, after = marked.split("|")
    assert text.count(before + after) == 1, f"{before + after!r} stands {text.count(before + after)} times"
    offset = text.index(before + after) + len(before)
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def only(report: Report) -> Problem:
    """The single problem of a report."""
    assert len(report.problems) == 1, report.text()
    return report.problems[0]
