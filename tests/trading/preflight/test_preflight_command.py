"""``tandem preflight`` as a person calls it: on the mock exchange, and on an exchange on this machine over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brokers.desk.api_key import DeskKey
from brokers.simulated.source import MarketSource
from management.cli import main
from tests.brokers.desk.desks import open_desk
from tests.brokers.markets import flat
from tests.desk_thread import DeskThread, desk_thread
from tests.trading.preflight.sides import PROJECT, SYMBOLS, write_config

KEYS = (
    DeskKey("desk-key", "desk-secret", ips=("127.0.0.1",)),
    DeskKey("may-withdraw", "s1", frozenset(("read", "futures", "withdraw"))),
    DeskKey("may-only-read", "s2", frozenset(("read",)), ips=("127.0.0.1",)),
)


def market() -> MarketSource:
    return MarketSource({symbol: flat(symbol, 300) for symbol in SYMBOLS})


@pytest.fixture(scope="module")
def desk() -> Iterator[DeskThread]:
    with desk_thread(lambda: open_desk(market(), warmup_bars=200, server={"keys": KEYS})) as running:
        yield running


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BINANCE_API_KEY", "BINANCE_API_SECRET"):
        monkeypatch.delenv(name, raising=False)


def examine(
    capsys: pytest.CaptureFixture[str], url: str, *, keys: tuple[str, ...] | None = None, **sections: Any
) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the shipped config on this exchange."""
    sections["broker"] = {"testnet": False, "exchange_url": url} | sections.get("broker", {})
    sections["data"] = {"lookback_bars": 150} | sections.get("data", {})
    path = write_config(Path.cwd(), **sections)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("BINANCE_API_KEY", "BINANCE_API_SECRET"), keys or (), strict=False):
            patch.setenv(name, value)
        code = main(["preflight", str(path), "--json", "-"])
    return code, json.loads(capsys.readouterr().out)


def failed(report: dict[str, Any]) -> dict[str, str]:
    """Message by check; every one has its remedy."""
    found = [check for check in report["checks"] if check["grade"] == "fails"]
    assert all(check["remedy"] for check in found)
    return {check["check"]: check["message"] for check in found}


def test_the_shipped_config_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", str(PROJECT / "config" / "trading" / "0001.json")]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1].startswith("0001.json is ready") and "mock simulates its fills" in shown


def test_a_good_setup_over_the_wire_is_ready(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = examine(capsys, desk.url)
    assert (code, failed(report)) == (0, {}), report
    passed = {check["check"] for check in report["checks"] if check["grade"] == "ok"}
    assert {"permissions", "account", "funds", "clock", "symbols", "history", "sizes", "rate limit"} <= passed


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (None, "BINANCE_API_KEY and BINANCE_API_SECRET not set: that exchange's own public pair stands in"),
        (("desk-key",), "BINANCE_API_SECRET not set: that exchange's own public pair stands in"),
        (("desk-key", "desk-secret"), "BINANCE_API_KEY and BINANCE_API_SECRET are there"),
    ],
)
def test_whose_keys_are_used_is_told(
    keys: tuple[str, ...] | None, said: str, desk: DeskThread, capsys: pytest.CaptureFixture[str]
) -> None:
    _, report = examine(capsys, desk.url, keys=keys)
    assert [check["message"] for check in report["checks"] if check["check"] == "keys"] == [said]


def test_a_wrong_key_is_refused_and_the_rest_is_checked(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = examine(capsys, desk.url, keys=("unknown", "secret"))
    assert code == 2 and "does not accept this API key" in failed(report)["permissions"]
    assert "symbols" in {check["check"] for check in report["checks"] if check["grade"] == "ok"}
    assert "secret" not in json.dumps(report).replace("its secret", "").replace("desk-secret", "")


def test_a_wrong_secret_is_told_from_a_wrong_key(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = examine(capsys, desk.url, keys=("desk-key", "wrong"))
    assert code == 2 and "signature" in failed(report)["permissions"]


def test_a_key_that_may_withdraw_is_refused(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = examine(capsys, desk.url, keys=("may-withdraw", "s1"))
    assert code == 2 and "withdraw" in failed(report)["permissions"]


def test_a_key_that_may_not_trade_is_refused(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = examine(capsys, desk.url, keys=("may-only-read", "s2"))
    assert code == 2 and "may not trade" in failed(report)["permissions"]


def test_a_key_of_the_real_exchange_is_not_sent_to_this_machine(
    desk: DeskThread, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = examine(capsys, desk.url, keys=("A1" * 32, "B2" * 32))
    assert code == 2 and "looks like a key of the real exchange" in failed(report)["keys"]


def test_leverage_that_is_not_as_the_config_says_is_told(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    account = {"margin_mode": "isolated", "leverage": 1}
    code, report = examine(capsys, desk.url, broker={"account": account})
    told = [check["message"] for check in report["checks"] if check["check"] == "account"]
    assert code == 2
    for words in ("margin mode is cross", "leverage is 2, the config wants 1"):
        assert any(words in message for message in told), (words, told)


def test_a_symbol_that_is_not_listed_is_told_with_near_misses(
    desk: DeskThread, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = {"pair_id": "X", "leg_a": "ETHX/USDT", "leg_b": "BTC/USDT", "hedge_ratio": 1.0}
    code, report = examine(capsys, desk.url, pairs=[pair])
    assert code == 2 and "ETHUSDT" in failed(report)["symbols"]


def test_too_short_a_history_is_told(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = examine(capsys, desk.url, data={"lookback_bars": 250})
    told = next(check["message"] for check in report["checks"] if check["check"] == "history")
    assert code == 0 and "200 of the 250 bars that data.lookback_bars wants, 50 are missing: it is ready at" in told


def test_sizes_under_the_minimum_are_told(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = examine(capsys, desk.url, broker={"capital": 60.0}, execution={"min_order_value": 0.0})
    assert code == 2 and "under the minimum" in failed(report)["sizes"]


def test_no_exchange_at_the_address_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = examine(capsys, "http://127.0.0.1:9")
    assert code == 2 and "no exchange answers" in failed(report)["exchange"]
    assert "disk" in {check["check"] for check in report["checks"] if check["grade"] == "ok"}


def test_an_address_on_the_command_line_is_taken_and_the_report_is_written(
    desk: DeskThread, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(Path.cwd(), broker={"testnet": False}, data={"lookback_bars": 150})
    assert main(["preflight", str(path), "--exchange-url", desk.url, "--json", "out/report.json"]) == 0
    assert f"exchange on this machine at {desk.url}" in capsys.readouterr().out
    assert json.loads(Path("out/report.json").read_text())["passed"] is True


def test_a_broker_that_cannot_be_run_yet_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    config = {"broker": {"type": "ibkr", "testnet": True}, "data": {"data_source": "ibkr"}}
    assert main(["preflight", str(write_config(Path.cwd(), **config)), "--json", "-"]) == 2
    assert "ibkr" in failed(json.loads(capsys.readouterr().out))["exchange"]


def test_an_unreadable_config_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", "none.json"]) == 2
    assert "none.json is not ready" in capsys.readouterr().out
