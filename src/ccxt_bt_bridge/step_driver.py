"""From a market's bars to whole steps: the aligners of all groups, the grace of a missing leg, and asking for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ccxt_bt_bridge.aligner import BarAligner, IncompleteStep, MissingLeg, Step
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketClosed, MarketUnknown, RateBanned
from ccxt_bt_bridge.pause import Pause
from ccxt_bt_bridge.port import MarketPort
from ccxt_bt_bridge.words import Bar

FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 30_000
END_OF_TIME_MS = 2**62

KeyedStep = tuple[object, Step]


@dataclass(frozen=True, slots=True)
class StepTold:
    """A step of the group ``key`` was dropped, or carried with stand-ins, because ``missing`` had no bar."""

    key: object
    time_ms: int
    missing: tuple[str, ...]
    is_carried: bool


class StepDriver:
    """Aligns the bars of ``market`` by ``groups`` (key → its symbols) and hands the whole steps on.

    ``on_steps`` gets the steps that one moment completed, all at once; ``on_told`` hears of every step that lacked a
    leg. Both are called on the loop. ``policy`` and ``grace_s`` as in ``MissingLeg``; the grace counts from the first
    leg of a step. Listens to the market from its construction on, so that nothing is lost while history is read.
    """

    def __init__(
        self,
        market: MarketPort,
        groups: Mapping[object, tuple[str, ...]],
        *,
        interval_ms: int,
        clock: Clock,
        on_steps: Callable[[Sequence[KeyedStep]], None],
        on_told: Callable[[StepTold], None],
        policy: MissingLeg | str = MissingLeg.WAIT,
        grace_s: float = 10.0,
    ) -> None:
        self._market, self._clock, self._interval_ms = market, clock, interval_ms
        self._on_steps, self._on_told = on_steps, on_told
        self._policy = MissingLeg(policy)
        grace_ms = round(grace_s * 1000)
        self._aligners = {
            key: BarAligner(symbols, policy=self._policy, grace_ms=grace_ms) for key, symbols in groups.items()
        }
        self._keys: dict[str, list[object]] = {}
        for key, symbols in groups.items():
            for symbol in symbols:
                self._keys.setdefault(symbol, []).append(key)
        self._watches: dict[object, asyncio.Task[None]] = {}
        self._bars = market.bars()

    async def history(self, key: object, limit: int) -> list[Step]:
        """The group's whole steps among the last ``limit`` closed bars of each leg, oldest first; before ``run``.

        Goes through the same aligner: what comes live begins after it. Raises what ``MarketPort.history`` raises.
        """
        aligner = self._aligners[key]
        legs = await asyncio.gather(*(self._market.history(symbol, limit=limit) for symbol in aligner.symbols))
        if not all(legs):
            return []
        begin_ms, now_ms = max(leg[0].time_ms for leg in legs), self._clock.now_ms()
        bars = sorted((bar for leg in legs for bar in leg if bar.time_ms >= begin_ms), key=lambda bar: bar.time_ms)
        steps = [step for bar in bars for step in aligner.put(bar, now_ms)]
        steps += aligner.settle_before(bars[-1].time_ms)
        self._tell(key)
        return steps

    async def run(self) -> None:
        """Until the market's bars end; what is incomplete then is carried or dropped, for nothing will follow."""
        async with asyncio.TaskGroup() as tasks:
            try:
                for key in self._aligners:
                    self._watch(key, tasks)
                async for bars in self._bars:
                    self._take(bars, tasks)
                for key, aligner in self._aligners.items():
                    self._give([(key, step) for step in aligner.settle_before(END_OF_TIME_MS)])
                    self._tell(key)
            finally:
                for watch in self._watches.values():
                    watch.cancel()

    def _take(self, bars: tuple[Bar, ...], tasks: asyncio.TaskGroup) -> None:
        now_ms = self._clock.now_ms()
        keyed = [(key, bar) for bar in bars for key in self._keys.get(bar.symbol, ())]
        self._give([(key, step) for key, bar in keyed for step in self._aligners[key].put(bar, now_ms)])
        for key in dict.fromkeys(key for key, _ in keyed):
            self._tell(key)
            self._watch(key, tasks)

    def _give(self, steps: Sequence[KeyedStep]) -> None:
        if steps:
            self._on_steps(steps)

    def _tell(self, key: object) -> None:
        for step in self._aligners[key].tell():
            self._on_told(StepTold(key, step.time_ms, step.missing, step.is_carried))

    # a missing leg

    def _watch(self, key: object, tasks: asyncio.TaskGroup) -> None:
        if key not in self._watches and self._aligners[key].due_ms is not None:
            self._watches[key] = tasks.create_task(self._watch_over(key), name=f"grace of {key}")

    async def _watch_over(self, key: object) -> None:
        """While a step of the group is open: when its grace is over, complete it or give it up."""
        aligner = self._aligners[key]
        while (due_ms := aligner.due_ms) is not None:
            await self._clock.sleep_until(due_ms)
            overdue = aligner.overdue(self._clock.now_ms())
            found = await self._ask_for(overdue) if self._policy is MissingLeg.WAIT else []
            steps = [step for bar in found for step in aligner.put(bar, self._clock.now_ms())]
            steps += aligner.settle({step.time_ms for step in overdue})
            self._give([(key, step) for step in steps])
            self._tell(key)
        del self._watches[key]

    async def _ask_for(self, overdue: list[IncompleteStep]) -> list[Bar]:
        """The missing bars that exist, oldest first."""
        wanted = {step.time_ms for step in overdue}
        symbols = dict.fromkeys(symbol for step in overdue for symbol in step.missing)
        answers = await asyncio.gather(*(self._bars_since(symbol, min(wanted)) for symbol in symbols))
        return sorted((bar for bars in answers for bar in bars if bar.time_ms in wanted), key=lambda bar: bar.time_ms)

    async def _bars_since(self, symbol: str, since_ms: int) -> list[Bar]:
        """Asks until there is an answer: no answer does not mean that there is no bar."""
        pause = Pause(self._clock, first_ms=FIRST_PAUSE_MS, longest_ms=LONGEST_PAUSE_MS)
        while True:
            limit = (self._clock.now_ms() - since_ms) // self._interval_ms + 2
            try:
                return await self._market.history(symbol, limit=limit)
            except (MarketClosed, MarketUnknown):
                return []
            except RateBanned as ban:
                await self._clock.sleep_until(ban.until_ms)
            except ExchangeUnreachable:
                await pause.sleep()
