"""``tandem preflight`` with ``testnet: true``: over TLS, under the test network's own host names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brokers.desk.tls import throwaway_tls
from brokers.simulated.source import MarketSource
from management.cli import main
from tests.brokers.desk.desks import open_desk
from tests.brokers.markets import flat
from tests.desk_thread import DeskThread, desk_thread
from tests.test_network import lead_to_desk
from tests.trading.preflight.sides import SYMBOLS, write_config


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskThread]:
    source = MarketSource({symbol: flat(symbol, 300) for symbol in SYMBOLS})
    server = {"tls": throwaway_tls(tmp_path)}
    with desk_thread(lambda: open_desk(source, warmup_bars=200, server=server)) as running:
        lead_to_desk(monkeypatch, "binanceusdm", port=running.desk.ports[0], ca_folder=tmp_path)
        monkeypatch.chdir(tmp_path)
        yield running


def examine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str) -> tuple[int, Any]:
    """Exit code and findings, by the check that found them."""
    monkeypatch.setenv("BINANCE_API_KEY", key)
    monkeypatch.setenv("BINANCE_API_SECRET", "desk-secret")
    path = write_config(Path.cwd(), data={"lookback_bars": 150})
    code = main(["preflight", str(path), "--json", "-"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return code, {check["check"]: (check["grade"], check["message"]) for check in checks}


def test_a_good_setup_on_the_test_network_is_ready(network, capsys, monkeypatch):
    code, found = examine(capsys, monkeypatch, "desk-key")
    assert code == 0, found
    passed = {name for name, (grade, _) in found.items() if grade == "ok"}
    assert {"money", "symbols", "history", "sizes", "rate limit", "account", "funds"} <= passed
    assert found["money"][1] == "no real money: the test network"
    assert found["permissions"] == ("warning", "the exchange does not say all that the key may do")
    assert found["clock"][0] == "warning"  # the desk's market is one of the past


def test_a_key_of_the_live_exchange_is_told_apart(network, capsys, monkeypatch):
    code, found = examine(capsys, monkeypatch, "A1" * 32)
    assert (code, found["permissions"][0]) == (2, "fails")
    assert "a key of the live exchange does not work here" in found["permissions"][1]
