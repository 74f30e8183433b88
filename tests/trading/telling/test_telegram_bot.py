"""A running bot, commanded through Telegram: the real queue, the real journal, the real library."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.notifications.telegram_server import CUT, TOKEN, Message, TelegramServer
from tests.trading.runs import write_config
from trading.config.loader import load_config
from trading.control.command_queue import CommandQueue, CommandState
from trading.control.paths import control_paths
from trading.events import Event, PairClosed, PairOpened
from trading.journal.reads import JournalReader
from trading.live_trading_bot import LiveTradingBot
from trading.venues.opening import state_paths

PATIENCE_S = 60.0
ANNA = 1001
SECRETS = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": str(ANNA), "TELEGRAM_USER_IDS": str(ANNA)}


@pytest.fixture
def server() -> Iterator[TelegramServer]:
    with TelegramServer().serving() as server:
        yield server


@pytest.fixture
def config(server: TelegramServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_config(
        tmp_path,
        mock={"bars": 3000, "seed": 7, "speed": 36_000},
        data={"lookback_bars": 200},
        strategy={"entry_logic": {"params": {"e_entry_z": 1.2, "e_min_edge": 0.0}}},
        logging={"level": "DEBUG"},
        notifications={
            "enabled": True,
            "telegram": {"enabled": True, "commands": True, "api_url": server.url, "notify_on": ["trade_exit"]},
        },
    )


class Told:
    """The events of a run, to be waited for."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._changed = threading.Condition()

    def add(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def wait_for(self, kind: type, count: int = 1) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= count, PATIENCE_S)
            return self.of(kind)[-1]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self._events if isinstance(event, kind)]


@contextmanager
def running(config: Path) -> Iterator[Told]:
    """From the first open pair on; stopped with the block."""
    bot, told = LiveTradingBot(config, environ=SECRETS), Told()
    bot.add_listener(told.add)
    thread = threading.Thread(target=bot.run)
    thread.start()
    try:
        told.wait_for(PairOpened)
        yield told
    finally:
        bot.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def confirm(server: TelegramServer, question: Message) -> None:
    (yes,) = [data for word, data in question.buttons if word == "Yes"]
    server.press(yes, message_id=question.message_id)


def test_a_bot_is_halted_a_pair_closed_and_it_is_resumed_from_a_telephone(server, config):
    with running(config) as told:
        pair_id = told.of(PairOpened)[0].order.pair_id
        server.write("/halt lunch")
        server.wait_for_text("halt was given to 0001.")
        server.wait_for_text("✓ halt: halted")
        server.write("/status")
        assert "breaker halted, halted:lunch since" in server.wait_for_text("0001 on mock, running").text
        server.write(f"/close {pair_id}")
        confirm(server, server.wait_for_text(f"Close {pair_id} at the market"))
        server.wait_for_text(f"close {pair_id}: ")
        server.wait_until(lambda: any(f"✓ close {pair_id}" in text for text in server.texts))
        server.write("/resume looked at it")
        confirm(server, server.wait_for_text("trade again?"))
        server.wait_for_text("✓ resume: resumed; it was halted: halted:lunch")
    loaded = load_config(config, environ={})
    with CommandQueue(control_paths(loaded).commands) as queue:
        commands = [queue.command(number) for number in (1, 2, 3)]
    assert [str(command) for command in commands] == ["halt", f"close {pair_id}", "resume"]
    assert {command.state for command in commands} == {CommandState.DONE}
    assert {command.given_by for command in commands} == {f"telegram user {ANNA}"}
    with JournalReader.open(state_paths(loaded)[0]) as journal:
        trades = [trade for trade in journal.trades() if trade.pair_id == pair_id]
        closed = [trade for trade in trades if trade.exit_reason == "closed_by_hand"]
        assert len(closed) == 1 or commands[1].result == "was flat already"
        assert not journal.risk_state("halt")


def test_the_emergency_stop_closes_everything_and_its_end_is_told(server, config):
    with running(config) as told:
        server.write("/flatten")
        confirm(server, server.wait_for_text("Emergency stop"))
        server.wait_for_text("✓ flatten: flat")
        assert any(closed.trade.exit_reason == "emergency_stop" for closed in told.of(PairClosed))
    with JournalReader.open(state_paths(load_config(config, environ={}))[0]) as journal:
        assert journal.risk_state("guard")["breaker"] == "halted"


def test_a_bot_trades_on_while_telegram_is_away_and_answers_when_it_is_back(server, config):
    server.answer_always("*", CUT)
    with running(config) as told:
        told.wait_for(PairClosed)
        server.wait_until(lambda: server.calls.count("getMe") >= 2)
        server.answer_always("*", None)
        server.write("/halt")
        server.wait_for_text("✓ halt: halted")


def test_the_token_is_in_no_file_of_a_run(server, config, caplog):
    caplog.set_level(logging.DEBUG)
    with running(config) as told:
        server.write("/config")
        server.write("/logs 200")
        server.wait_for_text("The last")
        told.wait_for(PairClosed)
    secret = TOKEN.partition(":")[2]
    files = [path for path in config.parent.rglob("*") if path.is_file()]
    assert len(files) > 5 and not [path for path in files if secret.encode() in path.read_bytes()]
    assert secret not in caplog.text and not any(secret in text for text in server.texts)
