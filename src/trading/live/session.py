"""One run of the live path on the exchange loop: recover, then stream bars and account events until stopped.

A bar's way: aligned legs → equity at the closes, risk → a view for the strategy → the feeds → one kick. All on one
thread, in this order, so that what a strategy sees at a bar never contains what was decided on that bar.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ccxt_bt_bridge.aligner import Step
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.feed import FeedBoard
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.step_driver import KeyedStep, StepDriver, StepTold
from ccxt_bt_bridge.words import Connection
from pairs.words import Action, Pair, PairOrder, PairPosition
from trading.control.command_desk import CommandDesk
from trading.control.command_queue import CommandQueue
from trading.control.controls import Controls
from trading.events import Alarm, OrderFailed, StepMissed
from trading.execution.floor import Floor
from trading.execution.pair_stops import PairStops
from trading.execution.quality import ExecutionQuality
from trading.execution.reconciler import Mismatch
from trading.journal.errors import JournalUnwritable
from trading.live.bar_marker import BarMarker
from trading.live.between_bars import BetweenBars, signals_of
from trading.live.pair_gateway import PairGateway
from trading.live.prices import LivePrices
from trading.live.progress import Progress
from trading.live.spreads import WRITE_EVERY_S, LiveSpreads
from trading.live.stale_watch import REASON as STALE
from trading.live.stale_watch import StaleTerms, StaleWatch
from trading.live.warm_up import WarmUp
from trading.signal_terms import SignalTerms
from trading.status import DIFFERENCES_KEY

STOP_POLL_S = 0.5
LAST_LOOK_S = 3.0
COMMAND_POLL_S = 0.5  # of wall time
STOP_LIMIT_S = 120.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the legs of a pair come together: the bars' length, and what becomes of a step that lacks a leg."""

    interval_ms: int
    missing_leg: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class Reach:
    """How a person reaches this bot, beside the signal."""

    queue: CommandQueue
    halt_flag: Path


