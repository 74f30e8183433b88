"""A panel that hangs or dies changes nothing: the bot trades on, and its journal is whole and free."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.management.webgui.panels import panel_process, wait_until
from tests.trading.runs import write_config
from trading.events import BarMarked, Event
from trading.journal.reads import JournalReader
from trading.live_trading_bot import LiveTradingBot
from trading.records import RunResult

PATIENCE_S = 60.0
READERS = 2


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path, mock={"bars": 400, "seed": 7, "speed": 360_000}, data={"lookback_bars": 200})


@contextmanager
def looked_at_all_the_time(url: str, token: str) -> Iterator[None]:
    """By several readers at once, so that the panel is in the midst of a journal when it is struck."""
    is_over = threading.Event()

    def look() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=2.0, trust_env=False) as client:
            while not is_over.is_set():
                with suppress(httpx.TransportError):
                    client.get("/bots/0001_mock")
                    client.get("/metrics")
                is_over.wait(0.05)

    readers = [threading.Thread(target=look) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        is_over.set()
        for reader in readers:
            reader.join(PATIENCE_S)


@pytest.mark.parametrize("strike", [signal.SIGKILL, signal.SIGSTOP])
def test_a_bot_trades_on_when_its_panel_is_killed_or_frozen(
    config: Path, tmp_path: Path, strike: signal.Signals
) -> None:
    bot, events, results = LiveTradingBot(config, environ={}), list[Event](), list[RunResult]()
    bot.add_listener(events.append)
    thread = threading.Thread(target=lambda: results.append(bot.run()))

    def bars() -> int:
        return sum(isinstance(event, BarMarked) for event in events)

    with panel_process(tmp_path) as (panel, url, token), looked_at_all_the_time(url, token):
        thread.start()
        wait_until(lambda: bars() > 20)
        os.kill(panel.pid, strike)
        struck = bars()
        wait_until(lambda: bars() > struck + 60)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        # While the frozen panel still holds what it held: a new start opens the journal, and an onlooker reads it.
        results.append(LiveTradingBot(config, environ={"TANDEM__MOCK__SPEED": "max"}).run())
        with JournalReader.open(tmp_path / "state" / "0001_mock.journal.sqlite") as journal:
            written = [(run.bars, run.ended is not None) for run in journal.runs()]
        assert written == [(result.bars, True) for result in results] and len(written) == 2
