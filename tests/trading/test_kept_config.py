"""What a bot's journal keeps of its config, for whoever looks on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trading.runs import live, write_config
from trading.config.loader import load_config
from trading.journal.reads import JournalReader
from trading.kept_config import CONFIG_KEY, config_record

SHORT = {"mock": {"bars": 260, "seed": 7}, "data": {"lookback_bars": 200}}


def test_a_run_leaves_its_config_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_config(tmp_path, **SHORT)
    live(path)
    with JournalReader.open("state/0001_mock.journal.sqlite") as journal:
        kept = journal.risk_state(CONFIG_KEY)
    assert kept == config_record(load_config(path, environ={}))
    assert kept["pairs"]["ETH_BTC"] == ["ETHUSDT", "BTCUSDT"]
    assert kept["levels"]["ETH_BTC"] == {"entry": 2.0, "exit": 0.5, "stop": 4.0}
    assert kept["log_file"] == str(tmp_path / "logs/live/trading_bot_0001.log")
    assert kept["config"]["mock"] == {"seed": 7, "bars": 260, "speed": "max", "symbols": None}


@pytest.mark.parametrize("base", ["0001.json", "0002_single_symbol.json", "real_pairs_1h.json"])
def test_every_shipped_config_can_be_kept(tmp_path: Path, base: str) -> None:
    record = config_record(load_config(write_config(tmp_path, base), environ={}))
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert bool(record["levels"]) == (base != "0002_single_symbol.json")
