"""The live trading bot: validate → build → run → tell → stop.

``LiveTradingBot(path)`` has no side effect; ``run`` does everything, ``get_status`` reads what a running (or stopped)
bot wrote.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import backtrader as bt

from ccxt_bt_bridge.errors import BridgeClosed
from ccxt_bt_bridge.loop import LoopThread
from trading.closed_markets import tell_closed, without_closed
from trading.config.confirmation import confirm
from trading.config.credentials import known_secrets
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.control.command_queue import BOT_TIMEOUT_S, CommandQueue
from trading.control.paths import control_paths
from trading.control.stop_signal import WHO, WHY, EmergencySignal, emergency_signal
from trading.events import Event
from trading.journal.file import bring_forward
from trading.kept_pairs import with_kept_pairs
from trading.live.assembly import LivePath, build_cerebro, build_live_path
from trading.live.run import begin_run, end_run, live_result, load_history, log_events
from trading.live.strategy_care import StrategyCare
from trading.market_input import DataChoice
from trading.records import RunResult
from trading.risk_guard import Breaker
from trading.run_logs import LogPlan, RunLogs
from trading.status_reading import bot_status
from trading.telling.telling import Telling
from trading.venues.opening import VenuePlan, open_journal, state_paths, venue_plan
from trading.venues.venue import Venue

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 180.0

log = logging.getLogger(__name__)

Listener = Callable[[Event], None]
Showing = Callable[[LivePath], AbstractContextManager[None]]


class LiveTradingBot:
    """One bot, by its config file. ``environ``: what may override it; by default the process's environment and .env.

    ``live``: a person has confirmed that this run may trade real money.
    """

    def __init__(
        self,
        config_path: str | Path,
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        choice: DataChoice | None = None,
        live: bool = False,
    ) -> None:
        self._config_path = config_path
        self._environ = process_environment() if environ is None else environ
        self._overrides = overrides
        self._choice = choice or DataChoice()
        self._live = live
        self._listeners: list[Listener] = []
        self._cerebro: bt.Cerebro | None = None
        self._wake: Callable[[], None] = lambda: None
        self._has_begun = self._stopping = False
        self.was_interrupted = False
        self.was_halted = False

    def add_listener(self, listener: Listener) -> None:
        """Told of every event, on the exchange loop's thread; must be quick and never raises into a trade."""
        self._listeners.append(listener)

    def load(self) -> LoadedConfig:
        """Raises ConfigError with everything that is wrong."""
        return load_config(self._config_path, environ=self._environ, overrides=self._overrides)

    def run(self, *, showing: Showing | None = None) -> RunResult:
        """Run until the market ends, ``stop`` is called, or Ctrl+C or SIGTERM comes. ``showing`` wraps the trading.

        Raises ConfigError, NotConfirmed, CredentialsError, InputError, BrokerUnavailable, StoreError, JournalError,
        BridgeError or, for Ctrl+C and SIGTERM, KeyboardInterrupt before anything was traded.
        """
        with emergency_signal() as emergency, _signals(self._interrupt):
            return self._run(emergency, showing or _unseen)

    def _run(self, emergency: EmergencySignal, showing: Showing) -> RunResult:
        config = self.load()
        bring_forward(state_paths(config)[0])
        config = with_kept_pairs(config)
        plan = venue_plan(config, self._choice, self._environ)
        confirm(config, self._environ, live=self._live)
        with RunLogs(log_plan(config), secrets=known_secrets(self._environ)) as logs, ExitStack() as closing:
            path = self._build(config, plan, emergency, closing)
            log_events(path.floor.bus, logs)
            for listener in self._listeners:
                path.floor.bus.add(listener)
            with Telling(path, self._environ) as telling:
                return self._follow(path, telling, emergency, showing)

    def _build(self, config: LoadedConfig, plan: VenuePlan, emergency: EmergencySignal, closing: ExitStack) -> LivePath:
        """Whatever happens, venue, loop and journal are let go of, in this order; the errors log has the why."""
        loop = LoopThread(plan.speed)
        closing.callback(loop.close)
        journal = closing.enter_context(open_journal(config, plan))
        closing.callback(emergency.leave_to_next_start, journal)
        queue = closing.enter_context(CommandQueue(control_paths(config).commands, timeout_s=BOT_TIMEOUT_S))
        closing.callback(loop.stop)
        loop.start()
        venue = loop.call(plan.open(loop), START_TIMEOUT_S)
        closing.callback(_let_go, loop, venue)
        closing.push(_log_failure)
        return build_live_path(without_closed(config, venue, journal), journal, venue, loop, queue)

    def stop(self) -> None:
        """Ask a running bot to stop; open pairs are kept or closed as ``trading.on_shutdown`` says."""
        self._stopping = True
        if self._cerebro is not None:
            self._cerebro.runstop()
            self._wake()

    def get_status(self) -> dict[str, Any]:
        """What its journal says of it, also while it runs; {} before the first run."""
        return bot_status(self.load()) or {}

    def _follow(self, path: LivePath, telling: Telling, emergency: EmergencySignal, showing: Showing) -> RunResult:
        started = time.monotonic()
        path.loop.call(begin_run(path, self._choice), START_TIMEOUT_S)
        telling.begin()
        with emergency.heard_by(path.loop, lambda: path.session.stop_everything(WHY, WHO)):
            path.loop.call(tell_closed(path), START_TIMEOUT_S)
            path.loop.call(load_history(path), START_TIMEOUT_S)
            self._cerebro = build_cerebro(path)
            if not path.loop.is_virtual:  # virtual time comes to the next bar at once, and must not be disturbed
                self._wake = path.loop.hub.kick
            care, self._has_begun = StrategyCare(path), True
            with showing(path):
                path.loop.call(path.session.begin(path.venue.play()), START_TIMEOUT_S)
                try:
                    self._trade(care)
                finally:
                    # Also when a rule raised: what is half-done is finished before the process ends.
                    path.loop.call(end_run(path), STOP_TIMEOUT_S)
        self.was_halted = path.floor.guard.breaker is Breaker.HALTED
        return live_result(path, uptime_s=time.monotonic() - started, choice=self._choice)

    def _trade(self, care: StrategyCare) -> None:
        """Until the market ends or the bot is stopped, whatever the strategy raises."""
        assert self._cerebro is not None
        while not self._stopping:
            try:
                self._cerebro.run(runonce=False, preload=False)
                return
            except BaseException as error:  # a rule may well say exit(), or raise what means a stop elsewhere
                is_ours = isinstance(error, KeyboardInterrupt) and self.was_interrupted
                if is_ours or not care.can_help(error):
                    raise
                self._cerebro = care.begin_anew(error)

    def _interrupt(self) -> None:
        """Nothing is under way during a start: it is left where it stands."""
        self.was_interrupted = True
        if not self._has_begun:
            raise KeyboardInterrupt
        self.stop()


