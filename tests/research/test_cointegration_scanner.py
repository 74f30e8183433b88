"""The scanner as a program calls it: from an exchange on this machine through the real client, and from a folder."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.series import BarSeries
from ccxt_bt_bridge.session import SessionSettings
from feeds.history import symbols_in
from management.cli import main
from research.cointegration_scanner import CointegrationScanner, ExchangeSource, FolderSource
from research.scan.errors import ScanError
from tests.brokers.desk.desks import open_desk
from tests.desk_thread import DeskThread, desk_thread
from tests.research.markets import BARS, QUICK, market, market_folder, planted, series, walk
from tests.trading.runs import write_config
from trading.config.loader import load_config

LENGTH = BARS + 20
VOLUMES = {"A0USDT": 9e6, "B0USDT": 9e5, "W0USDT": 9e4, "W1USDT": 9e3, "USDCUSDT": 9e9, "QUIETUSDT": 1e-3}


def exchange_market() -> MarketSource:
    """A pair and two walks, a stablecoin that trades most, and a symbol that hardly trades."""
    log_a, log_b = planted(100, LENGTH)
    logs = {"A0USDT": log_a, "B0USDT": log_b, "W0USDT": walk(500, LENGTH), "W1USDT": walk(501, LENGTH)}
    logs |= {"USDCUSDT": walk(9, LENGTH, step=1e-5) - 3.0, "QUIETUSDT": walk(7, LENGTH)}
    return MarketSource({symbol: traded(series(symbol, log), VOLUMES[symbol]) for symbol, log in logs.items()})


def traded(one: BarSeries, volume: float) -> BarSeries:
    return replace(one, volume=np.full(len(one), volume))


@pytest.fixture(scope="module")
def desk() -> Iterator[DeskThread]:
    with desk_thread(lambda: open_desk(exchange_market(), warmup_bars=LENGTH - 10)) as running:
        yield running


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def at_desk(desk: DeskThread, **more: object) -> ExchangeSource:
    session = SessionSettings("binanceusdm", url=desk.url)
    return ExchangeSource(session, **({"min_volume": 100.0} | more))  # type: ignore[arg-type]


async def connected(scanner: CointegrationScanner) -> CointegrationScanner:
    assert await scanner.connect()
    return scanner


# an exchange


def test_the_universe_is_the_most_traded_symbols_without_stablecoins_and_quiet_ones(desk: DeskThread) -> None:
    async def universes() -> list[list[str]]:
        found = []
        for count in (30, 2):
            scanner = await connected(CointegrationScanner(QUICK, source=at_desk(desk, count=count)))
            found.append(await scanner.get_universe())
            await scanner.disconnect()
        return found

    assert asyncio.run(universes()) == [["A0USDT", "B0USDT", "W0USDT", "W1USDT"], ["A0USDT", "B0USDT"]]


def test_an_exchange_is_scanned_and_its_bars_are_kept(desk: DeskThread) -> None:
    async def scanned() -> CointegrationScanner:
        scanner = await connected(CointegrationScanner(QUICK, source=at_desk(desk)))
        (result,) = await scanner.scan_pairs()
        leg_a, leg_b, hedge_ratio = result
        assert (leg_a, leg_b) == ("A0/USDT", "B0/USDT") and hedge_ratio == pytest.approx(0.8, abs=0.05)
        assert result.pvalue < 1e-4 and result.half_life_bars < 24.0
        await scanner.disconnect()
        return scanner

    scanner = asyncio.run(scanned())
    (kept,) = Path("data/scan").iterdir()
    assert kept.name == f"binanceusdm_{desk.url.removeprefix('http://').replace(':', '-')}"
    assert symbols_in(kept) == ["A0USDT", "B0USDT", "W0USDT", "W1USDT"]
    assert {one.name: one.reason for one in scanner.scan.excluded} == {
        "USDCUSDT": "USDC is a stablecoin",
        "QUIETUSDT": "traded for 0 a day, less than 100",
    }
    assert len(scanner.scan.universe.time_ms) == BARS
    closes = exchange_market().series["A0USDT"].close[LENGTH - 10 - BARS : LENGTH - 10]
    assert scanner.scan.universe.closes[0].tolist() == pytest.approx(closes.tolist(), rel=1e-6)


def test_bars_of_one_symbol_are_fetched_as_rows_by_close_time(desk: DeskThread) -> None:
    async def fetched() -> np.ndarray:
        scanner = await connected(CointegrationScanner(QUICK, source=at_desk(desk)))
        rows = await scanner.fetch_ohlcv("W0/USDT", days=2)
        await scanner.disconnect()
        return rows

    rows = asyncio.run(fetched())
    assert rows.shape == (48, 6)
    assert rows[-1, 0] == exchange_market().series["W0USDT"].time_ms[LENGTH - 11]
    assert (np.diff(rows[:, 0]) == 3_600_000).all()


def test_the_command_scans_an_exchange(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    scan = ["scan", "--exchange-url", desk.url, "--universe", "4", "--min-volume", "100", "--days", "60"]
    assert main([*scan, "--simulated-pairs", "60", "--no-plots", "--cache", "kept", "--csv", "all.csv"]) == 0
    assert "1 of 6 pairs pass, chosen: A0_B0" in capsys.readouterr().out
    inputs = json.loads(Path("all.inputs.json").read_text())
    assert Path(inputs["folder"]).parent == Path("kept").resolve() and inputs["settings"]["end_ms"] is not None
    assert len(symbols_in(Path(inputs["folder"]))) == 4


def test_an_exchange_is_scanned_up_to_a_time_of_the_past(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    last = datetime.fromtimestamp(int(exchange_market().series["A0USDT"].time_ms[LENGTH - 11]) / 1000, UTC)
    to = (last - timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    scan = ["scan", "--exchange-url", desk.url, "--universe", "4", "--min-volume", "100", "--days", "20", "--to", to]
    assert main([*scan, "--simulated-pairs", "60", "--no-plots", "--csv", "all.csv"]) == 0
    assert (
        f"480 bars of 1h, closes {(last - timedelta(days=30) + timedelta(hours=1)):%Y-%m-%dT%H}"
        in capsys.readouterr().out
    )


def test_two_exchanges_keep_their_bars_apart() -> None:
    sessions = (
        SessionSettings("binanceusdm"),
        SessionSettings("binance"),
        SessionSettings("binance", testnet=True),
        SessionSettings("binance", url="http://127.0.0.1:8787"),
        SessionSettings("binance", url="http://127.0.0.1:8788"),
    )
    folders = {ExchangeSource(session).folder for session in sessions}
    assert len(folders) == len(sessions)
    assert Path("data/scan/binance_127.0.0.1-8787") in folders


def test_no_exchange_at_the_address_is_a_failure_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--exchange-url", "http://127.0.0.1:9"]) == 1
    assert "no exchange answers" in capsys.readouterr().err


def test_an_address_elsewhere_and_an_unknown_exchange_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--exchange-url", "http://example.com"]) == 2
    assert main(["scan", "--exchange", "binanse"]) == 2
    assert "127.0.0.1" in capsys.readouterr().err


def test_a_universe_without_a_pair_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--universe", "1"]) == 2
    assert "a universe of 1 symbols holds no pair" in capsys.readouterr().err


def test_a_quote_that_the_exchange_has_not_is_said(desk: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--exchange-url", desk.url, "--quote", "JPY"]) == 2
    assert "binanceusdm has no markets in JPY" in capsys.readouterr().err


def test_a_config_names_market_and_size_of_the_universe(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, cointegration={"universe_size": 12}), environ={}).model
    scanner = CointegrationScanner.from_config(config)
    assert scanner._source == ExchangeSource(SessionSettings("binanceusdm"), count=12)


# a folder


def test_a_folder_is_scanned_without_a_connection(tmp_path: Path) -> None:
    folder = market_folder(tmp_path / "bars", market(2, 2))

    async def scanned() -> CointegrationScanner:
        scanner = CointegrationScanner(QUICK, source=FolderSource(folder))
        assert await scanner.connect() and await scanner.get_universe() == symbols_in(folder)
        assert len(await scanner.scan_pairs()) == 2
        assert (await scanner.fetch_ohlcv("A0USDT", days=1)).shape == (24, 6)
        await scanner.disconnect()
        return scanner

    scanner = asyncio.run(scanned())
    assert len(scanner.get_best_pairs(1)) == 1 and len(scanner.get_best_pairs()) == 2
    assert scanner.get_best_pairs(1)[0][:2] in {("A0/USDT", "B0/USDT"), ("A1/USDT", "B1/USDT")}
    assert [Path(scanner.export_results(form)).suffix for form in ("csv", "json", "pairs")] == [
        ".csv",
        ".json",
        ".json",
    ]
    with open(next(Path().glob("cointegration_results_*.csv")), newline="") as file:
        assert len(list(csv.DictReader(file))) == 15
    assert len(json.loads(Path("pairs_config.json").read_text())["pairs"]) == 2


def test_a_scanner_that_is_asked_too_early_or_for_too_much_says_so(tmp_path: Path) -> None:
    scanner = CointegrationScanner(QUICK, source=ExchangeSource(SessionSettings("binanceusdm")))
    with pytest.raises(ScanError, match="call scan_pairs first"):
        scanner.get_best_pairs()
    with pytest.raises(ScanError, match="call connect first"):
        asyncio.run(scanner.get_universe())
    done = CointegrationScanner(QUICK, source=FolderSource(market_folder(tmp_path / "bars", market(0, 3))))
    asyncio.run(done.scan_pairs())
    with pytest.raises(ScanError, match="known: csv, json, pairs"):
        done.export_results("xlsx")