@dataclass(frozen=True, slots=True)
class Watch:
    """``stop_z``: pair → |z| of its stop, watched ``between_bars`` too; prices that jump so far are doubted.

    ``signals``: pair → what signals are made of, for those that have any.
    """

    stop_z: Mapping[str, float]
    between_bars: bool
    max_price_jump_pct: float
    stale: StaleTerms
    signals: Mapping[str, SignalTerms]


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
        statistics: ExecutionQuality,
        progress: Progress,
        alignment: Alignment,
        reach: Reach,
        watch: Watch,
    ) -> None:
        self.floor = floor
        self.progress = progress
        self._loop = loop
        self._board = board
        self._pairs = pairs
        self._interval_ms = alignment.interval_ms
        self._marker = BarMarker(floor, progress, gateway=gateway, statistics=statistics, mode=mode, leave=self._start)
        self._steps = StepDriver(
            floor.market,
            {pair.pair_id: pair.symbols for pair in pairs},
            interval_ms=alignment.interval_ms,
            clock=floor.clock,
            on_steps=self._on_steps,
            on_told=self._on_missing_leg,
            policy=alignment.missing_leg,
            grace_s=alignment.grace_s,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepts_entries = True
        self._again: list[KeyedStep] = []
        self._past: dict[str, deque[Step]] = {}
        self._gateway = gateway
        self._watches_closes = False
        self.controls = Controls(
            floor, pairs, halt_flag=reach.halt_flag, prices=progress.prices, leave=self._execute, keep=self._keep
        )
        self._commands = CommandDesk(reach.queue, self.controls, keep=self._keep, alarm=self._alarm)
        floor.bus.add(gateway.on_event)
        self._stops = PairStops(
            floor.ledger,
            floor.guard,
            floor.clock,
            stop_z=watch.stop_z,
            leave=self._start,
            told=gateway,
            hurry=floor.engine.hurry,
        )
        self._stale = StaleWatch(floor, pairs, watch.stale, leave=self._leave_stale)
        signals = signals_of(pairs, watch.signals, floor)
        self._spreads = LiveSpreads(floor.journal, signals.now, every_s=loop.of_wall_s(WRITE_EVERY_S))
        self._between = BetweenBars(
            pairs,
            LivePrices(max_jump_pct=watch.max_price_jump_pct, tell=self._note),
            stops=self._stops,
            signals=signals,
            heard=self._stale.heard_price,
        )
        self._looks_between = watch.between_bars

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(symbol for pair in self._pairs for symbol in pair.symbols))

    @property
    def stale_pairs(self) -> tuple[str, ...]:
        """On the loop: those of which nothing new was heard for too long."""
        return tuple(pair.pair_id for pair in self._pairs if self._stale.is_stale(pair.pair_id))

    # start and stop, on the loop

    async def recover(self, run: int) -> tuple[Mismatch, ...]:
        """Reconcile before anything is traded. A mismatch halts the guard: nothing is sent until a person looked."""
        floor = self.floor
        self._keep(floor.follow_account(floor.trading.events()), "events")
        floor.recovery.restore(run)
        mismatches = await floor.recovery.reconcile(self.symbols)
        told = [str(mismatch) for mismatch in mismatches]
        self._written(partial(floor.journal.save_risk_state, DIFFERENCES_KEY, {"told": told}))
        if told:
            self._halt("ledger_mismatch", f"not trading: {'; '.join(told)}. Close the difference by hand.")
        await self.controls.start()
        await self._commands.start()
        return mismatches

    async def load_history(self, *, bars: int, now_ms: int, replays_last_bar: bool) -> None:
        """Put the last ``bars`` aligned bars of the past on the board.

        A bar that closed at this very moment is not past when ``replays_last_bar``: a process that was killed may not
        have decided it. ``begin`` delivers it before anything new.
        """
        for pair in self._pairs:
            steps = await self._steps.history(pair.pair_id, bars + 1)
            again = steps[-1:] if replays_last_bar and steps and steps[-1][0].time_ms == now_ms else []
            past = steps[: len(steps) - len(again)][-bars:]
            self._tell_shortage(pair.pair_id, past, wanted=bars, now_ms=now_ms)
            self._past[pair.pair_id] = deque(past, maxlen=bars)
            self._fill_board(pair)
            for step in past:
                self._between.note_step(pair.pair_id, step, is_past=True)
            self.progress.prices.update({bar.symbol: bar.close for step in steps[-1:] for bar in step})
            self._again += [(pair.pair_id, step) for step in again]

    def _fill_board(self, pair: Pair) -> None:
        for number, symbol in enumerate(pair.symbols):
            self._board.add((pair.pair_id, symbol), [step[number] for step in self._past[pair.pair_id]])

    def begin_anew(self, *, stop_z: Mapping[str, float] | None = None) -> datetime | None:
        """For another strategy in this run: the bars so far become its past; the last of them is the moment returned.

        ``stop_z``: from now on the pairs' stops are looked at at every close, at these levels: no strategy does.
        """
        for pair in self._pairs:
            self._fill_board(pair)
        self._gateway.forget_orders()
        if stop_z is not None:
            self._watches_closes = True
            self._stops.stop_z = stop_z
        return self.progress.time

    def _tell_shortage(self, pair_id: str, past: Sequence[Step], *, wanted: int, now_ms: int) -> None:
        last_ms = past[-1][0].time_ms if past else None
        warm_up = WarmUp(pair_id, wanted, len(past), self._interval_ms, last_ms)
        if not warm_up.is_enough:
            message = f"{warm_up.problem}; {warm_up.remedy}"
            self.floor.bus.publish(Alarm(ms_to_datetime(now_ms), message, pair_id))

    async def begin(self, market: Coroutine[Any, Any, None]) -> None:
        """Finish what an earlier process left half-done, and let bars flow; ``market`` is what makes them come."""
        for pair_id in self.floor.recovery.interrupted():
            self._keep(self.floor.engine.finish_interrupted(pair_id), f"finish {pair_id}")
        self._on_steps(self._again)
        watching = self._keep(self._stale.run(), "stale data")
        if self._looks_between:
            self._keep(self._between.run(self.floor.market.prices()), "prices")
        if self._looks_between and not self._loop.is_virtual:
            self._keep(self._spreads.run(), "live spreads")
        self._keep(self._pump_bars(watching), "bars")
        self._keep(self._pump_connections(self.floor.market.connections()), "connections")
        # Virtual time passes in hours: there, each bar asks for a look, and saves what it saw.
        if not self._loop.is_virtual:
            self.floor.reconciler.on_whole = partial(self._written, self._marker.save)
        self._keep(self.floor.reconciler.run(by_itself=not self._loop.is_virtual), "reconciliation")
        self._keep(market, "market")
        if not self._loop.is_virtual:  # virtual time has no seconds that a person could wait: it looks at every bar
            self._keep(self._commands.watch(self._loop.of_wall_s(COMMAND_POLL_S)), "commands")

    async def stop(self, *, close_positions: bool) -> None:
        """No new entries; finish what is half-done; close on request; write what waits."""
        self._accepts_entries = False
        self.floor.engine.stop_adding()
        await self._come_to_rest(close_positions)
        self._tell_what_stays(close_positions)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_LOOK_S):
                await self.floor.reconciler.once()
        self._written(self._marker.save)
        await self.floor.kill_switch.close()
        await self.floor.engine.close()
        for task in self._tasks:
            task.cancel()

    # any thread

    def stop_everything(self, reason: str, by: str) -> None:
        """The emergency stop, whatever Backtrader's thread is doing."""
        self._loop.loop.call_soon_threadsafe(lambda: self._keep(self._stop_everything(reason, by), "emergency stop"))

    async def _stop_everything(self, reason: str, by: str) -> None:
        await self.controls.flatten(reason, by)

    # Backtrader's thread

    def post(self, order: PairOrder) -> None:
        """A pair order from the strategy; carried out on the loop."""
        self._loop.loop.call_soon_threadsafe(self._start, order)

    # the streams

    async def _pump_connections(self, stream: AsyncIterator[Connection]) -> None:
        async for connection in stream:
            self.progress.is_market_up = connection.is_up
            self.floor.note_connection(connection)

    async def _pump_bars(self, watching: asyncio.Task[None]) -> None:
        try:
            await self._steps.run()
        finally:
            watching.cancel()
            self._board.end()

    def _on_steps(self, steps: Sequence[KeyedStep]) -> None:
        """Steps of one moment together, those of earlier moments first."""
        for time_ms in sorted({step[0].time_ms for _, step in steps}):
            now = [(pair_id, step) for pair_id, step in steps if step[0].time_ms == time_ms]
            for pair_id, step in now:
                self._between.note_step(str(pair_id), step)
                self._stale.heard_step(str(pair_id), step)
                self._past[str(pair_id)].append(step)
            self._note_prices([step for _, step in now])
            if self._loop.is_virtual:
                self._commands.look()
            self._written(partial(self._marker.mark, ms_to_datetime(time_ms)))
            if self._loop.is_virtual:
                self.floor.reconciler.soon()
            if self._watches_closes:
                for pair_id, step in now:
                    self._stops.check(str(pair_id), {bar.symbol: bar.close for bar in step})
            self._board.put_step([((pair_id, bar.symbol), bar) for pair_id, step in now for bar in step])
            self._board.hub.kick()

    def _note_prices(self, steps: list[Step]) -> None:
        for bar in (bar for step in steps for bar in step):
            self.progress.prices[bar.symbol] = bar.close
            self.progress.last_bars[bar.symbol] = ms_to_datetime(bar.time_ms)
            if not bar.synthetic:
                self.floor.engine.note_liquidity(bar.symbol, bar.volume * bar.close)

    def _on_missing_leg(self, told: StepTold) -> None:
        when = ms_to_datetime(told.time_ms)
        self.floor.bus.publish(StepMissed(when, str(told.key), told.missing, told.is_carried))

    # pair orders

    def _start(self, order: PairOrder) -> None:
        self.progress.signals += 1
        if not self._accepts_entries and order.action is Action.ENTER:
            now = ms_to_datetime(self.floor.clock.now_ms())
            self.floor.bus.publish(OrderFailed(now, order, "stopping"))
            return
        if order.action is Action.ENTER and self._stale.is_stale(order.pair_id):
            self.floor.engine.book.refuse(order, (STALE,))
            return
        task = asyncio.get_running_loop().create_task(self._execute(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, order: PairOrder) -> None:
        """A defect in here must not pass in silence: nothing more is opened, and the person is told."""
        try:
            self._marker.note_progress()
            self._written(self._marker.save_guard)
            await self.floor.engine.execute(order)
        except Exception as error:
            log.exception("engine_failed ref=%s", order.ref)
            self._halt(f"engine_error:{order.pair_id}", f"{order.ref} failed: {error!r}; look at this pair by hand")
            self.floor.bus.publish(OrderFailed(ms_to_datetime(self.floor.clock.now_ms()), order, "engine_error"))

    def _written(self, write: Callable[[], None]) -> None:
        """What is told of a run waits for a disk that refuses it: nothing more is opened, everything else goes on."""
        try:
            write()
        except JournalUnwritable as error:
            self.floor.engine.on_unwritable(error)

    def _halt(self, reason: str, message: str) -> None:
        self.floor.guard.halt(reason, ms_to_datetime(self.floor.clock.now_ms()))
        self._alarm(message)

    def _alarm(self, message: str) -> None:
        self.floor.bus.publish(Alarm(ms_to_datetime(self.floor.clock.now_ms()), message, critical=True))

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A stream for as long as the session lives; one that breaks halts the guard and ends the run."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._on_stream_done)
        self._tasks.add(task)
        return task

    def _on_stream_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        log.error("stream_failed name=%s", task.get_name(), exc_info=task.exception())
        self._halt(f"stream_failed:{task.get_name()}", f"the {task.get_name()} stream broke: {task.exception()!r}")
        self._board.end()

    def _leave_stale(self, position: PairPosition) -> None:
        self._stops.leave(position, self.progress.prices, STALE)

    async def _come_to_rest(self, close_positions: bool) -> None:
        """Half-done pairs are finished or unwound before the process ends, and open ones closed on request, also one
        that was being entered; the wait has a limit.

        A whole pair that only waits for a halted market stays EXITING: the next start goes on with it.
        """
        now_s, closed = asyncio.get_running_loop().time, set[str]()
        begun_s, is_told = now_s(), False
        await asyncio.sleep(0)
        while (close_positions and self._close_open(closed)) or self._is_half_done:
            await asyncio.sleep(STOP_POLL_S)
            if now_s() - begun_s >= STOP_LIMIT_S:
                return
            if not is_told and self._is_half_done:
                limit = f"for {STOP_LIMIT_S:.0f} s at most; Ctrl+C leaves at once"
                self._note(f"an order is under way: it is finished first, {limit}")
                is_told = True

    def _close_open(self, closed: set[str]) -> bool:
        """Begin to close what is open, each pair once. Whether there was any."""
        positions = self.floor.ledger.positions()
        begun = {pair_id for pair_id, position in positions.items() if position.is_open} - closed
        closed |= begun
        now = ms_to_datetime(self.floor.clock.now_ms())
        for pair_id in sorted(begun):
            self._start(positions[pair_id].exit_order(self.progress.prices, now, "shutdown"))
        return bool(begun)

    def _tell_what_stays(self, close_positions: bool) -> None:
        waiting = self.floor.engine.waiting
        for pair_id in sorted(waiting):
            self._note(f"{pair_id} waits for a halted market and stays exiting: the next start goes on with it")
        left = sorted(set(self.floor.ledger.open_pairs) - waiting) if close_positions else []
        if left:
            self._alarm(f"not closed before the end: {', '.join(left)}; start again, or close by hand")

    @property
    def _is_half_done(self) -> bool:
        return bool(self.floor.engine.half_done) or self.floor.kill_switch.is_under_way

    def _note(self, message: str) -> None:
        self.floor.bus.publish(Alarm(ms_to_datetime(self.floor.clock.now_ms()), message))
