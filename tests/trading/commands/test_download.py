"""``tandem download`` against an exchange on this machine, with the real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.funding import FundingSchedule
from brokers.simulated.source import MarketSource
from feeds.history import load_bars, load_funding
from management.cli import main
from tests.brokers.desk.desks import open_desk
from tests.brokers.markets import bars, hours
from tests.desk_thread import DeskThread, desk_thread

HOURS = 60
LATE = 20  # hours without SOL


def market() -> MarketSource:
    """BTC, ETH with a hole of two bars, and SOL, listed late."""
    walk = [(100.0 + at, 101.0 + at) for at in range(HOURS)]
    holes: list[Any] = [None if at in (30, 31) else price for at, price in enumerate(walk)]
    symbols = {"BTCUSDT": bars("BTCUSDT", walk), "ETHUSDT": bars("ETHUSDT", holes)}
    late = bars("SOLUSDT", walk[LATE:], first_hour=LATE)
    return MarketSource({**symbols, "SOLUSDT": late})


@pytest.fixture(scope="module")
def desk() -> Iterator[DeskThread]:
    funding = {"BTCUSDT": FundingSchedule(None, Decimal("0.0001"))}
    with desk_thread(lambda: open_desk(market(), warmup_bars=50, funding=funding)) as running:
        yield running


def download(desk: DeskThread, folder: Path, *more: str, symbols: str = "BTC/USDT", start: str = "2024-01-01") -> int:
    wanted = ["--exchange", "binanceusdm", "--symbols", symbols, "--interval", "1h", "--dir", str(folder)]
    return main(["download", *wanted, "--from", start, "--exchange-url", desk.url, *more])


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_closed_bars_are_fetched_into_a_file_that_loads(desk: DeskThread, tmp_path: Path) -> None:
    assert download(desk, tmp_path) == 0
    loaded = load_bars(tmp_path, "BTC/USDT", "1h")
    assert loaded.time_ms.tolist() == [hours(at) for at in range(1, 51)]
    assert (loaded.open[0], loaded.close[-1]) == (100.0, 150.0)


def test_the_report_says_what_came_and_what_the_exchange_does_not_have(
    desk: DeskThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert download(desk, tmp_path, "--json", "-", symbols="ETH/USDT,SOLUSDT") == 0
    eth, sol = report(capsys)["symbols"]
    assert (eth["bars"], eth["added"], eth["begins_later"], sol["begins_later"]) == (48, 48, False, True)
    assert eth["holes"] == [{"first": "2024-01-02T07:00:00Z", "last": "2024-01-02T08:00:00Z", "bars": 2}]
    assert (sol["first"], sol["holes"]) == ("2024-01-01T21:00:00Z", [])


def test_the_words_say_the_same(desk: DeskThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert download(desk, tmp_path, symbols="ETH/USDT,SOLUSDT") == 0
    shown = capsys.readouterr()
    assert "48 bars in" in shown.out and "the exchange has no bars that close 2024-01-02T07:00:00Z" in shown.out
    assert "listed later than --from" in shown.out
    assert "100%  done" in shown.err and "\x1b" not in shown.err


def test_a_second_call_brings_only_what_is_new(
    desk: DeskThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert download(desk, tmp_path, "--to", "2024-01-01T20:00Z") == 0
    capsys.readouterr()
    assert download(desk, tmp_path, "--json", "-") == 0
    (btc,) = report(capsys)["symbols"]
    assert (btc["bars"], btc["added"]) == (50, 30)


def test_parquet_is_written_on_request(desk: DeskThread, tmp_path: Path) -> None:
    assert download(desk, tmp_path, "--format", "parquet") == 0
    assert len(load_bars(tmp_path, "BTCUSDT", "1h")) == 50 and (tmp_path / "BTCUSDT.parquet").is_file()


def test_from_is_when_bars_open_and_to_when_they_close(desk: DeskThread, tmp_path: Path) -> None:
    assert download(desk, tmp_path, "--to", "2024-01-01T12:30Z", start="2024-01-01T10:00Z") == 0
    assert load_bars(tmp_path, "BTCUSDT", "1h").time_ms.tolist() == [hours(11), hours(12)]


def test_funding_comes_on_request_and_once(
    desk: DeskThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    added = []
    for end in ("2024-01-01T20:00Z", "2024-01-03"):
        assert download(desk, tmp_path, "--funding", "--to", end, "--json", "-") == 0
        added.append(report(capsys)["symbols"][0]["funding_added"])
    series = load_funding(tmp_path / "funding", "BTC/USDT")
    assert series is not None and series.time_ms == tuple(hours(at) for at in range(0, 51, 8))
    assert added == [3, 4] and set(series.rates) == {Decimal("0.0001")}


def test_symbols_and_interval_come_from_a_config(
    desk: DeskThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Path(__file__).resolve().parents[3]
    config = json.loads((project / "config" / "trading" / "0001.json").read_text())
    config["pairs"] = config["pairs"][:1]
    config["data"]["dir"] = "bars"
    (tmp_path / "one.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    assert main(["download", "one.json", "--from", "2024-01-01", "--exchange-url", desk.url]) == 0
    assert sorted(path.name for path in (tmp_path / "bars").iterdir()) == ["BTCUSDT.csv", "ETHUSDT.csv"]


# what a person got wrong


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_an_unknown_symbol_is_refused_with_near_misses_before_anything_is_written(
    desk: DeskThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert download(desk, tmp_path / "bars", symbols="BTC/USDT,ETHUSD") == 2
    assert "ETHUSDT" in refused(capsys) and not (tmp_path / "bars").exists()


def test_another_interval_than_the_files_is_refused(
    desk: DeskThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "BTCUSDT.csv").write_text(
        "timestamp,open,high,low,close,volume\n2024-01-01T00:00:00Z,1,1,1,1,1\n2024-01-01T00:05:00Z,1,1,1,1,1\n"
    )
    assert download(desk, tmp_path) == 2
    assert "mostly 5m apart" in refused(capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2024-01-01"], "--exchange, --symbols, --interval, --dir: needed, or a config"),
        (["none.json", "--from", "2024-01-01"], "none.json"),
    ],
)
def test_what_is_missing_is_named(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_time_in_which_no_bar_fits_is_refused(
    desk: DeskThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert download(desk, tmp_path, "--to", "2024-01-01T10:30Z", start="2024-01-01T10:00Z") == 2
    assert "no bar fits between" in refused(capsys)


def test_an_unknown_exchange_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--symbols", "BTC/USDT", "--interval", "1h", "--dir", str(tmp_path), "--from", "2024-01-01"]
    assert main(["download", "--exchange", "binanse", *wanted]) == 2
    assert "binanse" in refused(capsys)


def test_no_exchange_at_the_address_is_a_failure_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["--symbols", "BTC/USDT", "--interval", "1h", "--dir", str(tmp_path), "--from", "2024-01-01"]
    assert main(["download", "--exchange", "binanceusdm", "--exchange-url", "http://127.0.0.1:9", *wanted]) == 1
    said = refused(capsys)
    assert "no exchange answers" in said and "What came" not in said
    assert said.endswith("The same call goes on from what is on disk")


@pytest.mark.parametrize("address", ["http://example.com", "http://127.0.0.1:abc", "http://127.0.0.1:99999"])
def test_an_address_elsewhere_is_refused(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--symbols", "BTC/USDT", "--interval", "1h", "--dir", str(tmp_path), "--from", "2024-01-01"]
    assert main(["download", "--exchange", "binanceusdm", "--exchange-url", address, *wanted]) == 2
    assert "127.0.0.1" in refused(capsys)
