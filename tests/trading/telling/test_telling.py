"""Whole runs of the bot that tell: to a channel of the test, to a mail server that hangs, to nobody."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from notifications import lane
from notifications.dispatcher import Route
from notifications.words import Kind
from tests.notifications.channels import EVERYTHING, FakeChannel, wait_until
from tests.notifications.mail_server import PASSWORD, USER, mail_server
from tests.notifications.web_server import WebServer
from tests.trading.runs import write_config
from trading.config.credentials import known_secrets
from trading.config.loader import load_config
from trading.control.paths import control_paths
from trading.events import Alarm, BarMarked, Event, PairClosed
from trading.live_trading_bot import LiveTradingBot
from trading.records import RunResult
from trading.telling import telling
from trading.telling.channels import Channels
from trading.telling.telling import Telling

MARKET = {"bars": 290, "seed": 7}
MOST_US = 50.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lane, "GAP_S", 0.0)
    return tmp_path


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> FakeChannel:
    """The one channel of every bot of the test."""
    one = FakeChannel()
    built = Channels((Route(one, EVERYTHING),), ())
    monkeypatch.setattr(telling, "build_channels", lambda *_, **__: built)
    return one


def config(folder: Path, **notifications) -> Path:
    section = {"enabled": True, "virtual_time": "full"} | notifications
    return write_config(folder, mock=MARKET, data={"lookback_bars": 200}, notifications=section)


def run(
    path: Path, environ=None, *, stop_at: int = 0, stop_on: type = BarMarked, showing=None
) -> tuple[RunResult, list[Event]]:
    """``stop_at``: after so many events of a kind."""
    bot, events = LiveTradingBot(path, environ=environ or {}), []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, stop_on) and sum(isinstance(one, stop_on) for one in events) == stop_at:
            bot.stop()

    bot.add_listener(listen)
    return bot.run(showing=showing), events


def kinds(channel: FakeChannel) -> Counter[Kind]:
    return Counter(one.kind for one in channel.notices)


def test_a_run_is_told_from_start_to_stop(folder, channel):
    result, _ = run(config(folder))
    assert len(result.trades) >= 2
    count = kinds(channel)
    assert count[Kind.TRADE_EXIT] == len(result.trades)
    assert count[Kind.TRADE_ENTRY] == len(result.trades) + len(result.open)
    assert count[Kind.START_STOP] == 2 and count[Kind.DAILY_SUMMARY] >= 3 and count[Kind.STATUS] >= 1
    assert channel.notices[0].title == "0001 (simulated): started"
    (end,) = [one for one in channel.notices if one.title.endswith("its market has ended")]
    assert dict(end.rows)["Closed trades"].startswith(f"{len(result.trades)}, ")
    entries = [one for one in channel.notices if one.kind is Kind.TRADE_ENTRY]
    assert all(one.chart is not None and len(one.chart.times) >= 2 for one in entries[1:])
    assert {one.time for one in entries} <= {time for time, _ in result.equity}, "times are the market's"
    wait_until(lambda: not any(thread.name.startswith("notify") for thread in threading.enumerate()))


def test_as_fast_as_possible_only_start_stop_and_what_is_critical_are_told(folder, channel):
    _, events = run(config(folder, virtual_time="brief"))
    alarms = [one.message for one in events if isinstance(one, Alarm) and one.critical]
    rest = [one for one in channel.notices if one.kind is not Kind.START_STOP]
    assert kinds(channel)[Kind.START_STOP] == 2 and "Virtual time" in channel.notices[0].body
    assert all(one.is_critical for one in rest)
    assert sum(told.repeats for told in channel.told) - 2 == len(alarms)


def test_a_bot_that_goes_on_tells_nothing_twice(folder, channel):
    path = config(folder)
    run(path, stop_at=50)
    before = len(channel.notices)
    run(path)
    assert before > 5 and len(channel.notices) > before
    keys = Counter(one.key for one in channel.notices if one.kind is not Kind.START_STOP)
    assert set(keys.values()) == {1}
    assert kinds(channel)[Kind.START_STOP] == 4, "each start and stop is a fact of its own"


def test_a_new_run_of_the_same_market_is_told_anew(folder, channel):
    path = config(folder)
    first, _ = run(path)
    second, _ = run(path)
    assert kinds(channel)[Kind.TRADE_EXIT] == len(first.trades) + len(second.trades)


def test_a_run_that_fails_is_told_as_critical(folder, channel):
    @contextmanager
    def broken(path):
        raise RuntimeError("no screen")
        yield

    with pytest.raises(RuntimeError, match="no screen"):
        run(config(folder), showing=broken)
    (end,) = [one for one in channel.notices if "the run failed: RuntimeError('no screen')" in one.title]
    assert end.is_critical and end.kind is Kind.ERROR


def test_a_start_that_fails_is_told_too(folder, channel, monkeypatch):
    def refuse(path, choice):
        raise RuntimeError("no run")

    monkeypatch.setattr("trading.live_trading_bot.begin_run", refuse)
    with pytest.raises(RuntimeError, match="no run"):
        run(config(folder))
    assert any("the run failed" in title for title in channel.titles)


def timed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each event took that was handed over."""
    spans: list[float] = []
    plain = Telling.on_event

    def measured(self: Telling, event: Event) -> None:
        begun = perf_counter()
        plain(self, event)
        spans.append(perf_counter() - begun)

    monkeypatch.setattr(Telling, "on_event", measured)
    return spans


