"""The generated schema: current, and of one mind with the validator about shipped configs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.trading.config.config_texts import check, pair_config, single_config
from trading.config.schema import SCHEMA_FILE, main, schema_text

PROJECT = Path(__file__).resolve().parents[3]
CONFIGS = sorted(path for path in (PROJECT / "config" / "trading").glob("*.json") if path.name != "schema.json")


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    values = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(values)
    return jsonschema.Draft202012Validator(values)


def test_the_shipped_schema_is_current() -> None:
    current = (PROJECT / SCHEMA_FILE).read_text(encoding="utf-8")
    assert current == schema_text(), "run: PYTHONPATH=src python -m trading.config.schema"


def test_it_is_written_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / SCHEMA_FILE).parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main() == 0
    assert (tmp_path / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_shipped_configs_pass_the_schema(schema: jsonschema.Draft202012Validator, config: Path) -> None:
    schema.validate(json.loads(config.read_text()))


@pytest.mark.parametrize(
    "changes",
    [
        {"broker.typ": "mock"},
        {"broker.type": "mok"},
        {"broker.commission": "0.1"},
        {"data.interval": "60m"},
        {"trading.max_drawdown_pct": 150},
        {"mock.speed": "fast"},
        {"pairs.0.hedge_ratio": -1},
        {"strategy.entry_logic.name": "NoSuchMixin"},
        {"strategy.entry_logic.params.e_windw": 1},
        {"strategy.entry_logic.params.e_entry_z": 0},
        {"strategy.exit_logic.params.x_statistics": "both"},
        {"execution.order_type": "stop"},
        {"data.market_info": {"BTCUSDT": {"tik": 1}}},
    ],
)
def test_what_the_schema_refuses_the_validator_refuses(
    schema: jsonschema.Draft202012Validator, changes: dict[str, Any]
) -> None:
    values = pair_config(changes)
    assert not schema.is_valid(values)
    assert not check(values).ok


def test_what_the_validator_accepts_the_schema_accepts(schema: jsonschema.Draft202012Validator) -> None:
    for values in (
        pair_config(),
        single_config(),
        pair_config({"mock.speed": 10, "broker.faults": [{"kind": "reject", "at": "2024-01-01T00:00:00Z"}]}),
        pair_config({"data.market_info": {"BTC/USDT": {"tick": 0.1}}, "broker.capital": None}),
    ):
        assert check(values).ok
        schema.validate(values)
