"""One virtual day of a bot, as a seed has drawn it: exchange, feed, clock and disk fail together, and the bot dies.

The invariants are looked at every 30 seconds of the day, and at its end.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from brokers.simulated.faults import Fault
from brokers.simulated.gate import LASTING
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.words import Bar
from pairs.words import Direction, Pair, PairOrder, PairState
from tests.brokers.markets import HOUR_MS, hours
from tests.reliability.draws import FIRST_PRICES, PAIRS, TRADED_HOURS, Day, draw
from tests.reliability.judging import judge
from tests.reliability.places import Place, Violation, live, open_place, reconcile, start_life
from tests.tasks import end_all
from tests.trading.execution.engine_rig import Crash, CrashPlan, Rig, entry_order, rule
from tests.virtual_time import run_virtual
from trading.control.controls import CommandRefused, Controls
from trading.events import EntryRefused, OrderFailed, PairClosed, PairOpened
from trading.risk_guard import Breaker

D = Decimal
WATCH_S = 30.0
LONGEST_UNHEDGED_S = 120.0  # while the exchange answers; faults of several kinds strike the same leg in turn
UNANSWERED = ("timeout_before_execution", "late_execution")
ENDS = (PairOpened, PairClosed, OrderFailed, EntryRefused)
LONGEST_DAY_S = 36 * 3600.0
MARKETS = {symbol: rule(symbol) for symbol in FIRST_PRICES}


@dataclass(frozen=True, slots=True)
class Lived:
    """``digest``: of every event and every trade, in their order."""

    seed: int
    digest: str
    orders: int
    trades: int
    crashes: int
    worst_unhedged_s: float
    violations: tuple[Violation, ...]


class JumpyClock:
    """The bot's clock: the exchange's, and sometimes not quite."""

    def __init__(self, true: Clock) -> None:
        self._true, self.off_ms = true, 0

    def now_ms(self) -> int:
        return self._true.now_ms() + self.off_ms

    async def sleep_until(self, when_ms: int) -> None:
        await self._true.sleep_until(when_ms - self.off_ms)


def live_through(folder: Path, template: Path, seed: int, *, density: int = 1, latency_ms: int | None = None) -> Lived:
    """``template``: an empty journal that the day begins with; the rest as in ``draw``."""
    shutil.copy(template, folder / "rig.journal.sqlite")
    try:
        return run_virtual(_live_through(folder, draw(seed, density=density, latency_ms=latency_ms)))
    finally:
        for file in folder.glob("rig.*"):
            file.unlink()


async def _live_through(folder: Path, day: Day) -> Lived:
    place = open_place(
        folder, day.market, faults=day.faults, fault_seed=day.seed, markets=MARKETS, latency_ms=day.latency_ms
    )
    trader = Trader(day, place)
    work = (place.exchange.run_market(), trader.follow_feed())
    trader.watch()
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await Lives(day, place, trader).live()
        judge(place, pairs=[pair.pair_id for pair in day.pairs], longest_s=LONGEST_UNHEDGED_S)
        for task in tasks:
            if task.done() and task.exception():
                raise AssertionError(f"seed {day.seed}: {task.exception()!r}") from task.exception()
        return _lived(day, place)
    finally:
        trader.watching.cancel()
        await end_all(tasks)
        await place.close()


def _lived(day: Day, place: Place) -> Lived:
    digest = hashlib.sha256()
    for rig in place.lives:
        for event in rig.events:
            digest.update(repr(event).encode())
    for fill in place.exchange.venue.fills:
        digest.update(repr(fill).encode())
    return Lived(
        seed=day.seed,
        digest=digest.hexdigest(),
        orders=len(place.store.orders),
        trades=len(place.lives[-1].ledger.trades),
        crashes=len(place.lives) - 1,
        worst_unhedged_s=place.unhedged.worst_s,
        violations=tuple(place.violations),
    )


class Trader:
    """Whoever decides: a person or a strategy, with the same thoughts whatever happens to the bot."""

    def __init__(self, day: Day, place: Place) -> None:
        self._day, self._place = day, place
        self._rng = np.random.default_rng([day.seed, 11])
        self._last: dict[str, Bar] = {}
        self._decided: set[tuple[str, int]] = set()
        self.rig: Rig | None = None
        self.asked: list[PairOrder] = []
        self.controls: Controls
        self.watching: asyncio.TimerHandle
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Crash):
            self._place.blame("I11", f"the engine raised {error!r}")

    async def follow_feed(self) -> None:
        async for told in self._place.exchange.bars():
            self._last |= {bar.symbol: bar for bar in told}
            if self.rig is not None and self._place.exchange.market_ms < hours(1 + TRADED_HOURS):
                self._on_bars(self.rig, {bar.symbol for bar in told})

    def watch(self) -> None:
        """While nothing is under way, ledger and exchange are equal at any moment."""
        self.watching = asyncio.get_running_loop().call_later(WATCH_S, self.watch)
        rig = self.rig
        if rig is None or not rig.engine.is_idle:
            return
        for symbol in FIRST_PRICES:
            ours = rig.ledger.net(symbol) + rig.engine.foreign.amount(symbol)
            theirs = self._place.held(symbol)
            if ours != theirs and ours != theirs - self._place.unheard(rig, symbol):
                self._place.blame("I3", f"{symbol}: at rest the ledger holds {ours}, the exchange {theirs}")

    def _on_bars(self, rig: Rig, told: set[str]) -> None:
        prices = {symbol: bar.close for symbol, bar in self._last.items()}
        if rig.guard.breaker is not Breaker.CLOSED:
            self.start(self._resume())
        rig.guard.on_bar(rig.now, rig.ledger.equity(prices), rig.ledger.positions(), prices)
        for symbol, bar in self._last.items():
            rig.engine.note_liquidity(symbol, float(bar.close * bar.volume * self._rng.uniform(0.5, 2.0)))
        for pair in self._day.pairs:
            if told & set(pair.symbols) and all(symbol in self._last for symbol in pair.symbols):
                self._decide(rig, pair)

    async def _resume(self) -> None:
        """A person has looked."""
        with suppress(CommandRefused):
            await self.controls.resume("looked", "a person")

    def command(self, given: str) -> None:
        """From a person, to a bot that lives."""
        verb, _, pair_id = given.partition(" ")
        if self.rig is not None:
            self.start(self._carry_out(verb, pair_id))

    async def _carry_out(self, verb: str, pair_id: str) -> None:
        with suppress(CommandRefused):
            match verb:
                case "halt":
                    await self.controls.halt("tested", "a person")
                case "flatten":
                    await self.controls.flatten("tested", "a person")
                case "close":
                    await self.controls.close(pair_id, "tested", "a person")

    def _decide(self, rig: Rig, pair: Pair) -> None:
        moment = (pair.pair_id, max(self._last[symbol].time_ms for symbol in pair.symbols))
        wants, doubles = self._rng.random() < 0.45, self._rng.random() < 0.1
        if moment in self._decided or not wants:
            return
        self._decided.add(moment)
        order = self._entry(rig, pair) if rig.state(pair.pair_id) is PairState.FLAT else self._exit(rig, pair)
        self.asked.append(order)
        for _ in range(1 + doubles):
            self.start(rig.engine.execute(order))

    def judge(self, rig: Rig) -> None:
        """Once it has come to rest: whoever asked for something in this life has heard what became of it."""
        ended = {event.order.ref for event in rig.events if isinstance(event, ENDS) and event.order is not None}
        for order in self.asked:
            if order.ref not in ended:
                self._place.blame("I11", f"nobody heard what became of {order.action.value} {order.ref}")

    def _entry(self, rig: Rig, pair: Pair) -> PairOrder:
        first, hedge = pair.symbols
        direction = Direction.LONG if self._rng.random() < 0.5 else Direction.SHORT
        value, ratio = self._rng.uniform(20.0, 1_500.0), self._rng.uniform(0.5, 1.5)
        prices = {symbol: self._last[symbol].close for symbol in pair.symbols}
        amounts = {
            first: D(str(round(value / prices[first], 3))) * direction.sign,
            hedge: -D(str(round(value * ratio / prices[hedge], 3))) * direction.sign,
        }
        legs = {symbol: max(abs(amount), D("0.001")).copy_sign(amount) for symbol, amount in amounts.items()}
        return self._place.expect(entry_order(pair.pair_id, legs, rig.now, prices=prices))

    def _exit(self, rig: Rig, pair: Pair) -> PairOrder:
        position = rig.ledger.position(pair.pair_id)
        assert position is not None
        return position.exit_order({symbol: self._last[symbol].close for symbol in pair.symbols}, rig.now, "reversion")


class Lives:
    """One life of the bot after the other, until one of them sees the end of the day and comes to rest."""

    def __init__(self, day: Day, place: Place, trader: Trader) -> None:
        self._day, self._place, self._trader = day, place, trader
        self._clock = JumpyClock(place.clock)
        self._crash = CrashPlan()
        place.exchange._gate.strike = self._watched_gate(place.exchange._gate.strike)
        place.exchange.tape.halt = self._watched_halt(place.exchange.tape.halt)

    async def live(self) -> None:
        place, trader = self._place, self._trader
        points, loop = iter(self._day.crashes), asyncio.get_running_loop()
        for at_s in self._day.kill_s:
            loop.call_later(at_s, lambda: self._crash.died.set())
        for at_s, off_ms in self._day.clock_jumps:
            loop.call_later(at_s, setattr, self._clock, "off_ms", off_ms)
        for at_s, lasts_s in self._day.disk_s:
            loop.call_later(at_s, self._lock_disk, lasts_s)
        for at_s, command in self._day.commands:
            loop.call_later(at_s, trader.command, command)
        for at_s, *loss in self._day.losses:
            loop.call_later(at_s, self._lose, *loss)
        place.clock = self._clock
        for dead_s in (*self._day.dead_s, *[60.0] * 500):
            self._crash = CrashPlan(next(points, None))
            rig = start_life(
                place, self._crash, pairs=self._day.pairs, settings=self._day.settings, rules=MARKETS, listens=False
            )
            died = await live(rig, self._crash, self._life(rig), longest_s=LONGEST_DAY_S)
            trader.rig = None
            await end_all(trader.tasks)
            if not died:
                return
            died_s = loop.time()
            await asyncio.sleep(dead_s)
            place.unhedged.excused.append((died_s, loop.time()))
        place.blame("I11", "it died and died and never came to rest")

    async def _life(self, rig: Rig) -> None:
        """Recover, trade on what the feed tells until the day is over, and come to rest."""
        trader = self._trader
        await reconcile(self._place, rig)
        trader.controls = self._controls(rig)
        await trader.controls.start()
        trader.rig, trader.asked = rig, []
        rig.tasks.append(asyncio.ensure_future(rig.reconciler.run()))
        for pair in rig.recovery.interrupted():
            trader.start(rig.engine.finish_interrupted(pair))
        await self._place.exchange.clock.sleep_until(hours(1 + TRADED_HOURS))
        while trader.tasks:
            await asyncio.wait(set(trader.tasks))
        trader.judge(rig)

    def _controls(self, rig: Rig) -> Controls:
        return Controls(
            rig.floor,
            self._day.pairs,
            halt_flag=self._place.journal_path.with_suffix(".halt"),
            prices={},
            leave=rig.engine.execute,
            keep=lambda work, name: self._trader.start(work),
        )

    def _lose(self, symbol: str, share: str, prefix: str) -> None:
        """Somebody closes a part of a leg as soon as the pair that trades it is open and nothing is under way."""
        rig, place = self._trader.rig, self._place
        (pair,) = (pair.pair_id for pair in PAIRS if symbol in pair.symbols)
        is_at_rest = rig is not None and rig.state(pair) is PairState.OPEN and rig.engine.is_idle
        if is_at_rest and rig.ledger.net(symbol) == place.held(symbol) and place.exchange.tape.price(symbol):
            place.take_away(rig.engine.book.entry(pair).ref, symbol, share, prefix=prefix)
        elif place.exchange.clock.now_ms() < hours(1 + TRADED_HOURS):
            asyncio.get_running_loop().call_later(WATCH_S, self._lose, symbol, share, prefix)

    def _lock_disk(self, lasts_s: float) -> None:
        """Every write of the life that is now fails for so long."""
        rig, loop = self._place.lives[-1], asyncio.get_running_loop()
        if not self._crash.died.is_set():
            rig.journal._connection.exec_driver_sql("PRAGMA query_only = ON")
            loop.call_later(lasts_s, _free_disk, rig)
            self._place.unhedged.excused.append((loop.time(), loop.time() + lasts_s))

    def _watched_gate(self, strike: Callable[[str, str | None], Fault | None]):
        """While the exchange answers nobody, nothing can be hedged; and a lost order may turn up until the horizon."""

        def watched(operation: str, symbol: str | None) -> Fault | None:
            fault = strike(operation, symbol)
            if fault is not None and fault.kind in LASTING:
                self._excuse_until(self._place.exchange._gate._until_ms())
            elif fault is not None and operation == "create_order" and fault.kind in UNANSWERED:
                now_s = asyncio.get_running_loop().time()
                self._place.unhedged.excused.append((now_s, now_s + self._place.exchange._horizon_ms / 1000.0))
            return fault

        return watched

    def _watched_halt(self, halt: Callable[[str, int], None]):
        """A halted symbol has a price again when the market next moves: at the next hour."""

        def watched(symbol: str, until_ms: int) -> None:
            halt(symbol, until_ms)
            self._excuse_until(-(-until_ms // HOUR_MS) * HOUR_MS)

        return watched

    def _excuse_until(self, until_ms: int) -> None:
        now_s = asyncio.get_running_loop().time()
        left_s = (until_ms - self._place.exchange.clock.now_ms()) / 1000.0
        self._place.unhedged.excused.append((now_s, now_s + left_s))


def _free_disk(rig: Rig) -> None:
    if not rig.journal._connection.closed:
        rig.journal._connection.exec_driver_sql("PRAGMA query_only = OFF")