@pytest.fixture(scope="module")
def untold(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The same run, of which nobody is told."""
    folder = tmp_path_factory.mktemp("untold")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result, _ = run(config(folder, enabled=False))
    return result


@pytest.mark.parametrize("trouble", ["hangs", "refuses the login", "is away"])
def test_a_mail_server_in_trouble_changes_no_trade_and_delays_none(folder, monkeypatch, untold, trouble):
    spans = timed(monkeypatch)
    with mail_server(folder / "tls", password="x" if trouble.startswith("refuses") else PASSWORD) as server:
        server.hangs_at = "RCPT" if trouble == "hangs" else ""
        email = {
            "enabled": True, "host": "127.0.0.1", "port": 1 if trouble == "is away" else server.port, "from": USER,
            "user": USER, "ca_file": server.ca_file,
        }  # fmt: skip
        told, _ = run(config(folder, email=email), {"SMTP_PASSWORD": PASSWORD})
        assert server.mails == [] and bool(server.connections) == (trouble != "is away")
    assert median(spans) * 1e6 <= MOST_US and len(spans) > 80
    assert [(t.pair_id, t.entry_time, t.exit_time, t.pnl) for t in told.trades] == [
        (t.pair_id, t.entry_time, t.exit_time, t.pnl) for t in untold.trades
    ]
    assert told.equity == untold.equity and len(told.trades) >= 2


def test_one_symbol_is_told_without_a_chart(folder, channel):
    rule = {"name": "RSIBBEntryMixin", "params": {"e_rsi_oversold": 40, "e_bb_dev": 1.5}}
    path = write_config(
        folder,
        "0002_single_symbol.json",
        broker={"type": "mock"},
        mock={"bars": 1_500, "seed": 3},
        data={"data_source": "mock", "lookback_bars": 100},
        strategy={"entry_logic": rule},
        notifications={"enabled": True, "virtual_time": "full"},
    )
    run(path, stop_at=1, stop_on=PairClosed)
    assert kinds(channel)[Kind.TRADE_EXIT] >= 1
    assert all(one.chart is None for one in channel.notices)


def test_the_heartbeat_beats_while_the_bot_is_well_and_not_while_it_is_halted(folder):
    """A market with a clock of its own: in virtual time there is none."""
    path = write_config(folder, mock={"bars": 260, "speed": 400_000}, data={"lookback_bars": 200})
    with WebServer().serving() as server:
        environ = {"HEARTBEAT_URL": f"http://{server.address}/canary-heartbeat"}
        run(path, environ, stop_at=20)
        assert server.asked and set(server.asked) == {("GET", "/canary-heartbeat", None)}
        server.asked.clear()
        control_paths(load_config(path, environ={})).halt_flag.touch()
        bot = LiveTradingBot(path, environ=environ)
        bot.add_listener(lambda event: bot.stop() if isinstance(event, BarMarked) else None)
        bot.run()
        assert bot.was_halted and server.asked == []


def test_a_heartbeat_that_nobody_hears_is_told_as_health(folder, channel, monkeypatch):
    monkeypatch.setattr("notifications.heartbeat.MANY_UNHEARD", 1)
    monkeypatch.setattr(telling, "Wellness", lambda path: lambda: True)
    path = write_config(folder, mock={"bars": 260, "speed": 400_000}, data={"lookback_bars": 200})
    with WebServer().serving() as server:
        server.status = 404
        run(path, {"HEARTBEAT_URL": f"http://{server.address}/canary-heartbeat"}, stop_at=20)
    (told,) = [one for one in channel.notices if "the heartbeat is not heard (status 404)" in one.title]
    assert told.kind is Kind.HEALTH and "canary" not in repr(told)


def test_a_defect_in_the_telling_stops_no_trade(folder, channel, monkeypatch, caplog):
    monkeypatch.setattr(telling, "event_teller", lambda path: 1 / 0)
    result, _ = run(config(folder))
    assert len(result.trades) >= 2 and channel.told == []
    assert "telling_failed" in caplog.text


def test_a_channel_without_its_secrets_is_told_and_the_bot_runs_on(folder):
    path = config(folder, email={"enabled": True, "host": "127.0.0.1"}, webhook={"enabled": True})
    result, events = run(path, {"HEARTBEAT_URL": "canary", "HEARTBEAT_URL_FILE": "both"})
    notes = [one.message for one in events if isinstance(one, Alarm) and "tells nothing" in one.message]
    assert any("SMTP_USER" in note and "SMTP_PASSWORD" in note for note in notes)
    assert any("NOTIFY_WEBHOOK_URLS" in note for note in notes)
    assert any(note.startswith("the heartbeat tells nothing: ") and "canary" not in note for note in notes)
    assert result.trades and not list((folder / "state").glob("*.outbox.sqlite"))


def test_no_secret_is_in_any_file_of_a_run_at_debug(folder):
    secrets = {
        "SMTP_PASSWORD": "canary-smtp-password",
        "TELEGRAM_BOT_TOKEN": "123456789:canary-telegram-token-0123456789",
        "TELEGRAM_CHAT_ID": "42",
        "NOTIFY_WEBHOOK_URLS": "json://user:canary-url-pass@127.0.0.1:1/canary-url-token?canary=canary-url-query",
        "HEARTBEAT_URL": "https://127.0.0.1:1/canary-heartbeat-path",
        "BINANCE_API_SECRET": "canary-exchange-secret",
    }
    on = {"enabled": True}
    with mail_server(folder / "tls", password="another") as server:
        email = {"host": "127.0.0.1", "port": server.port, "from": USER, "user": USER, "ca_file": server.ca_file}
        telegram = {"api_url": "http://127.0.0.1:1"}
        path = config(folder, email=email | on, webhook=on, telegram=telegram | on)
        path.write_text(path.read_text().replace('"INFO"', '"DEBUG"'))
        bot = LiveTradingBot(path, environ=secrets)

        def leak(event: Event) -> None:
            """An exchange that answers with what it was sent."""
            if isinstance(event, BarMarked):
                bot.stop()
                raise RuntimeError(" ".join(secrets.values()))

        bot.add_listener(leak)
        bot.run()
    canaries = [value for value in known_secrets(secrets) if "canary" in value]
    assert len(canaries) >= 8
    texts = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pem"}
    assert any(b"a listener was dropped" in text for text in texts.values())
    assert any(path.name.endswith(".outbox.sqlite") for path in texts)
    found = [(path.name, secret) for path, text in texts.items() for secret in canaries if secret.encode() in text]
    assert found == []
