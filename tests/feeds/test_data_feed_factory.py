"""Feeds by the name of their source: what there is works, what is not says what to do instead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown
from feeds.array_feed import ArrayFeed
from feeds.binance_data_feed import BinanceDataFeed
from feeds.data_feed_factory import SOURCES, DataFeedFactory, DataSourceUnavailable
from feeds.history import HistoryError
from tests.brokers.desk.desks import halt, minutes, open_desk
from tests.desk_thread import DeskThread, desk_thread
from tests.feeds.test_live_data_feed import Recorder, ScriptedFeed, run
from trading.commands.feed import main

PROJECT = Path(__file__).resolve().parents[2]


def running(name: str) -> Iterator[DeskThread]:
    """A desk of this dialect whose market moves a minute in some milliseconds, from the first listener on."""
    with desk_thread(lambda: open_desk(minutes(), dialects={name: 0}, speed=3000.0, wait_for_client=True)) as desk:
        desk.do(lambda one: one.walk() and None)
        yield desk


@pytest.fixture
def spot() -> Iterator[DeskThread]:
    yield from running("binance")


@pytest.fixture
def usdm() -> Iterator[DeskThread]:
    yield from running("binanceusdm")


def test_binance_bars_come_live_over_the_wire(spot: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["binance", "BTCUSDT", "1m", "--exchange-url", spot.url, "--bars", "3", "--lookback", "20"]
    assert main(wanted) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "20 bars of the past; now live" and len(lines) == 5


def test_so_do_those_of_perpetuals_in_any_notation(usdm: DeskThread, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["binance", "BTC/USDT", "1m", "--market", "usdm", "--exchange-url", usdm.url]
    assert main(wanted) == 0
    assert "now live" in capsys.readouterr().out


def test_a_feed_says_when_its_connection_breaks_and_when_it_is_live_again(spot: DeskThread) -> None:
    class CutsOnce(Recorder):
        def next(self) -> None:
            super().next()
            if self.statuses[-1] == "LIVE" and self.statuses.count("LIVE") == 2:
                self.env.runstop()

        def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
            super().notify_data(data, status, *args, **kwargs)
            if self.statuses == ["DELAYED", "LIVE"]:
                spot.do(lambda desk: [socket.abort() for socket in desk.server.sockets])

    feed = DataFeedFactory().create("binance", "BTCUSDT", "1m", lookback_bars=5, url=spot.url)
    strategy = run(feed, CutsOnce)
    assert strategy.statuses == ["DELAYED", "LIVE", "CONNBROKEN", "DELAYED", "LIVE"]
    minutes_seen = [minute for minute, _ in strategy.closes]
    assert minutes_seen == list(range(minutes_seen[0], minutes_seen[-1] + 1))


def test_an_unknown_symbol_is_refused_with_near_misses(spot: DeskThread) -> None:
    feed = DataFeedFactory().create("binance", "BTCUSD", "1m", url=spot.url)
    assert isinstance(feed, BinanceDataFeed)
    with pytest.raises(MarketUnknown, match="BTCUSDT"):
        run(feed)


def test_a_market_that_does_not_trade_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with desk_thread(lambda: open_desk(dialects={"binance": 0})) as desk:
        desk.do(lambda opened: halt(opened, "BTCUSDT"))
        assert main(["binance", "BTCUSDT", "1m", "--exchange-url", desk.url]) == 2
    assert "lists BTCUSDT, but nothing trades there" in capsys.readouterr().err


def test_no_exchange_at_the_address_is_an_error() -> None:
    feed = DataFeedFactory().create("binance", "BTCUSDT", "1m", url="http://127.0.0.1:9")
    assert isinstance(feed, BinanceDataFeed)
    with pytest.raises(ExchangeUnreachable, match="no exchange answers"):
        run(feed)


def test_a_replay_is_the_bars_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"2024-01-01T00:0{at}:00Z,1,2,0.5,1.5,10" for at in range(5)]
    (tmp_path / "BTCUSDT.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows, ""]))
    assert isinstance(DataFeedFactory().create("replay", "BTC/USDT", "1m", folder=tmp_path), ArrayFeed)
    assert main(["replay", "BTC/USDT", "1m", "--dir", str(tmp_path), "--bars", "5"]) == 0
    assert capsys.readouterr().out.count("close 1.5") == 5
    assert main(["replay", "BTC/USDT", "1m", "--dir", str(tmp_path), "--bars", "6"]) == 1
    with pytest.raises(HistoryError, match="has no file for ETHUSDT"):
        DataFeedFactory().create("replay", "ETHUSDT", "1m", folder=tmp_path)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("yahoo", "comes with a later version; available: binance, replay"),
        ("ibkr", "Interactive Brokers comes with a later version"),
        ("mock", "run a config with broker.type mock"),
        ("binanse", "did you mean binance?"),
    ],
)
def test_a_source_that_is_not_there_says_what_is(source: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataSourceUnavailable, match=words.replace("?", r"\?")):
        DataFeedFactory().create(source, "BTCUSDT", "1m")
    assert main([source, "BTCUSDT", "1m"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--bars", "0"), "'0' is no whole number of 1 or more"),
        (("--bars=-1",), "'-1' is no whole number of 1 or more"),
        (("--lookback=-5",), "'-5' is no whole number of 0 or more"),
    ],
)
def test_a_number_of_bars_that_cannot_be_is_refused(
    option: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["binance", "BTCUSDT", "1m", *option])
    assert ended.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://127.0.0.1:abc", "http://127.0.0.1:1?x=1"])
def test_an_address_that_is_none_is_a_sentence(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["binance", "BTCUSDT", "1m", "--exchange-url", address]) == 2
    assert "an exchange url is http://127.0.0.1:PORT" in capsys.readouterr().err


def test_an_unknown_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown interval '2w'"):
        DataFeedFactory().create("binance", "BTCUSDT", "2w")


def test_a_source_of_ones_own_is_one_more_entry() -> None:
    def mine(symbol: str, interval: str, **_: Any) -> ScriptedFeed:
        return ScriptedFeed(symbol=symbol, interval=interval)

    feed = DataFeedFactory({**SOURCES, "mine": mine}).create("mine", "BTCUSDT", "1m")
    assert isinstance(feed, ScriptedFeed) and feed.p.symbol == "BTCUSDT"


@pytest.mark.parametrize(
    ("script", "arguments", "code"),
    [
        ("test_live_data_feeds.py", ["yahoo", "AAPL", "1d"], 2),
        ("test_live_bot_config.py", ["0001.json"], 0),
    ],
)
def test_the_scripts_run(script: str, arguments: list[str], code: int) -> None:
    command = [sys.executable, str(PROJECT / script), *arguments]
    path = {"PYTHONPATH": str(PROJECT / "src"), "PATH": ""}
    done = subprocess.run(command, cwd=PROJECT, env=path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_pytest_does_not_take_the_scripts_for_tests() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "."]
    listed = subprocess.run(
        [*command, "--ignore=tests", "--ignore=src"], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert "test_live" not in listed.stdout and "no tests" in listed.stdout
