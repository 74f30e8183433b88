"""Watches over a pair's data: bars that do not come, prices that fall silent. What is old never opens anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ccxt_bt_bridge.aligner import Step
from ccxt_bt_bridge.bt_time import ms_to_datetime
from pairs.words import Pair, PairPosition
from trading.events import Alarm
from trading.execution.floor import Floor

REASON = "stale_data"
TURNS = 20  # of the loop: what came while the whole process stood still is heard before it is called missing


@dataclass(frozen=True, slots=True)
class StaleTerms:
    """``after_s``: how late a bar may be, and how long a market that ``tells_prices`` may tell none of a symbol.

    ``interval_s``: a bar's length. ``flattens``: whether an open pair is left then.
    """

    after_s: float
    interval_s: float
    tells_prices: bool = False
    flattens: bool = False


class StaleWatch:
    """Counts in the loop's own time: a clock that is set forward makes nothing old.

    ``leave`` carries out the exit of an open pair.
    """

    def __init__(
        self, floor: Floor, pairs: Iterable[Pair], terms: StaleTerms, *, leave: Callable[[PairPosition], None]
    ) -> None:
        self._floor, self._terms, self._leave = floor, terms, leave
        self._pairs = {pair.pair_id: pair for pair in pairs}
        self._steps: dict[str, float] = {}
        self._prices: dict[str, float] = {}
        self._told: set[str] = set()

    def heard_step(self, pair_id: str, step: Step) -> None:
        """A stand-in for a missing bar is no news."""
        if not any(bar.synthetic for bar in step):
            self._steps[pair_id] = self._now_s()
            self._prices.update(dict.fromkeys((bar.symbol for bar in step), self._now_s()))
            self._tell_fresh(pair_id)

    def heard_price(self, symbol: str) -> None:
        self._prices[symbol] = self._now_s()

    def is_stale(self, pair_id: str) -> bool:
        return self._now_s() >= self._due_s(pair_id)

    async def run(self) -> None:
        """Until cancelled."""
        now_s = self._now_s()
        self._steps = dict.fromkeys(self._pairs, now_s) | self._steps
        self._prices = {s: now_s for pair in self._pairs.values() for s in pair.symbols} | self._prices
        while True:
            await asyncio.sleep(self._pause_s())
            if any(map(self.is_stale, self._pairs)):
                await self._hear_out()
            for pair_id in self._pairs:
                if self.is_stale(pair_id):
                    self._look_at(pair_id)
                else:
                    self._tell_fresh(pair_id)

    async def _hear_out(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def _pause_s(self) -> float:
        """Until the next pair is due; one that is overdue may have been opened meanwhile."""
        now_s, after_s = self._now_s(), self._terms.after_s
        left = [self._due_s(pair_id) - now_s for pair_id in self._pairs]
        return min([after_s, *(one for one in left if one > 0.0)] if min(left) <= 0.0 else left)

    def _due_s(self, pair_id: str) -> float:
        """When it is stale unless something is heard. Before ``run`` nothing is."""
        terms, never = self._terms, float("inf")
        due_s = self._steps.get(pair_id, never) + terms.interval_s + terms.after_s
        if not terms.tells_prices:
            return due_s
        return min(due_s, *(self._prices.get(s, never) + terms.after_s for s in self._pairs[pair_id].symbols))

    def _look_at(self, pair_id: str) -> None:
        position = self._floor.ledger.position(pair_id)
        if position is None or not position.is_open or pair_id in self._told:
            return
        self._told.add(pair_id)
        fate = "it is closed" if self._terms.flattens else "it is held, without looking"
        self._alarm(f"the data of {pair_id} are stale: nothing new for too long; {fate}", pair_id, critical=True)
        if self._terms.flattens:
            self._leave(position)

    def _tell_fresh(self, pair_id: str) -> None:
        if pair_id in self._told:
            self._told.discard(pair_id)
            self._alarm(f"the data of {pair_id} are fresh again", pair_id, critical=False)

    def _alarm(self, message: str, pair_id: str, *, critical: bool) -> None:
        now = ms_to_datetime(self._floor.clock.now_ms())
        self._floor.bus.publish(Alarm(now, message, pair_id, critical, of_health=True))

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
