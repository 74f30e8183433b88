"""Signals in, positions out: the pair engine for programs of their own, without Backtrader and without a config.

A signal of one symbol is a pair order with one leg, a signal of a pair one with two: the same pair engine, journal,
risk guard and recovery carry them out as under the bot. While it runs it watches prices: the stops of every signal, the
limits of the risk guard. Everything happens on the event loop of whoever calls.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from ccxt_bt_bridge.background import Background
from ccxt_bt_bridge.errors import BridgeError
from trading.control.controls import CommandRefused
from trading.execution.engine_account import AccountTerms, EngineAccount, open_account
from trading.execution.engine_config import Opened, opening_of
from trading.execution.engine_metrics import performance_metrics, summary
from trading.execution.exchange_ports import ports_of
from trading.execution.price_watch import PriceWatch
from trading.execution.settings import ExecutionSettings
from trading.execution.signal_desk import ExecutionResult, SignalDesk
from trading.execution.tracked import account_of, follow_positions, take_over_positions
from trading.execution.wire_guard import WireLimits
from trading.execution_models import ExecutionMode
from trading.journal.errors import JournalError
from trading.order_manager import OrderManager
from trading.order_monitor import OrderMonitor
from trading.position_tracker import PositionTracker
from trading.risk.state import GUARD_KEY, strictest
from trading.risk_guard import RiskGuard
from trading.signals import SignalAction, SignalStrength, SignalType, TradingSignal

__all__ = [
    "ExecutionEngine", "ExecutionMode", "ExecutionResult", "SignalAction", "SignalStrength", "SignalType",
    "TradingSignal",
]  # fmt: skip

STATE_DIR = Path("logs") / "state"
NETWORKS = {
    ExecutionMode.PAPER: ("simulated", "desk"),
    ExecutionMode.DEMO: ("testnet", "desk"),
    ExecutionMode.LIVE: ("live", "desk"),
}
POSITION_SIZE = 0.1
SIGNAL_AGE_S = 3_600.0  # where the settings name no longest age of a decision
NOT_STARTED = "the engine is not started: start it first"
STARTING = "the engine is still starting: give it again when start() has returned"
BROKEN = "a task of the engine broke; see the log"
NOT_WATCHED = "nobody watches stops and limits any more; see the log, stop the engine, start it again, then resume"

log = logging.getLogger(__name__)


class ExecutionEngine:
    """``exchanges`` by name: simulated, paper or real ones (``ports_of``). ``state_dir``: where the journals lie, one
    for each exchange; None keeps nothing, which is refused for real exchanges.

    ``watch_s``: between two looks at prices, None: nobody looks. ``position_size``: gross notional / equity of a signal
    that names no size. ``wire_limits``: see ``AccountTerms``. ``opening`` opens exchanges of its own at the start.
    ``start`` before the first signal, ``stop`` at the end: positions are kept, and known again by the next ``start``
    with the same ``state_dir`` and ``bot_id``.
    """

    def __init__(
        self,
        exchanges: Mapping[str, Any] | None = None,
        order_manager: OrderManager | None = None,
        position_tracker: PositionTracker | None = None,
        risk_guard: RiskGuard | None = None,
        order_monitor: OrderMonitor | None = None,
        execution_mode: ExecutionMode = ExecutionMode.PAPER,
        *,
        state_dir: str | Path | None = STATE_DIR,
        bot_id: str = "engine",
        settings: ExecutionSettings | None = None,
        position_size: float = POSITION_SIZE,
        watch_s: float | None = 1.0,
        wire_limits: Callable[[Decimal], WireLimits] | None = None,
        opening: Callable[[], Awaitable[Opened]] | None = None,
    ) -> None:
        self.mode = execution_mode
        self.order_manager = order_manager or OrderManager()
        self.position_tracker = position_tracker or PositionTracker()
        self.risk_guard = risk_guard or RiskGuard()
        self.risk_guard.tell_accounts_apart(account_of)
        self.order_monitor = order_monitor or OrderMonitor()
        self._exchanges = dict(exchanges or {})
        self._state_dir = None if state_dir is None else Path(state_dir)
        self._bot_id, self._settings = bot_id, settings or ExecutionSettings()
        self._watch_s, self._wire_limits, self._opening = watch_s, wire_limits, opening
        self._opened: Opened | None = None
        self._accounts: dict[str, EngineAccount] = {}  # those that are started
        self._turn, self._is_starting = asyncio.Lock(), False
        self._early_halts: list[str] = []  # demanded during a start: the first thing that holds after it
        self._background = Background(log, self._on_broken)
        age_s = self._settings.longest_decision_age_s
        self._desk = SignalDesk(
            self._accounts,
            self.position_tracker,
            self.risk_guard,
            position_size=position_size,
            longest_age_s=age_s if math.isfinite(age_s) else SIGNAL_AGE_S,
            closed=lambda: STARTING if self._is_starting else "the engine is not started",
            unpriced=lambda: self._watch.unpriced(),
        )
        self._watch = PriceWatch(self._accounts, self.position_tracker, self.risk_guard, self._leave_beside)
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._commands: set[asyncio.Task[None]] = set()
        self._signals = self._successes = 0

    @classmethod
    def from_config(cls, config: str | Path, *, live: bool = False, **more: Any) -> Self:
        """The engine of a config file (by its path or its name in ``config/trading``): its exchange, limits and sizes.

        ``live``: a person has confirmed that it may trade real money. ``more``: arguments of the constructor. Raises
        ConfigError, NotConfirmed, CredentialsError or BrokerUnavailable; nothing has been opened then.
        """
        known = opening_of(config, live=live)
        wanted: dict[str, Any] = {
            "risk_guard": RiskGuard(known.limits),
            "execution_mode": known.mode,
            "state_dir": known.state_dir,
            "bot_id": known.bot_id,
            "settings": known.settings,
            "position_size": known.position_size,
            "wire_limits": known.wire_limits,
            "order_monitor": OrderMonitor(alert_pct=known.alert_pct),
        }
        return cls(**(wanted | more), opening=known.open)

    # start and stop

    async def start(self) -> None:
        """Recover on every exchange, then watch; until then no signal is taken. Of an engine that is started it changes
        nothing. Raises ValueError, JournalError or BridgeError; nothing is left open then."""
        async with self._turn:
            if self._accounts:
                return
            self._is_starting, accounts = True, dict[str, EngineAccount]()
            try:
                await self._open(accounts)
            except BaseException:
                await self._end(accounts)
                raise
            finally:
                self._is_starting = False
            self._accounts |= accounts
            while accounts and self._early_halts:
                self.activate_circuit_breaker(self._early_halts.pop(0))
            if self._watch_s is not None:
                for name, account in accounts.items():
                    self._watching[name] = self._background.keep(self._watch.run(account, self._watch_s))

    async def stop(self) -> None:
        """Nothing more is opened and what is half-done is finished first; positions are kept. May be called again.
        Raises JournalUnwritable, when all has ended, where a disk does not take the last of it."""
        async with self._turn:
            await self._end(self._accounts)

    async def connect(self) -> bool:
        """``start``, for whoever asks whether it went well; the log says why not."""
        try:
            await self.start()
        except (BridgeError, JournalError) as error:
            log.error("not_connected %s", error)
            return False
        return True

    async def disconnect(self) -> None:
        await self.stop()

    # signals

    async def execute_signal(self, signal: TradingSignal, exchange_name: str | None = None) -> ExecutionResult:
        """Enter, or leave, what the signal names; returns when it is done or has come to nothing. Never raises for what
        the exchange did. A BUY of what is held short (or a SELL of what is held long) in the same size closes it."""
        self._signals += 1
        await self._commands_done()
        result = await self._desk.execute(signal, exchange_name)
        self._successes += result.success
        return result

    async def close_position(
        self, symbol_or_pair: Any, exchange: str | None = None, reason: str = "closed"
    ) -> ExecutionResult:
        """Of a symbol, a pair (``"X_Y"`` or ``("X", "Y")``) or a tracked position; reduce-only, until it is flat."""
        await self._commands_done()
        return await self._desk.close(symbol_or_pair, exchange, reason)

    async def emergency_stop_all(self) -> dict[str, Any]:
        """Cancel and close everything everywhere, verify it, and stay halted until ``deactivate_circuit_breaker``.

        ``cancelled_orders``, ``closed_positions`` and ``failed`` (what is not as it should be; also that the engine is
        not started, which stops nothing), by exchange and name.
        """
        if self._is_starting:
            self.activate_circuit_breaker("emergency_stop_all")
            async with self._turn:
                pass  # as soon as there are accounts to stop
        accounts = self._accounts
        if not accounts:
            return {"cancelled_orders": [], "closed_positions": [], "failed": [NOT_STARTED], "state": {}}
        reports = await asyncio.gather(
            *(account.stop_everything("emergency_stop_all") for account in accounts.values())
        )
        told = list(zip(accounts, reports, strict=True))
        return {
            "cancelled_orders": [order for _, report in told for order in report.cancelled_orders],
            "closed_positions": [position for _, report in told for position in report.closed_positions],
            "failed": [f"{name}: {what}: {why}" for name, report in told for what, why in report.failed],
            "state": {name: report.state for name, report in told},
        }

    # the breaker

    def activate_circuit_breaker(self, reason: str) -> None:
        """From this moment on nothing is opened, also after a restart; positions are kept, closing works. Raises
        ``CommandRefused`` while the engine is not started: there is no journal then to keep it in. During a start it is
        remembered, and holds before the first signal."""
        if self._is_starting:
            self._early_halts.append(reason)
            return
        if not self._accounts:
            raise CommandRefused(f"{NOT_STARTED}, then halt it")
        for account in self._accounts.values():
            account.floor.guard.halt(f"halted:{reason}", account.now)
            self._command(account.controls.halt(reason, "engine"))

    def deactivate_circuit_breaker(self, reason: str = "deactivated") -> asyncio.Task[None]:
        """Trade again, measuring drawdown from here, once ledger and exchange agree everywhere; the next signal waits
        for it. Awaiting it raises ``CommandRefused`` where that cannot be."""
        return self._command(self._resume(reason))

    # what can be asked

    @property
    def is_halted(self) -> bool:
        return bool(self._early_halts) or self.risk_guard.breaker.value != "closed"

    def get_performance_metrics(self) -> dict[str, Any]:
        """See ``performance_metrics``."""
        return performance_metrics(
            mode=self.mode.value,
            signals=self._signals,
            successes=self._successes,
            tracker=self.position_tracker,
            guard=self.risk_guard,
            monitored=self.order_monitor.get_metrics_summary(),
        )

    def get_summary(self) -> dict[str, Any]:
        """Trades, profit and what is open, over all exchanges."""
        return summary(
            mode=self.mode.value,
            exchanges=self._accounts,
            trades=(trade for account in self._accounts.values() for trade in account.floor.ledger.trades),
            tracker=self.position_tracker,
        )

    # start and stop, in parts

    async def _open(self, accounts: dict[str, EngineAccount]) -> None:
        """Fills ``accounts``; none of them takes signals before all are as they should be."""
        if self._opening is not None and self._opened is None:
            self._opened = await self._opening()
            self._exchanges |= self._opened.exchanges
            self._background.keep(self._opened.play())
        for name, exchange in self._exchanges.items():
            accounts[name] = await open_account(self._terms(name, exchange), ports_of(exchange), self.risk_guard)
        self._begin_books(accounts)
        for name, account in accounts.items():
            self._listen(name, account)
            await account.start()
            take_over_positions(account, self.position_tracker)
            await self._watch.begin(account)

    async def _end(self, accounts: dict[str, EngineAccount]) -> None:
        """All of it, whatever breaks; that is raised when everything has ended."""
        async with AsyncExitStack() as ending:  # from its end
            ending.push_async_callback(self.order_monitor.close)
            ending.push_async_callback(self.order_manager.close)
            if self._opened is not None:
                ending.push_async_callback(self._opened.close)
                self._opened = None
            ending.callback(accounts.clear)
            for name, account in accounts.items():
                ending.push_async_callback(account.close)
                ending.callback(self.order_manager.stop_serving, self._exchanges[name])
                account.stop_adding()
            await self._background.end()
            self._watching.clear()
            await asyncio.gather(*(account.come_to_rest() for account in accounts.values()))

    def _terms(self, name: str, exchange: Any) -> AccountTerms:
        network = ports_of(exchange).network
        if network not in NETWORKS[self.mode]:
            wanted = " or ".join(NETWORKS[self.mode])
            raise ValueError(f"{name} is a {network} exchange; {self.mode.value} mode trades on {wanted} ones only")
        if self._state_dir is None and network in ("testnet", "live"):
            raise ValueError(f"{name} needs a journal: give a state_dir")
        return AccountTerms(name, self._bot_id, self.mode.value, self._state_dir, self._settings, self._wire_limits)

    def _leave_beside(self, account: EngineAccount, pair_id: str, reason: str) -> None:
        self._background.keep(self._desk.leave(account, pair_id, reason))

    def _begin_books(self, accounts: Mapping[str, EngineAccount]) -> None:
        """The guard is one: each journal knows of it what any does. Its equity, where none does."""
        journals = [account.floor.journal for account in accounts.values()]
        known = [snapshot for journal in journals if (snapshot := journal.risk_state(GUARD_KEY)) is not None]
        if known:
            self.risk_guard.restore(strictest(known).snapshot())
        else:
            equity = sum(account.floor.ledger.equity({}) for account in accounts.values())
            begun = {"equity": equity, "peak_equity": equity, "day_start_equity": equity}
            self.risk_guard.restore(self.risk_guard.snapshot() | begun)
        for journal in journals:
            journal.save_risk_state(GUARD_KEY, self.risk_guard.snapshot())
        for account in accounts.values():
            account.restore()

    def _listen(self, name: str, account: EngineAccount) -> None:
        exchange = self._exchanges[name]
        self.order_manager.follow(account.bus, name)
        self.order_manager.serve(exchange, lambda order: self._desk.place(order, account))
        self.order_monitor.follow(account.bus)
        follow_positions(account, self.position_tracker)

    # commands

    def _on_broken(self) -> None:
        """Nothing more is opened, and the person is told; an account that nobody watches any more needs a start."""
        if self._is_starting:
            self._early_halts.append(BROKEN)
        for name, account in self._accounts.items():
            is_watched = name not in self._watching or not self._watching[name].done()
            if not is_watched:
                account.controls.nobody_decides = NOT_WATCHED
            account.halt("task_broken", BROKEN if is_watched else NOT_WATCHED)

    def _command(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(_done(work))
        self._commands.add(task)
        task.add_done_callback(self._on_command_done)
        return task

    def _on_command_done(self, task: asyncio.Task[None]) -> None:
        self._commands.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("command_refused %s", task.exception())

    async def _commands_done(self) -> None:
        if self._commands:
            await asyncio.gather(*self._commands, return_exceptions=True)

    async def _resume(self, reason: str) -> None:
        """Each account compares, and has its own books of the breaker; the guard is one, and stays halted until all
        have."""
        if not self._accounts:
            raise CommandRefused(f"{NOT_STARTED}, then resume it")
        ready = [await account.controls.ask_to_resume() for account in self._accounts.values()]
        halted = self.risk_guard.snapshot()
        try:
            for resume in ready:
                self.risk_guard.restore(halted)
                resume(reason, "engine")
        except BaseException:
            self.risk_guard.restore(halted)
            raise


async def _done(work: Awaitable[Any]) -> None:
    await work
