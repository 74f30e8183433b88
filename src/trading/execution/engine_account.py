"""One exchange account of an engine that stands alone: its journal, its floor, and what became of each pair order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ccxt_bt_bridge.background import Background
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.errors import BridgeError
from ccxt_bt_bridge.words import Market
from pairs.words import Action, Pair, PairOrder, PairPosition, PairState, entry_ref
from trading.control.controls import Controls
from trading.control.halt_file import HaltFile
from trading.events import (
    Alarm,
    EntryRefused,
    Event,
    EventBus,
    OrderFailed,
    OrderFinished,
    PairClosed,
    PairOpened,
)
from trading.execution.exchange_ports import ExchangePorts
from trading.execution.floor import Floor, build_floor
from trading.execution.kill_switch import StopReport
from trading.execution.pair_ledger import PairLedger
from trading.execution.quotes import QUOTE_LIMIT_S
from trading.execution.settings import ExecutionSettings
from trading.execution.wire_guard import WireLimits
from trading.execution_models import ExecutionOrder, finished_order
from trading.journal.errors import JournalUnwritable
from trading.journal.writer import Journal
from trading.risk.state import GUARD_KEY
from trading.risk_guard import RiskGuard
from trading.run_terms import EXCHANGE_RUN, OPENING_EQUITY, RUN_KEY

LEVELS_KEY = "signal_levels"
FAR_TOO_MUCH = 10  # times what the leverage allows
STOP_POLL_S, STOP_LIMIT_S = 0.05, 120.0
START_PATIENCE_S = 30.0  # for what the halt file asks of an exchange
CUT_SHORT = "the engine has stopped before this was over: the next start goes on with it"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """``state_dir``: where the journal lies, None: nowhere that lasts. ``mode``: paper, demo or live.

    ``wire_limits``: by the equity that the books begin with; None: so much that only a defect sends it.
    """

    name: str
    bot_id: str
    mode: str
    state_dir: Path | None
    settings: ExecutionSettings = ExecutionSettings()
    wire_limits: Callable[[Decimal], WireLimits] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a pair order. ``error`` is empty when it did what it was to do."""

    error: str
    orders: tuple[ExecutionOrder, ...]


