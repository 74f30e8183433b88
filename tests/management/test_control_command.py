"""Status and commands as a person calls them, with a bot that runs and one that does not."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest

from management import cli
from tests.trading.runs import write_config
from trading.events import Event, PairClosed, PairOpened
from trading.journal.locks import WriterLock, lock_path
from trading.live_trading_bot import LiveTradingBot

PATIENCE_S = 60.0


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short market with several trades, and its folder as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", StringIO())
    return write_config(
        tmp_path,
        mock={"bars": 500, "seed": 7},
        data={"lookback_bars": 200},
        strategy={"entry_logic": {"params": {"e_entry_z": 1.2, "e_min_edge": 0.0}}},
    )


def call(*words: object) -> int:
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stopped:
        return int(stopped.code or 0)


def run_until_open(config: Path) -> str:
    """A bot that was stopped with an open pair; its id."""
    bot, opened = LiveTradingBot(config, environ={}), []

    def listen(event: Event) -> None:
        if isinstance(event, PairOpened) and not opened:
            opened.append(event.order.pair_id)
            bot.stop()

    bot.add_listener(listen)
    result = bot.run()
    assert [one.pair_id for one in result.open] == opened
    return opened[0]


@contextmanager
def running(config: Path) -> Iterator[list[Event]]:
    """The bot, an hour in a tenth of a second, from the first open pair on; stopped with the block."""
    bot = LiveTradingBot(config, environ={"TANDEM__MOCK__SPEED": "36000"})
    events: list[Event] = []
    bot.add_listener(events.append)
    thread = threading.Thread(target=bot.run)
    thread.start()
    try:
        wait_for(events, PairOpened)
        yield events
    finally:
        bot.stop()
        thread.join(PATIENCE_S)


def wait_for(events: list[Event], kind: type) -> None:
    begun = time.monotonic()
    while not any(isinstance(event, kind) for event in events):
        assert time.monotonic() - begun < PATIENCE_S
        time.sleep(0.05)


def test_the_status_of_a_stopped_bot_is_as_promised(config, capsys):
    pair_id = run_until_open(config)
    capsys.readouterr()
    assert call("status", config, "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["bot_id"], status["mode"], status["running"]) == ("0001", "mock", False)
    assert status["breaker"] == {"state": "closed", "reason": "", "since": None}
    assert status["equity"] == pytest.approx(10_000, rel=0.1)
    (pair,) = [pair for pair in status["pairs"] if pair["pair_id"] == pair_id]
    assert pair["state"] == "open" and abs(pair["z"]) > 1.0
    assert all(leg["ledger"] == leg["exchange"] != 0 for leg in pair["legs"])
    assert {"name": "max_positions", "used": 1.0, "limit": 5.0} in status["limits"]
    assert {feed["state"] for feed in status["feeds"]} == {"not running"}
    assert {feed["age_s"] for feed in status["feeds"]} == {None}
    assert status["last_reconciled"].endswith("Z") and status["longest_unhedged_s"] == 0.0
    assert call("status", config) == 0
    shown = capsys.readouterr().out
    assert "not running" in shown and pair_id in shown and "breaker closed" in shown and "max_exposure" in shown


def test_a_command_to_a_bot_that_is_not_running_waits_and_is_its_next_starts_first_act(config, capsys):
    pair_id = run_until_open(config)
    assert call("flatten", config, "--yes", "--reason", "enough") == 0
    assert "is not running: flatten waits" in capsys.readouterr().out
    bot, events = LiveTradingBot(config, environ={}), []
    bot.add_listener(events.append)
    result = bot.run()
    trade = result.trades[-1]
    assert (trade.pair_id, trade.exit_reason, result.open) == (pair_id, "emergency_stop", ())
    assert bot.was_halted and not any(isinstance(event, PairOpened) for event in events)
    capsys.readouterr()
    assert call("status", config, "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["breaker"]["state"], status["breaker"]["reason"]) == ("halted", "emergency_stop:enough")
    assert call("resume", config, "--reason", "looked at it", "--wait", "0.3") == 1
    assert "is still waiting after 0.3 s" in capsys.readouterr().err
    bot, events = LiveTradingBot(config, environ={}), []
    bot.add_listener(events.append)
    bot.run()
    assert not bot.was_halted and any(isinstance(event, PairOpened) for event in events)


def test_a_running_bot_answers(config, capsys):
    with running(config) as events:
        assert call("status", config, "--json") == 0
        status = json.loads(capsys.readouterr().out)
        assert status["running"] is True
        assert call("halt", config, "--wait", "30", "--reason", "lunch") == 0
        assert "halt: halted" in capsys.readouterr().out
        assert call("flatten", config, "--yes", "--wait", "30") == 0
        assert "flatten: flat: " in capsys.readouterr().out
        assert any(isinstance(event, PairClosed) for event in events)
        assert call("resume", config, "--wait", "30", "--reason", "back") == 0
        assert "resumed; it was halted: halted:lunch" in capsys.readouterr().out
        assert call("close", config, status["pairs"][0]["pair_id"], "--wait", "30") in (0, 1)


@pytest.mark.parametrize("verb", ["halt", "resume", "flatten", "close", "status"])
def test_a_bot_that_has_never_run_here_is_told_so(config, verb, capsys):
    more = {"resume": ["--reason", "x"], "close": ["ETH_BTC"]}.get(verb, [])
    assert call(verb, config, *more) == 2
    assert "0001 has never run here" in capsys.readouterr().err
    assert not Path("state").exists()


def remove(*files: Path) -> None:
    assert files
    for file in files:
        file.unlink()


def test_a_running_bot_writes_its_journal_anew_and_takes_commands(config, capsys):
    journal = Path("state/0001_mock.journal.sqlite")
    with running(config):
        remove(*journal.parent.glob(f"{journal.name}*"))
        deadline = time.monotonic() + PATIENCE_S
        while not journal.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert call("status", config) == 0
        assert call("halt", config, "--wait", "30") == 0
        assert call("close", config, "ETH_BTC") == 0
        assert call("flatten", config, "--yes") == 0
        assert "was given to 0001" in capsys.readouterr().out
        assert call("resume", config, "--reason", "back") == 0


def test_a_bot_that_cannot_write_its_journal_anew_is_told_of_and_takes_commands(config, capsys):
    run_until_open(config)
    journal = Path("state/0001_mock.journal.sqlite")
    lock = WriterLock(lock_path(journal))
    remove(journal)
    capsys.readouterr()
    for words in (["status"], ["status", "--json"]):
        assert call(words[0], config, *words[1:]) == 1
        told = capsys.readouterr().err
        assert f"0001 runs (process {os.getpid()}), but its journal" in told and "writes it anew" in told
    assert call("halt", config) == 0
    lock.release()


def test_where_the_lock_is_gone_too_the_signal_is_named(config, capsys):
    assert call("halt", config) == call("status", config) == 2
    assert capsys.readouterr().err.count("is stopped by its signal: kill -USR1 PID") == 2


def test_the_journal_of_another_bot_is_refused_as_a_run_does(config, capsys):
    run_until_open(config)
    other = write_config(config.parent, name="0009.json", bot_id="0009")
    shutil.copy("state/0001_mock.journal.sqlite", "state/0009_mock.journal.sqlite")
    for words in (["run"], ["status"], ["halt"], ["flatten", "--yes"]):
        capsys.readouterr()
        assert call(words[0], other, *words[1:]) == 2, words
        assert "belongs to bot '0001', not to '0009': give each bot" in capsys.readouterr().err, words
    assert not Path("state/0009_mock.commands.sqlite").exists()


def test_a_command_that_cannot_be_written_names_the_signal(config, capsys):
    run_until_open(config)
    remove(*Path("state").glob("0001_mock.commands.sqlite*"))
    Path("state/0001_mock.commands.sqlite").mkdir()
    lock = WriterLock(Path("state/0001_mock.journal.sqlite.lock"))
    try:
        assert call("flatten", config, "--yes") == 2
        assert f"kill -USR1 {os.getpid()}" in capsys.readouterr().err
    finally:
        lock.release()
    assert call("flatten", config, "--yes") == 2
    assert "kill -USR1" not in capsys.readouterr().err, "nobody runs"


def test_what_a_person_got_wrong_is_a_sentence_and_gives_no_command(config, capsys):
    run_until_open(config)
    for words, sentence in (
        (("halt", "nowhere.json"), "nowhere.json"),
        (("resume", config), "--reason"),
        (("resume", config, "--reason", " "), "--reason is empty"),
        (("flatten", config), "add --yes"),
        (("close", config), "pair"),
        (("close", config, "X_Y"), "there is no pair X_Y"),
        (("halt", config, "--wait", "soon"), "wanted seconds"),
        (("halt", config, "--wait", "-1"), "wanted seconds"),
        (("halt", config, "--now"), "--now"),
        (("status", config, "--jsn"), "--jsn"),
    ):
        capsys.readouterr()
        assert call(*words) == 2, words
        assert sentence in capsys.readouterr().err, words
    Path("state/0001_mock.commands.sqlite").write_bytes(b"no database" * 500)
    for log in Path("state").glob("0001_mock.commands.sqlite-*"):
        log.unlink()
    assert call("halt", config) == 2
    assert "commands.sqlite cannot be used" in capsys.readouterr().err
