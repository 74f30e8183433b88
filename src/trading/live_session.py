"""One run of the live path on the exchange loop: recover, then stream bars and account events until stopped.

A bar's way: aligned legs → equity at the closes, risk → a view for the strategy → the feeds → one kick. All on one
thread, in this order, so that what a strategy sees at a bar never contains what was decided on that bar.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ccxt_bt_bridge.aligner import BarAligner, Step
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.feed import FeedBoard
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.words import Bar, Fill, FundingPayment, OrderReport, UserEvent
from pairs.words import Action, Pair, PairOrder, PairState
from trading.events import Alarm, BarMarked, EventBus, OrderFailed
from trading.execution_engine import ExecutionEngine
from trading.execution_statistics import ExecutionStatistics
from trading.journal.writer import Journal
from trading.order_manager import OrderManager
from trading.pair_gateway import PairGateway, StepView
from trading.position_tracker import PositionTracker
from trading.recovery import GUARD_KEY, Mismatch, Recovery
from trading.risk_guard import RiskGuard
from trading.status import STATUS_KEY, status_row

PROGRESS_KEY = "progress"
STOP_POLL_S = 0.5
STOP_LIMIT_S = 120.0


log = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """What a run counts. ``run`` is its number in the journal; ``bars`` are time steps, warm-up included."""

    run: int = 0
    bars: int = 0
    bars_in_position: int = 0
    signals: int = 0
    time: datetime | None = None
    prices: dict[str, float] = field(default_factory=dict)
    equity: list[tuple[datetime, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Floor:
    """The collaborators of a session: ports, engine, ledger, guard, journal."""

    market: MarketPort
    trading: TradingPort
    engine: ExecutionEngine
    orders: OrderManager
    tracker: PositionTracker
    guard: RiskGuard
    journal: Journal
    clock: Clock
    bus: EventBus
    recovery: Recovery


class LiveSession:
    """Drives a floor. The journal's waiting rows and the bot's status are written at every bar."""

    def __init__(
        self,
        floor: Floor,
        *,
        loop: LoopThread,
        board: FeedBoard,
        gateway: PairGateway,
        pairs: tuple[Pair, ...],
        mode: str,
        statistics: ExecutionStatistics,
        progress: Progress,
    ) -> None:
        self.floor = floor
        self.progress = progress
        self._loop = loop
        self._board = board
        self._gateway = gateway
        self._pairs = pairs
        self._mode = mode
        self._statistics = statistics
        self._aligners = {pair.pair_id: BarAligner(pair.symbols) for pair in pairs}
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepts_entries = True
        self._again: tuple[Bar, ...] = ()
        floor.bus.add(gateway.on_event)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(symbol for pair in self._pairs for symbol in pair.symbols))

    # start and stop, on the loop

    async def recover(self, run: int) -> tuple[Mismatch, ...]:
        """Reconcile before anything is traded. A mismatch halts the guard: nothing is sent until a person looked."""
        floor = self.floor
        self._keep(self._pump_events(floor.trading.events()), "events")
        floor.recovery.restore(run)
        mismatches = await floor.recovery.reconcile(self.symbols)
        if mismatches:
            text = "; ".join(map(str, mismatches))
            self._halt("ledger_mismatch", f"not trading: {text}. Close the difference by hand.")
        return mismatches

    def play_again(self, bars: tuple[Bar, ...]) -> None:
        """Bars of the moment at which an earlier process ended; ``begin`` delivers them before anything new."""
        self._again = bars

    async def begin(self, market: Coroutine[Any, Any, None]) -> None:
        """Finish what an earlier process left half-done, and let bars flow; ``market`` is what makes them come."""
        for pair_id in self.floor.recovery.interrupted():
            self._keep(self.floor.engine.finish_interrupted(pair_id), f"finish {pair_id}")
        self._on_bars(self._again)
        self._keep(self._pump_bars(self.floor.market.bars()), "bars")
        self._keep(market, "market")

    async def stop(self, *, close_positions: bool) -> None:
        """No new entries; finish what is half-done; close on request; write what waits."""
        self._accepts_entries = False
        if close_positions:
            self._close_all()
        await self._until_idle()
        self.save()
        for task in self._tasks:
            task.cancel()

    # Backtrader's thread

    def post(self, order: PairOrder) -> None:
        """A pair order from the strategy; carried out on the loop."""
        self._loop.loop.call_soon_threadsafe(self._start, order)

    # the streams

    async def _pump_events(self, stream: AsyncIterator[UserEvent]) -> None:
        async for event in stream:
            match event:
                case Fill():
                    self.floor.orders.book(event)
                case OrderReport():
                    self.floor.orders.take_report(event)
                case FundingPayment():
                    self.floor.engine.apply_funding(event)

    async def _pump_bars(self, stream: AsyncIterator[tuple[Bar, ...]]) -> None:
        try:
            async for bars in stream:
                self._on_bars(bars)
        finally:
            self._board.end()

    def _on_bars(self, bars: tuple[Bar, ...]) -> None:
        complete = [(pair, step) for bar in bars for pair in self._pairs for step in self._put(pair, bar)]
        if not complete:
            return
        keyed = [((pair.pair_id, bar.symbol), bar) for pair, step in complete for bar in step]
        self.progress.prices.update({bar.symbol: bar.close for _, bar in keyed})
        self._mark(ms_to_datetime(complete[0][1][0].time_ms))
        self._board.put_step(keyed)
        self._board.hub.kick()

    def _put(self, pair: Pair, bar: Bar) -> list[Step]:
        if bar.symbol not in pair.symbols:
            return []
        self.floor.engine.note_liquidity(bar.symbol, bar.volume * bar.close)
        return self._aligners[pair.pair_id].put(bar)

    # a time step

    def _mark(self, time: datetime) -> None:
        floor, progress = self.floor, self.progress
        equity = floor.tracker.equity(progress.prices)
        positions = floor.tracker.positions()
        progress.time = time
        if not progress.equity or progress.equity[-1][0] < time:  # else an earlier process has counted this bar
            progress.bars_in_position += bool(positions)
            progress.equity.append((time, equity))
            floor.journal.record_equity(time, equity)
        progress.bars += 1
        exits = floor.guard.on_bar(time, equity, positions, progress.prices)
        leaving = {risk_exit.pair_id for risk_exit in exits}
        view = {p: replace(q, state=PairState.EXITING) if p in leaving else q for p, q in positions.items()}
        cash = float(floor.tracker.equity_start) if not positions else equity
        self._gateway.publish_step(StepView(time, equity, cash, view, tuple(exits)))
        for risk_exit in exits:
            self._start(positions[risk_exit.pair_id].exit_order(progress.prices, time, risk_exit.reason))
        floor.bus.publish(BarMarked(time, equity))
        self._note_progress()
        self.save()

    def save(self) -> None:
        """Everything that is not money, in one commit: risk state, counters, status, waiting rows."""
        floor, progress = self.floor, self.progress
        self._note_progress()
        with floor.journal.transaction():
            self._save_guard()
            floor.journal.save_risk_state(PROGRESS_KEY, {"bars_in_position": progress.bars_in_position})
            floor.journal.save_risk_state(STATUS_KEY, self.status())

    def status(self) -> dict[str, Any]:
        return status_row(
            mode=self._mode,
            tracker=self.floor.tracker,
            guard=self.floor.guard,
            statistics=self._statistics,
            prices=self.progress.prices,
            time=self.progress.time,
            bars=self.progress.bars,
            signals=self.progress.signals,
        )

    def _note_progress(self) -> None:
        self.floor.journal.note_progress(bars=self.progress.bars, signals=self.progress.signals)

    def _save_guard(self) -> None:
        self.floor.journal.save_risk_state(GUARD_KEY, self.floor.guard.snapshot())

    def _start(self, order: PairOrder) -> None:
        self.progress.signals += 1
        if not self._accepts_entries and order.action is Action.ENTER:
            now = ms_to_datetime(self.floor.clock.now_ms())
            self.floor.bus.publish(OrderFailed(now, order, "stopping"))
            return
        task = asyncio.get_running_loop().create_task(self._execute(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, order: PairOrder) -> None:
        """A defect in here must not pass in silence: nothing more is opened, and the person is told."""
        try:
            self._note_progress()
            self._save_guard()
            await self.floor.engine.execute(order)
        except Exception as error:
            log.exception("engine_failed ref=%s", order.ref)
            self._halt(f"engine_error:{order.pair_id}", f"{order.ref} failed: {error!r}; look at this pair by hand")
            self.floor.bus.publish(OrderFailed(ms_to_datetime(self.floor.clock.now_ms()), order, "engine_error"))

    def _halt(self, reason: str, message: str) -> None:
        now = ms_to_datetime(self.floor.clock.now_ms())
        self.floor.guard.halt(reason, now)
        self.floor.bus.publish(Alarm(now, message, critical=True))

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A stream for as long as the session lives; one that breaks halts the guard and ends the run."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._on_stream_done)
        self._tasks.add(task)

    def _on_stream_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        log.error("stream_failed name=%s", task.get_name(), exc_info=task.exception())
        self._halt(f"stream_failed:{task.get_name()}", f"the {task.get_name()} stream broke: {task.exception()!r}")
        self._board.end()

    def _close_all(self) -> None:
        now = ms_to_datetime(self.floor.clock.now_ms())
        for position in self.floor.tracker.positions().values():
            if position.is_open:
                self._start(position.exit_order(self.progress.prices, now, "shutdown"))

    async def _until_idle(self) -> None:
        """Half-done pairs are finished or unwound before the process ends; the wait has a limit."""
        waited = 0.0
        await asyncio.sleep(0)
        while not self.floor.engine.is_idle and waited < STOP_LIMIT_S:
            await asyncio.sleep(STOP_POLL_S)
            waited += STOP_POLL_S
