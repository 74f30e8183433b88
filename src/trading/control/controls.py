"""What a person may do to a running bot: halt, resume, flatten, close a pair. On the exchange loop.

Halting and flattening always work; resuming needs ledger and exchange to agree, and nothing to be under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.errors import ExchangeUnreachable
from pairs.words import Pair, PairOrder, PairState
from trading.events import Alarm
from trading.execution.floor import Floor
from trading.execution.kill_switch import STOP_KEY, StopReport
from trading.journal.errors import JournalUnwritable
from trading.risk.state import GUARD_KEY
from trading.risk_guard import Breaker
from trading.status import DIFFERENCES_KEY

HALT_KEY = "halt"
CLOSE_REASON = "closed_by_hand"

Keep = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


class CommandRefused(Exception):
    """It cannot be done now; the message says why and what to do."""


class Controls:
    """``leave`` carries out an exit; ``keep`` runs something beside; ``prices``: the last closes by symbol."""

    def __init__(
        self,
        floor: Floor,
        pairs: tuple[Pair, ...],
        *,
        halt_flag: Path,
        prices: Mapping[str, float],
        leave: Callable[[PairOrder], Awaitable[None]],
        keep: Keep,
    ) -> None:
        self._floor, self._halt_flag, self._prices, self._leave, self._keep = floor, halt_flag, prices, leave, keep
        self._pairs = {pair.pair_id: pair for pair in pairs}
        self._stops = 0
        self._was_flagged = self._is_blind = False
        self.nobody_decides = ""  # why no strategy runs, and what to do: a resumed bot would only look busy

    @property
    def is_flagged(self) -> bool:
        """The halt file is there; as before while it cannot be looked at, which is told once."""
        was_blind, self._is_blind = self._is_blind, False
        try:
            self._was_flagged = self._halt_flag.exists()
        except OSError as error:
            self._is_blind = True
            if not was_blind:
                self._tell(f"the halt file cannot be looked at ({error}): the signal still works; look at the folder")
        return self._was_flagged

    async def start(self) -> None:
        """After reconciliation: what was stopped stays stopped, and an unfinished emergency stop goes on first."""
        floor = self._floor
        known = floor.journal.risk_state(HALT_KEY)
        if known:
            floor.guard.halt(f"halted:{known['reason']}", self._now())
        await floor.kill_switch.resume()
        if floor.guard.breaker is not Breaker.CLOSED:
            state = floor.guard.state
            self._tell(
                f"the breaker is {state.breaker} since {state.breaker_since} ({state.breaker_reason}): nothing is "
                "opened until a person resumes: `tandem resume CONFIG`"
            )

    async def halt(self, reason: str, by: str) -> str:
        """Open nothing more, survives a restart. Half-done pairs are hedged or unwound, open ones kept."""
        self._stops += 1
        guard = self._floor.guard
        was_halted = guard.breaker is Breaker.HALTED
        guard.halt(f"halted:{reason}", self._now())
        try:
            with self._floor.journal.transaction():
                self._save({"reason": reason, "by": by, "since": self._now().isoformat()})
        except JournalUnwritable as error:
            self._tell(f"halted, but a restart would not know of it ({error})")
        if not was_halted:
            self._tell(f"halted by {by}: {reason}; nothing is opened until a person resumes, open pairs are kept")
        withdrawn = await self._floor.orders.withdraw(only_entries=True)
        cancelled = f"; {len(withdrawn)} orders cancelled" if withdrawn else ""
        return ("already halted" if was_halted else "halted") + cancelled

    async def flatten(self, reason: str, by: str) -> StopReport:
        """Cancel and close everything; see ``KillSwitch``."""
        self._stops += 1
        return await self._floor.kill_switch.trigger(reason, by)

    async def resume(self, reason: str, by: str) -> str:
        """Trade again, measuring drawdown from here. Raises ``CommandRefused``."""
        resume = await self.ask_to_resume()
        return resume(reason, by)

    async def ask_to_resume(self) -> Callable[[str, str], str]:
        """Compare with the exchange, which takes time; what is returned resumes and takes none. Both raise
        ``CommandRefused``, the second one also for whatever has come since this began."""
        seen = self._stops, self._floor.guard.halts, self._floor.orders.bookings
        foreign = await self._refuse_a_difference()
        return partial(self._resume, seen, foreign)

    def _resume(self, seen: tuple[int, int, int], foreign: Mapping[str, Decimal], reason: str, by: str) -> str:
        floor, guard = self._floor, self._floor.guard
        stops, *others = seen
        if self.nobody_decides:
            raise CommandRefused(self.nobody_decides)
        if self.is_flagged:
            raise CommandRefused(f"{self._halt_flag} is there: remove it first")
        if self._is_blind:
            raise CommandRefused(f"{self._halt_flag} cannot be looked at: look at its folder, then try again")
        if floor.kill_switch.is_under_way or self._stops != stops:
            raise CommandRefused("a stop is under way: resume when it is over")
        if others != [guard.halts, floor.orders.bookings]:
            raise CommandRefused("something was traded or halted the bot while the exchange was asked: look, try again")
        if guard.breaker is Breaker.CLOSED:
            return "was not halted"
        before = guard.snapshot()
        guard.rearm()
        try:
            with floor.journal.transaction():
                floor.journal.save_risk_state(STOP_KEY, {})
                floor.journal.save_risk_state(DIFFERENCES_KEY, {})
                self._save({})
                floor.engine.foreign.add(foreign)
        except JournalUnwritable as error:
            guard.restore(before)
            floor.engine.foreign.restore()
            raise CommandRefused(f"a restart would not know of it: {error}") from None
        floor.kill_switch.rearm()
        self._tell(f"resumed by {by}: {reason} (it was {before['breaker']}: {before['breaker_reason']})")
        self._finish_what_was_left()
        return f"resumed; it was {before['breaker']}: {before['breaker_reason']}"

    async def close(self, pair_id: str, reason: str, by: str) -> str:
        """Leave one pair, as an exit does, after what is under way for it. Raises ``CommandRefused``."""
        if pair_id not in self._pairs:
            raise CommandRefused(f"there is no pair {pair_id}; this bot trades {', '.join(self._pairs)}")
        await self._floor.engine.come_to_rest(pair_id)
        position = self._floor.ledger.position(pair_id)
        if position is None:
            return "was flat already"
        if not position.is_open:
            raise CommandRefused(f"{pair_id} is {position.state.value}: it waits for its markets, or needs a flatten")
        self._tell(f"{pair_id} is closed by {by}: {reason}")
        await self._leave(position.exit_order(self._prices, self._now(), CLOSE_REASON))
        state = self._floor.ledger.state(pair_id)
        if state is not PairState.FLAT:
            raise CommandRefused(f"{pair_id} is {state.value}: see the log")
        return "closed"

    # the parts

    async def _refuse_a_difference(self) -> dict[str, Decimal]:
        """By how much the foreign book is wrong, by symbol, where only that differs."""
        symbols = dict.fromkeys(symbol for pair in self._pairs.values() for symbol in pair.symbols)
        try:
            mismatches = self._floor.reconciler.differences(await self._floor.trading.account(), symbols)
        except ExchangeUnreachable as error:
            raise CommandRefused(f"the exchange cannot be asked what it holds ({error}); try again") from None
        left = [m for m in mismatches if m.exchange != m.ledger]
        if left:
            raise CommandRefused(f"{'; '.join(map(str, left))}: close the difference by hand first")
        # The exchange holds what the pairs do: what else it was said to hold has gone without a word.
        return {m.symbol: -m.foreign for m in mismatches}

    def _finish_what_was_left(self) -> None:
        """Pairs that nothing was done for while ledger and exchange differed, or that would not close."""
        engine, ledger = self._floor.engine, self._floor.ledger
        for pair_id in ledger.open_pairs:
            if engine.is_unfinished(pair_id) and pair_id not in engine.half_done | engine.waiting:
                self._keep(engine.finish_interrupted(pair_id), f"finish {pair_id}")

    def _save(self, halt: Mapping[str, str]) -> None:
        self._floor.journal.save_risk_state(HALT_KEY, halt)
        self._floor.journal.save_risk_state(GUARD_KEY, self._floor.guard.snapshot())

    def _tell(self, message: str) -> None:
        self._floor.bus.publish(Alarm(self._now(), message, critical=True))

    def _now(self) -> datetime:
        return ms_to_datetime(self._floor.clock.now_ms())