def log_plan(config: LoadedConfig) -> LogPlan:
    wanted = config.model.logging
    return LogPlan(
        log_file=wanted.log_file,
        json_dir=wanted.json_dir,
        error_file=wanted.error_file,
        equity_file=Path(wanted.log_file).parent / f"equity_{config.bot_id}.csv",
        level=wanted.level,
        max_mb=wanted.max_mb,
        backups=wanted.backups,
        save_trades=wanted.save_trades,
        save_equity_curve=wanted.save_equity_curve,
    )


@contextmanager
def _unseen(path: LivePath) -> Iterator[None]:
    yield


def _let_go(loop: LoopThread, venue: Venue) -> None:
    try:
        loop.call(venue.close(), STOP_TIMEOUT_S)
    except BridgeClosed:  # the loop has died: what needs none can still be closed
        asyncio.run(venue.close())


def _log_failure(kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
    if isinstance(error, Exception):
        log.exception("run_failed", exc_info=error)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl+C and SIGTERM ask for a stop; a second one comes through. Only the main thread may set handlers."""
    names = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {name: signal.getsignal(name) for name in names}

        def handle(number: int, frame: Any) -> None:
            signal.signal(number, before[signal.Signals(number)])
            stop()

        for name in names:
            signal.signal(name, handle)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
