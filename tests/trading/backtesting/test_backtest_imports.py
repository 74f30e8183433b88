"""What a backtest loads: only what it uses, so that it starts fast and stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
UNUSED = ("ccxt", "telegram", "statsmodels", "sqlalchemy", "matplotlib", "pandas", "scipy")

RUN = """
import json, sys
from trading.backtesting.backtest import run_backtest
from trading.config.loader import load_config
from trading.market_input import DataChoice, market_input
from trading.reports.result_files import result_json

config = load_config(sys.argv[1], environ={}, overrides={"mock.bars": 800})
result = run_backtest(config, market_input(config, DataChoice())).result
print(json.dumps({"bars": result_json(result)["bars"], "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict:
    """What a fresh interpreter says after a backtest of the default config."""
    folder = tmp_path_factory.mktemp("run")
    command = [sys.executable, "-c", RUN, str(PROJECT / "config" / "trading" / "0001.json")]
    environ = {"PYTHONPATH": str(PROJECT / "src"), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ, check=True, timeout=60)
    return json.loads(done.stdout)


def test_the_backtest_ran(told):
    assert told["bars"] > 700
    assert "backtrader" in told["modules"]


@pytest.mark.parametrize("module", UNUSED)
def test_a_backtest_loads_nothing_it_does_not_use(told, module):
    assert [name for name in told["modules"] if name.split(".")[0] == module] == []
