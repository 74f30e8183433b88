"""The emergency stop: nothing more is opened, every working order is cancelled, every pair is closed, and it stays so.

On disk before anything is done, so that the next process goes on where this one died. However often it is triggered,
there is one stop. It ends when ledger and exchange agree that nothing is held; only a person re-arms it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import chain, repeat
from typing import Any

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.words import Cancelled
from trading.events import Alarm, EventBus
from trading.execution.leg_orders import LegOrders
from trading.execution.pair_engine import PairEngine
from trading.execution.pair_ledger import PairLedger
from trading.execution.reconciler import Reconciler
from trading.journal.errors import JournalUnwritable
from trading.journal.writer import Journal
from trading.risk.state import GUARD_KEY
from trading.risk_guard import RiskGuard

STOP_KEY = "emergency_stop"
UNDER_WAY, FLAT, FAILED = "under_way", "flat", "failed"
REASON = "emergency_stop"
TOLD_AFTER_S = (30.0, 60.0, 300.0, 900.0)
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
LOOKS_AT_A_MISMATCH = 4  # what the exchange shows may be older than our last fill

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StopReport:
    """``state``: under_way, flat or failed. ``cancelled_orders`` by our ids, ``closed_positions`` as ``PAIR SYMBOL``.

    ``failed``: what is not as it should be, in words, by symbol (or ``exchange``, ``orders``).
    """

    reason: str
    by: str
    since: str
    state: str = UNDER_WAY
    cancelled_orders: tuple[str, ...] = ()
    closed_positions: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        done = f"{len(self.cancelled_orders)} orders cancelled, {len(self.closed_positions)} legs closed"
        open_ends = "; ".join(f"{name}: {why}" for name, why in self.failed)
        return f"{self.state}: {done}" + (f"; {open_ends}" if open_ends else "")


class KillSwitch:
    """On the exchange loop. ``emergency``: a way to the account that nothing else uses; ``withdraw_unsent`` takes back
    what waits on this machine to be sent; ``symbols``: those of all pairs."""

    def __init__(
        self,
        *,
        engine: PairEngine,
        orders: LegOrders,
        ledger: PairLedger,
        guard: RiskGuard,
        reconciler: Reconciler,
        journal: Journal,
        clock: Clock,
        bus: EventBus,
        trading: TradingPort,
        emergency: TradingPort,
        withdraw_unsent: Callable[[], None],
        symbols: Iterable[str],
    ) -> None:
        self._engine, self._orders, self._ledger, self._guard = engine, orders, ledger, guard
        self._reconciler, self._journal, self._clock, self._bus = reconciler, journal, clock, bus
        self._trading, self._emergency, self._withdraw_unsent = trading, emergency, withdraw_unsent
        self._symbols = tuple(symbols)
        self._task: asyncio.Task[StopReport] | None = None
        self._first_pass = asyncio.Event()
        self.report: StopReport | None = None

    @property
    def is_on(self) -> bool:
        return self._engine.urgency.is_on

    @property
    def is_under_way(self) -> bool:
        return self._task is not None and not self._task.done()

    async def trigger(self, reason: str, by: str) -> StopReport:
        """Stop, and return when everything is closed and verified, or a person is needed. Any number of callers share
        one stop; one that is cancelled does not end it."""
        if not self.is_under_way:
            self._begin(StopReport(reason, by, self._now().isoformat()))
        assert self._task is not None
        return await asyncio.shield(self._task)

    async def resume(self) -> None:
        """At a start, after reconciliation: a stop that an earlier process did not finish goes on, and has tried
        everything once when this returns, or for long. One that was finished stays latched."""
        stored = self._journal.risk_state(STOP_KEY)
        if not stored:
            return
        report = _restored(stored)
        if report.state == UNDER_WAY:
            self._begin(report)
            await self._first_pass.wait()
            return
        self.report = report
        self._close_the_gate(report)

    def rearm(self) -> None:
        """A person has looked, and the journal knows it."""
        self._engine.urgency.end()
        self._orders.use(self._trading)
        self.report = None

    async def close(self) -> None:
        """The process ends; the next one goes on with an unfinished stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # the parts

    def _begin(self, report: StopReport) -> None:
        """The gate first, which takes no time; then the disk; only then the exchange."""
        self.report = report
        self._close_the_gate(report)
        self._withdraw_unsent()
        try:
            self._save(report)
        except JournalUnwritable as error:
            self._alarm(f"emergency stop: a restart would not know of it ({error})")
        self._alarm(f"emergency stop by {report.by}: {report.reason}; everything is cancelled and closed")
        self._first_pass.clear()
        self._task = asyncio.get_running_loop().create_task(self._run(report), name="emergency stop")

    def _close_the_gate(self, report: StopReport) -> None:
        self._engine.urgency.begin()
        self._guard.halt(f"{REASON}:{report.reason}", self._now())
        self._orders.use(self._emergency)

    async def _run(self, report: StopReport) -> StopReport:
        tries = mismatches = 0
        while True:
            report = await self._patiently(self._pass(report))
            self._first_pass.set()
            mismatches += bool(report.failed) and self._is_up_to_a_person(report)
            state = FLAT if not report.failed else FAILED if mismatches == LOOKS_AT_A_MISMATCH else UNDER_WAY
            report = self._note(replace(report, state=state))
            if report.state != UNDER_WAY:
                self._alarm(f"emergency stop {report}; nothing is opened until a person resumes")
                return report
            await asyncio.sleep(BACK_OFF_S[min(tries, len(BACK_OFF_S) - 1)])
            tries += 1

    async def _patiently(self, work: Coroutine[Any, Any, StopReport]) -> StopReport:
        """However long it takes; a person hears that it is not over."""
        task = asyncio.ensure_future(work)
        try:
            for patience_s in chain(TOLD_AFTER_S, repeat(TOLD_AFTER_S[-1])):
                done, _ = await asyncio.wait({task}, timeout=patience_s)
                if done:
                    break
                self._first_pass.set()
                self._alarm(f"emergency stop goes on: {', '.join(self._ledger.open_pairs) or 'orders'} under way")
            return task.result()
        finally:
            task.cancel()

    async def _pass(self, report: StopReport) -> StopReport:
        """One try at everything; ``failed`` says what is left."""
        held = self._held()
        try:
            cancelled = await self._cancel_and_close()
            failed = await self._what_is_left()
        except Exception as error:  # a defect must not end the stop
            log.exception("emergency_stop_failed")
            cancelled, failed = (), {"engine": repr(error)}
        closed = tuple(f"{pair_id} {symbol}" for pair_id, symbol in sorted(held - self._held()))
        return replace(
            report,
            cancelled_orders=report.cancelled_orders + cancelled,
            closed_positions=report.closed_positions + closed,
            failed=tuple(failed.items()),
        )

    async def _cancel_and_close(self) -> tuple[str, ...]:
        flattened = (self._engine.flatten(pair_id, REASON) for pair_id in self._ledger.open_pairs)
        answers = await asyncio.gather(
            self._orders.withdraw(), self._cancel_strays(), *flattened, return_exceptions=True
        )
        # Each has done what it could, whatever became of the others.
        for error in (answer for answer in answers if isinstance(answer, BaseException)):
            raise error
        withdrawn, strays = answers[0], answers[1]
        assert isinstance(withdrawn, tuple) and isinstance(strays, tuple)
        return withdrawn + strays

    def _is_up_to_a_person(self, report: StopReport) -> bool:
        """Nothing of ours is left to close, and the exchange, which answers, shows something all the same."""
        return not self._ledger.open_pairs and "exchange" not in dict(report.failed)

    async def _cancel_strays(self) -> tuple[str, ...]:
        """Orders of ours that work at the exchange and that nobody here waits for."""
        try:
            listed = await self._emergency.open_orders()
        except ExchangeUnreachable:
            return ()  # asked again before it is over
        strays = [order for order in listed if self._is_stray(order.client_order_id)]
        answers = await asyncio.gather(*(self._emergency.cancel_order(o.symbol, o.client_order_id) for o in strays))
        return tuple(answer.report.client_order_id for answer in answers if isinstance(answer, Cancelled))

    def _is_stray(self, client_order_id: str) -> bool:
        return self._orders.is_own(client_order_id) and not self._orders.is_under_way(client_order_id)

    async def _what_is_left(self) -> dict[str, str]:
        """Why it is not over. What cannot be read counts as held."""
        left = {symbol: f"{pair_id} still holds it" for pair_id, symbol in sorted(self._held())}
        left |= {pair_id: f"is {self._ledger.state(pair_id).value}" for pair_id in self._ledger.open_pairs}
        try:
            for mismatch in self._reconciler.differences(await self._emergency.account(), self._symbols):
                left.setdefault(mismatch.symbol, str(mismatch))
            if any(self._orders.is_own(order.client_order_id) for order in await self._emergency.open_orders()):
                left["orders"] = "some of ours still work"
        except ExchangeUnreachable as error:
            left["exchange"] = str(error)
        return left

    def _held(self) -> set[tuple[str, str]]:
        positions = self._ledger.positions().values()
        return {(position.pair_id, leg.symbol) for position in positions for leg in position.legs if leg.quantity}

    def _note(self, report: StopReport) -> StopReport:
        """On disk, or it is not over."""
        before = self.report
        try:
            self._save(report)
        except JournalUnwritable as error:
            report = replace(report, state=UNDER_WAY, failed=(*report.failed, ("journal", str(error))))
        self.report = report
        if report.state == UNDER_WAY and before is not None and report.failed != before.failed:
            self._alarm(f"emergency stop goes on: {report}")
        return report

    def _save(self, report: StopReport) -> None:
        with self._journal.transaction():
            self._journal.save_risk_state(STOP_KEY, asdict(report))
            self._journal.save_risk_state(GUARD_KEY, self._guard.snapshot())

    def _alarm(self, message: str) -> None:
        self._bus.publish(Alarm(self._now(), message, critical=True))

    def _now(self) -> datetime:
        return ms_to_datetime(self._clock.now_ms())


def _restored(stored: dict[str, Any]) -> StopReport:
    failed = tuple((name, why) for name, why in stored["failed"])
    lists = {name: tuple(stored[name]) for name in ("cancelled_orders", "closed_positions")}
    return StopReport(**stored | lists | {"failed": failed})
