"""``tandem exchange`` as a person or a program starts it: one line when ready, a clean end, errors in sentences."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from management.exchange_command import main
from tests.brokers.desk.wire import market_order, signed

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command and the line it prints when it is ready; interrupted and checked at the end."""
    command = [sys.executable, "-m", "management.cli", "exchange", "--history", "20", "--bars", "50", *arguments]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, json.loads(line)
    finally:
        process.send_signal(signal.SIGINT if "--state" in arguments else signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, err) == (0, "")


def read(url: str | Request, trust: ssl.SSLContext | None = None) -> Any:
    with urlopen(url, timeout=PATIENCE_S, context=trust) as answer:
        return json.load(answer)


def test_it_says_where_it_listens_and_answers_there() -> None:
    with running("--speed", "100") as (process, ready):
        port = ready["rest"].rsplit(":", 1)[1]
        assert ready == {
            "ready": True, "rest": f"http://127.0.0.1:{port}", "ws": f"ws://127.0.0.1:{port}/ws",
            "dialect": "binanceusdm", "pid": process.pid,
        }  # fmt: skip
        declared = read(ready["rest"] + "/desk")
        assert declared["symbols"] == ["BTCUSDT", "ETHUSDT"] and declared["speed"] == 100.0
        rows = read(ready["rest"] + "/fapi/v1/klines?symbol=ETHUSDT&interval=1m&limit=500")
        assert len(rows) == 21  # history and the forming bar: nobody has subscribed, so the market waits


@pytest.mark.parametrize(("interval", "length_ms"), [("1m", 60_000), ("1h", 3_600_000)])
def test_in_real_time_the_made_up_market_is_now(interval: str, length_ms: int) -> None:
    """Through all the holes of a long history: the time is the wall's, and the open candle the one of now."""
    with running("--symbols", "BTCUSDT", "--interval", interval, "--history", "3000") as (_, ready):
        before = round(time.time() * 1000)
        now = read(ready["rest"] + "/fapi/v1/time")["serverTime"]
        (row,) = read(ready["rest"] + f"/fapi/v1/klines?symbol=BTCUSDT&interval={interval}&limit=1")
        after = round(time.time() * 1000)
    assert before - 1_000 <= now <= after + 1_000
    assert before // length_ms * length_ms <= row[0] <= after


def test_it_serves_tls_that_its_own_authority_vouches_for(tmp_path: Path) -> None:
    with running("--tls", str(tmp_path / "tls"), "--dialect", "binance") as (_, ready):
        assert ready["rest"].startswith("https://") and ready["ws"].startswith("wss://")
        trust = ssl.create_default_context(cafile=ready["ca_file"])
        assert read(ready["rest"] + "/desk", trust)["dialect"] == "binance"
        assert [path.name for path in (tmp_path / "tls").iterdir()] == ["ca.pem"]


def test_its_key_may_do_what_it_is_told() -> None:
    with running("--key-may", "read,withdraw") as (_, ready):
        query = signed({})
        request = Request(
            f"{ready['rest']}/sapi/v1/account/apiRestrictions?{query}", headers={"X-MBX-APIKEY": "desk-key"}
        )
        may = read(request)
    assert (may["enableWithdrawals"], may["enableFutures"]) == (True, False)


def test_an_account_in_a_file_is_there_again_after_a_restart(tmp_path: Path) -> None:
    state = str(tmp_path / "exchange.sqlite")
    with running("--state", state) as (_, ready):
        body = market_order("one").encode()
        request = Request(ready["rest"] + "/fapi/v1/order", body, {"X-MBX-APIKEY": "desk-key"}, method="POST")
        assert read(request)["status"] == "FILLED"
    with running("--state", state) as (_, ready):
        query = signed({"symbol": "BTCUSDT", "origClientOrderId": "one"})
        found = read(Request(f"{ready['rest']}/fapi/v1/order?{query}", headers={"X-MBX-APIKEY": "desk-key"}))
        assert found["status"] == "FILLED"


def test_a_file_of_another_market_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(tmp_path / "exchange.sqlite")
    with running("--state", state):
        pass
    assert main(["--state", state, "--seed", "8", "--history", "20", "--bars", "50"]) == 2
    assert "another market" in capsys.readouterr().err


def test_a_port_in_use_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port), "--bars", "10", "--history", "5"]) == 2
    assert f"cannot listen on port {port}" in capsys.readouterr().err


BAD = [
    (["--port", "70000"], "expected 0 (any) to 65535"),
    (["--symbols", "FOO"], "FOO: ends in no quote currency"),
    (["--data", "nowhere"], "no folder nowhere"),
    (["--faults", "nowhere.json"], "nowhere.json: cannot be read"),
    (["--symbols", "BTCUSDT", "--bars", "0", "--history", "5"], "leaves none to trade"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_what_cannot_be_started_is_told_in_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--speed=0.5", "'0.5' is no number from 1 to 1000000000"),
        ("--speed=nan", "'nan' is no number from 1"),
        ("--speed=inf", "'inf' is no number from 1"),
        ("--leverage=0", "'0' is no number from 1 to 125"),
        ("--leverage=1000", "'1000' is no number from 1 to 125"),
        ("--fee=5", "'5' is no number from 0 to 0.1"),
        ("--slippage-bps=20000", "'20000' is no number from 0 to 1000"),
        ("--latency-ms=-1", "'-1' is no number from 0 to 600000"),
        ("--latency-ms=1e9", "'1e9' is no number from 0 to 600000"),
        ("--balance=1e400", "'1e400' is no number from 0 to 1000000000000"),
        ("--key-may=trade", "wanted some of read,futures,spot,withdraw,transfer"),
        ("--symbols=,", "wanted symbols such as"),
        ("--symbols=BTCUSDT,BTC/USDT", "each once"),
        ("--pairs=ETHUSDT/ETHUSDT", "pairs of two symbols, each pair once"),
        ("--pairs=ETHUSDT/BTCUSDT,BTCUSDT/ETHUSDT", "pairs of two symbols, each pair once"),
    ],
)
def test_an_option_that_cannot_be_is_refused(option: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([option])
    assert ended.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Expecting property name"),
        ('{"kind": "reject"}', "expected a list of objects"),
        ('[{"kind": "fire", "at": 1}]', "unknown fault 'fire'"),
        ('[{"kind": "reject"}]', "needs either 'at' or 'rate'"),
    ],
)
def test_a_bad_fault_file_names_its_fault(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faults.json"
    path.write_text(text)
    assert main(["--faults", str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error and str(path) in error and "--list-faults" in error


def test_the_kinds_of_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-faults"]) == 0
    assert "timeout_after_execution" in capsys.readouterr().out