class EngineAccount:
    """Opened by ``open_account``, then ``restore`` and ``start``; at the end ``stop_adding``, ``come_to_rest`` and
    ``close``. Positions are kept."""

    def __init__(
        self,
        terms: AccountTerms,
        ports: ExchangePorts,
        journal: Journal,
        *,
        rules: Mapping[str, Market],
        equity: Decimal,
        guard: RiskGuard,
        closing: ExitStack,
    ) -> None:
        self.name, self.ports, self.rules, self.bus = terms.name, ports, rules, EventBus()
        self.pairs: dict[str, Pair] = {}
        self.levels: dict[str, dict[str, Any]] = journal.risk_state(LEVELS_KEY) or {}
        self._closing, self._background = closing, Background(log, self._on_broken)
        self._outcomes: dict[str, str] = {}
        self._orders: dict[str, list[ExecutionOrder]] = {}
        self._last_entry_ms, self._takes_entries = 0, True
        self.bus.add(self._on_event)
        self.floor: Floor = build_floor(
            market=ports.market,
            trading=ports.trading,
            journal=journal,
            ledger=PairLedger(equity, self.pairs),
            guard=guard,
            clock=ports.clock,
            bus=self.bus,
            rules=rules,
            settings=terms.settings,
            bot_id=terms.bot_id,
            emergency=ports.emergency,
            withdraw_unsent=ports.withdraw_unsent,
            wire=self._wire_limits(terms, equity, guard),
            network=ports.network,
            doubts=ports.doubts,
            account=terms.name,
        )
        self.controls = Controls(
            self.floor,
            tuple(Pair(symbol, symbol, None) for symbol in rules),
            halt_flag=(terms.state_dir or Path()) / f"{terms.bot_id}.{terms.name}.halt",
            prices={},
            leave=self._leave,
            keep=self._keep,
        )
        self._halt_file = HaltFile(self.controls, self._keep)

    # start and stop

    def restore(self) -> None:
        """From the journal alone. All accounts do so before one of them starts, which may change the guard."""
        floor = self.floor
        for pair_id, stored in floor.journal.positions().items():
            if stored.state is not PairState.FLAT:
                self.pairs[pair_id] = Pair(pair_id, *_two(leg["symbol"] for leg in stored.payload["legs"]))
        floor.recovery.restore(floor.journal.run or 1)
        floor.reconciler.on_whole = self.keep_guard
        self._closing.callback(self.keep_guard)  # not before: a start that failed would forget

    async def start(self) -> None:
        """After ``restore``: ask the exchange; only then is anything traded. Raises ``ExchangeUnreachable``."""
        floor = self.floor
        self._background.keep(floor.follow_account(self.ports.trading.events()))
        mismatches = await floor.recovery.reconcile(self.rules)
        if mismatches:
            self.halt("ledger_mismatch", f"{'; '.join(map(str, mismatches))}. Close the difference by hand.")
        await self.controls.start()
        if begun := self._halt_file.look():
            await asyncio.wait(begun, timeout=START_PATIENCE_S)
        for pair_id in floor.recovery.interrupted():
            self._background.keep(floor.engine.finish_interrupted(pair_id))
        self._background.keep(floor.reconciler.run())
        self._background.keep(self._follow_connections())
        self._background.keep(self._halt_file.watch())

    def stop_adding(self) -> None:
        """From now on there are exits only, and a pair under way is finished as far as it is."""
        self._takes_entries = False
        self.floor.engine.stop_adding()

    async def come_to_rest(self) -> None:
        """Wait for what is half-done, for ``STOP_LIMIT_S`` at most."""
        waited_s = 0.0
        while self._is_half_done and waited_s < STOP_LIMIT_S:
            await asyncio.sleep(STOP_POLL_S)
            waited_s += STOP_POLL_S

    async def close(self) -> None:
        """After ``stop_adding`` and ``come_to_rest``."""
        await self.floor.kill_switch.close()
        await self.floor.engine.close()
        await self._background.end()
        self._closing.close()

    # pair orders

    def next_entry_time(self, pair_id: str) -> datetime:
        """Now, but never the same twice, however fast the signals come and whatever times a market plays again: entries
        are named by it."""
        while True:
            self._last_entry_ms = max(self.ports.clock.now_ms(), self._last_entry_ms + 1)
            when = ms_to_datetime(self._last_entry_ms)
            journal = self.floor.journal
            if not journal.intents_of(pair_id, entry_ref(pair_id, when), journal.run):
                return when

    async def execute(self, order: PairOrder, pair: Pair, levels: Mapping[str, Any] | None = None) -> Outcome:
        """``levels``: what is kept with the position, as JSON values. Whoever waits may stop waiting: it goes on."""
        if order.pair_id in self._orders:
            return Outcome("busy: another signal of it is under way", ())
        if order.action is Action.ENTER and not self._takes_entries:
            return Outcome("the engine is stopping", ())
        self.pairs[order.pair_id] = pair
        self._orders[order.pair_id] = []
        task = self._background.keep(self._execute(order, levels))
        await asyncio.wait([task])
        return Outcome(CUT_SHORT, ()) if task.cancelled() else task.result()

    async def _execute(self, order: PairOrder, levels: Mapping[str, Any] | None) -> Outcome:
        try:
            if levels is not None and self.floor.ledger.state(order.pair_id) is PairState.FLAT:
                self._note_levels(order.pair_id, levels)
            await self.floor.engine.execute(order)
        except Exception as error:
            log.exception("engine_failed ref=%s", order.ref)
            self.halt(f"engine_error:{order.pair_id}", f"{order.ref} failed: {error!r}; look at it by hand")
            self._outcomes[order.ref] = repr(error)
        finally:
            orders = tuple(self._orders.pop(order.pair_id))
        state = self.floor.ledger.state(order.pair_id).value
        return Outcome(self._outcomes.pop(order.ref, f"it is {state}; see the log"), orders)

    async def stop_everything(self, reason: str) -> StopReport:
        return await self.floor.kill_switch.trigger(reason, "engine")

    # what it holds

    @property
    def under_way(self) -> frozenset[str]:
        """Pairs that an order is being carried out for."""
        return frozenset(self._orders)

    def position(self, pair_id: str) -> PairPosition | None:
        return self.floor.ledger.position(pair_id)

    async def prices(self, symbols: Iterable[str], *, within_s: float = QUOTE_LIMIT_S) -> dict[str, float]:
        """Of those that have one now."""
        wanted = tuple(symbols)
        answers = await asyncio.gather(*(self._price(symbol, within_s) for symbol in wanted))
        return {symbol: price for symbol, price in zip(wanted, answers, strict=True) if price is not None}

    @property
    def now(self) -> datetime:
        return ms_to_datetime(self.ports.clock.now_ms())

    def keep_guard(self) -> None:
        """On disk; where that refuses nothing more is opened, and everything else goes on."""
        try:
            self._save_guard()
        except JournalUnwritable as error:
            self.floor.engine.on_unwritable(error)

    def halt(self, reason: str, message: str) -> None:
        self.floor.guard.halt(reason, self.now)
        self.tell(message)

    def tell(self, message: str) -> None:
        """What a person must know at once."""
        self.bus.publish(Alarm(self.now, f"{self.name}: {message}", critical=True))

    # the parts

    @property
    def _is_half_done(self) -> bool:
        """Also by what was asked for and has not begun."""
        floor = self.floor
        under_way = floor.engine.half_done | self.under_way - floor.engine.waiting
        return bool(under_way) or floor.kill_switch.is_under_way

    def _wire_limits(self, terms: AccountTerms, equity: Decimal, guard: RiskGuard) -> WireLimits:
        if terms.wire_limits is not None:
            return terms.wire_limits(equity)
        most = FAR_TOO_MUCH * equity * Decimal(repr(guard.limits.max_leverage))
        return WireLimits(self.ports.network, max_order_notional=most, max_notional_per_minute=4 * most)

    async def _price(self, symbol: str, within_s: float) -> float | None:
        try:
            async with asyncio.timeout(within_s):
                return float((await self.ports.market.quote(symbol)).price)
        except (BridgeError, TimeoutError):
            return None

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return self._background.keep(work)

    async def _leave(self, order: PairOrder) -> None:
        await self.execute(order, self.pairs[order.pair_id])

    async def _follow_connections(self) -> None:
        async for connection in self.ports.market.connections():
            self.floor.note_connection(connection)

    def _save_guard(self) -> None:
        self.floor.journal.save_risk_state(GUARD_KEY, self.floor.guard.snapshot())

    def _note_levels(self, pair_id: str, levels: Mapping[str, Any]) -> None:
        """One commit with the guard's state: before the order, and not again with each fill."""
        held = {name: kept for name, kept in self.levels.items() if self.floor.ledger.position(name) is not None}
        self.levels = held | {pair_id: dict(levels)}
        with self.floor.journal.transaction():
            self._save_guard()
            self.floor.journal.save_risk_state(LEVELS_KEY, self.levels)

    def _on_event(self, event: Event) -> None:
        match event:
            case EntryRefused(order=order, reasons=reasons):
                self._outcomes[order.ref] = ", ".join(reasons)
            case OrderFailed(order=order, reason=reason):
                self._outcomes[order.ref] = reason
            case PairOpened(order=order) | PairClosed(order=PairOrder() as order):
                self._outcomes[order.ref] = ""
            case OrderFinished(intent=intent) if intent.pair_id in self._orders:
                self._orders[intent.pair_id].append(finished_order(event, self.name))

    def _on_broken(self) -> None:
        message = "a stream or a task of it broke; see the log, stop the engine, start it again, then resume"
        self.controls.nobody_decides = f"{self.name}: {message}"
        self.halt("task_broken", message)


