"""A running bot is reached whatever its strategy's thread is doing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.words import CreateOutcome, NotPlaced, OrderRequest
from strategies.pair_strategy import PairStrategy
from tests.trading.runs import merged, write_config
from trading import live_trading_bot
from trading.config.loader import load_config
from trading.control.command_queue import CommandQueue, CommandState, Verb
from trading.control.paths import control_paths
from trading.control.stop_signal import emergency_signal
from trading.events import Alarm, BarMarked, Event, PairClosed, PairOpened
from trading.execution.wire_guard import WireGuard
from trading.journal.locks import is_held, lock_path
from trading.live.session import STOP_LIMIT_S
from trading.live_trading_bot import STOP_TIMEOUT_S, LiveTradingBot
from trading.records import RunResult
from trading.utc_text import utc_text
from trading.venues.opening import state_paths

PATIENCE_S = 60.0
HOUR_MS = 3_600_000
LONG_WORK = 1_500_000  # rounds of a computation that gives Python's main thread no moment of its own


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_config(
        tmp_path,
        mock={"bars": 500, "seed": 7, "speed": 36_000},
        data={"lookback_bars": 200},
        strategy={"entry_logic": {"params": {"e_entry_z": 1.2, "e_min_edge": 0.0}}},
    )


def wait_until(condition: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE_S
        time.sleep(0.02)


@contextmanager
def stuck_bot(config: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Event]]:
    """A bot whose strategy hangs in ``next`` once a pair is open, until the block ends."""
    events: list[Event] = []
    is_stuck, released = threading.Event(), threading.Event()
    go_on = PairStrategy.next

    def next_bar(self: PairStrategy) -> None:
        if any(isinstance(event, PairOpened) for event in events):
            is_stuck.set()
            released.wait(PATIENCE_S)
        go_on(self)

    monkeypatch.setattr(PairStrategy, "next", next_bar)
    bot = LiveTradingBot(config, environ={})
    bot.add_listener(events.append)
    thread = threading.Thread(target=bot.run)
    thread.start()
    try:
        assert is_stuck.wait(PATIENCE_S)
        yield events
        assert not released.is_set()
    finally:
        bot.stop()
        released.set()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("verb", [Verb.HALT, Verb.FLATTEN])
def test_a_command_is_carried_out_while_the_strategy_hangs(verb, config, monkeypatch):
    paths = control_paths(load_config(config, environ={}))
    with stuck_bot(config, monkeypatch) as events, CommandQueue(paths.commands) as queue:
        number = queue.give(verb, reason="it hangs", by="anna")
        wait_until(lambda: queue.command(number).state.is_over)
        assert queue.command(number).state is CommandState.DONE
        assert any(isinstance(event, PairClosed) for event in events) == (verb is Verb.FLATTEN)


def test_the_halt_file_is_seen_while_the_strategy_hangs(config, monkeypatch):
    with stuck_bot(config, monkeypatch) as events:
        control_paths(load_config(config, environ={})).halt_flag.touch()
        wait_until(lambda: any(isinstance(one, Alarm) and "halted by file" in one.message for one in events))


def test_the_signal_is_heard_while_the_main_thread_computes():
    """It is heard during the computation, and not when Python gets to run its handler, after it."""
    loop = LoopThread(1.0)
    loop.start()
    heard: list[tuple[float, str]] = []

    def stop() -> None:
        heard.append((time.monotonic(), threading.current_thread().name))

    try:
        with emergency_signal() as emergency, emergency.heard_by(loop, stop):
            kill = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
            kill.start()
            while not heard:
                hashlib.pbkdf2_hmac("sha256", b"a", b"b", LONG_WORK)
                ended_s = time.monotonic()
            kill.join()
        assert heard[0][1] == "exchange-loop"
        assert heard[0][0] < ended_s
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    finally:
        loop.stop()
        loop.close()


def test_outside_the_main_thread_no_signal_is_taken():
    loop = LoopThread(1.0)
    loop.start()
    seen: list[object] = []

    def elsewhere() -> None:
        with emergency_signal() as emergency, emergency.heard_by(loop, lambda: None):
            seen.append(signal.getsignal(signal.SIGUSR1))

    try:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(PATIENCE_S)
    finally:
        loop.stop()
        loop.close()
    assert seen == [signal.SIG_DFL]


def during(step: str, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, error: Exception | None = None) -> None:
    """This process sends itself a signal when a start comes to ``step``, which then fails with ``error``."""
    real = getattr(live_trading_bot, step)

    def interrupted(*values: object, **named: object) -> object:
        os.kill(os.getpid(), number)
        if error is not None and step == "begin_run":
            return failing(error)
        if error is not None:
            raise error
        return real(*values, **named)

    monkeypatch.setattr(live_trading_bot, step, interrupted)


async def failing(error: Exception) -> None:
    raise error


def started(config: Path) -> tuple[LiveTradingBot, list[Event], RunResult]:
    bot, events = LiveTradingBot(config, environ={}), []
    bot.add_listener(events.append)
    return bot, events, bot.run()


def is_stopped_before_anything_else(config: Path) -> None:
    bot, events, result = started(config)
    assert [trade.exit_reason for trade in result.trades] == ["emergency_stop"] and not result.open
    assert bot.was_halted and not any(isinstance(event, PairOpened) for event in events)


STARTING = ["bring_forward", "open_journal", "build_live_path", "begin_run", "load_history", "build_cerebro"]


@pytest.mark.parametrize("step", STARTING)
def test_a_signal_during_a_start_is_carried_out_before_anything_is_opened(step, config, monkeypatch):
    quick = rewritten(config, mock={"speed": "max"})
    run_until(quick, PairOpened)
    during(step, monkeypatch, signal.SIGUSR1)
    is_stopped_before_anything_else(quick)


@pytest.mark.parametrize("step", ["build_live_path", "begin_run"])
def test_a_signal_during_a_start_that_fails_is_left_to_the_next_one(step, config, monkeypatch):
    quick = rewritten(config, mock={"speed": "max"})
    run_until(quick, PairOpened)
    with monkeypatch.context() as patched:
        during(step, patched, signal.SIGUSR1, ZeroDivisionError("no start"))
        with pytest.raises(ZeroDivisionError):
            started(quick)
    breaker = LiveTradingBot(quick, environ={}).get_status()["breaker"]
    assert (breaker["state"], breaker["reason"]) == ("halted", "emergency_stop:signal")
    is_stopped_before_anything_else(quick)


def test_a_signal_during_the_first_start_that_fails_halts_the_first_run(config, monkeypatch):
    quick = rewritten(config, mock={"speed": "max"})
    with monkeypatch.context() as patched:
        during("build_live_path", patched, signal.SIGUSR1, ZeroDivisionError("no start"))
        with pytest.raises(ZeroDivisionError):
            started(quick)
    bot, events, result = started(quick)
    assert bot.was_halted and not result.trades and not any(isinstance(event, PairOpened) for event in events)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["open_journal", "begin_run"])
def test_a_start_that_is_ended_lets_go_of_everything(step, number, config, monkeypatch):
    threads, before = set(threading.enumerate()), signal.getsignal(number)
    with monkeypatch.context() as patched:
        during(step, patched, number)
        with pytest.raises(KeyboardInterrupt):
            started(config)
    journal, _ = state_paths(load_config(config, environ={}))
    assert set(threading.enumerate()) <= threads and not is_held(lock_path(journal))
    assert signal.getsignal(number) is before


def test_a_stop_leaves_a_pair_that_only_waits_for_a_halted_market_exiting_and_says_so(config):
    plain = {"mock": {"speed": "max"}, "trading": {"on_shutdown": "close"}}
    entered = run_until(rewritten(config, **plain), PairOpened)
    symbol, when = entered.order.legs[0].symbol, entered.order.decided_at + timedelta(hours=1)
    halt = {"kind": "halt", "on": "market", "symbol": symbol, "at": utc_text(when), "delay_ms": 5 * HOUR_MS}
    halted = rewritten(config, **plain, broker={"faults": [halt]}, bot_id="halted")
    events: list[Event] = []
    run_until(halted, BarMarked, lambda event: event.time >= when + timedelta(hours=1), events)
    told = [event.message for event in events if isinstance(event, Alarm)]
    assert (
        f"{entered.order.pair_id} waits for a halted market and stays exiting: the next start goes on with it" in told
    )
    status = LiveTradingBot(halted, environ={}).get_status()
    assert [pair["state"] for pair in status["pairs"] if pair["state"] != "flat"] == ["exiting"]
    result = LiveTradingBot(halted, environ={}).run()
    assert (result.trades[0].pair_id, result.trades[0].exit_reason) == (entered.order.pair_id, "shutdown")


def test_a_stop_that_cannot_close_says_what_stays_before_its_caller_gives_up(config, monkeypatch):
    create = WireGuard.create_order

    async def refusing(self: WireGuard, request: OrderRequest) -> CreateOutcome:
        return NotPlaced("-1001", "Internal error") if request.closes else await create(self, request)

    monkeypatch.setattr(WireGuard, "create_order", refusing)
    events: list[Event] = []
    closing = rewritten(config, mock={"speed": "max"}, trading={"on_shutdown": "close"})
    run_until(closing, PairOpened, events=events)
    alarms = [event for event in events if isinstance(event, Alarm)]
    (begun,) = [alarm.time for alarm in alarms if alarm.message.startswith("an order is under way")]
    (told,) = [alarm.time for alarm in alarms if alarm.message.startswith("not closed before the end")]
    assert STOP_LIMIT_S - 1 <= (told - begun).total_seconds() <= STOP_LIMIT_S + 1 < STOP_TIMEOUT_S


def rewritten(config: Path, **changes) -> Path:
    folder = config.parent / "other"
    folder.mkdir(exist_ok=True)
    known = json.loads(config.read_text())
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(merged(known, changes)))
    return path


def run_until(
    config: Path, kind: type, is_it: Callable = lambda event: True, events: list[Event] | None = None
) -> Event:
    """Run until the first event of this kind, and stop there."""
    bot, found = LiveTradingBot(config, environ={}), []
    heard = [] if events is None else events

    def listen(event: Event) -> None:
        heard.append(event)
        if isinstance(event, kind) and is_it(event) and not found:
            found.append(event)
            bot.stop()

    bot.add_listener(listen)
    bot.run()
    return found[0]