async def open_account(terms: AccountTerms, ports: ExchangePorts, guard: RiskGuard) -> EngineAccount:
    """Raises JournalBusy, JournalRefused or ExchangeUnreachable; nothing is left open then."""
    rules = await ports.market.markets()
    account = await ports.trading.account()
    with ExitStack() as closing:
        journal = closing.enter_context(_open_journal(terms, ports, closing))
        equity = _begin_run(journal, ports, account.wallet)
        opened = EngineAccount(
            terms, ports, journal, rules=rules, equity=equity, guard=guard, closing=closing.pop_all()
        )
        return opened
    raise AssertionError("unreachable")


def _open_journal(terms: AccountTerms, ports: ExchangePorts, closing: ExitStack) -> Journal:
    """In ``state_dir``; an exchange that forgets has a journal that does too."""
    folder = terms.state_dir if ports.remembers else None
    if folder is None:
        folder = Path(closing.enter_context(TemporaryDirectory(prefix="tandem-")))
    path = folder / f"{terms.bot_id}_{terms.name}_{terms.mode}.journal.sqlite"
    account = f"{terms.name} {ports.network}"
    return Journal.open(path, bot_id=terms.bot_id, mode=terms.mode, account=account, login=ports.login)


def _begin_run(journal: Journal, ports: ExchangePorts, wallet: Decimal) -> Decimal:
    """Goes on with the run that the exchange is still in, or begins one, flat. What its books began with."""
    known, runs = journal.risk_state(RUN_KEY) or {}, journal.runs()
    if runs and runs[-1].ended is None and known.get(EXCHANGE_RUN) == ports.run:
        journal.resume_run()
        return Decimal(known[OPENING_EQUITY])
    started = ms_to_datetime(ports.clock.now_ms())
    with journal.transaction():
        journal.start_run(started=started, config_sha256="", code_version="")
        for pair_id in journal.positions():
            journal.save_position(pair_id, PairState.FLAT, {})
        journal.save_risk_state(RUN_KEY, {EXCHANGE_RUN: ports.run, OPENING_EQUITY: str(wallet)})
    return wallet


def _two(symbols: Iterable[str]) -> tuple[str, str | None]:
    first, *others = symbols
    return first, others[0] if others else None
