"""A place to fail in: the exchange, the wire, lives of the bot that begin and die, and what is wrong at the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.errors import BridgeError
from ccxt_bt_bridge.words import Fill, OrderRequest
from pairs.words import PairOrder
from tests.brokers.markets import market_order
from tests.reliability.memory_store import MemoryStore
from tests.reliability.unhedged import Unhedged
from tests.tasks import end_all
from tests.trading.execution.engine_rig import (
    RULES,
    CrashPlan,
    MortalJournal,
    Rig,
    WatchedPort,
    start_rig,
    still_market,
)

D = Decimal
LATENCY_MS = 100
LONGEST_WORK_S = 6 * 3600.0
AGAIN_S = 5.0
SETTLE_S = 30.0  # what is still on its way has arrived by then


@dataclass(frozen=True, slots=True)
class Violation:
    """``invariant``: I1 to I11."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


@dataclass
class Place:
    """What outlives the bot, and what was seen on the wire over all of its lives."""

    exchange: SimulatedExchange
    store: MemoryStore
    clock: LoopClock
    journal_path: Path
    unhedged: Unhedged
    requests: dict[str, OrderRequest] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    journals: list[MortalJournal] = field(default_factory=list)
    lives: list[Rig] = field(default_factory=list)
    taken_from: dict[str, str] = field(default_factory=dict)
    taken: list[Fill] = field(default_factory=list)
    may_trade: bool = False
    _wires: set[asyncio.Task] = field(default_factory=set)

    def held(self, symbol: str) -> Decimal:
        return self.exchange.venue.account.ledger.amount(symbol)

    def expect(self, entry: PairOrder) -> PairOrder:
        """The entry, whose legs are measured against each other from now on."""
        least = {
            leg.symbol: self.exchange.venue.markets[leg.symbol].min_notional / D(repr(leg.reference_price))
            for leg in entry.legs
        }
        self.unhedged.expect(entry.ref, {leg.symbol: leg.quantity for leg in entry.legs}, least)
        return entry

    def blame(self, invariant: str, what: str) -> None:
        self.violations.append(Violation(invariant, what))

    def note_send(self, request: OrderRequest) -> None:
        self.requests[request.client_order_id] = request
        self.sent[request.client_order_id] += 1
        if not self.may_trade:
            self.blame("I10", f"{request.client_order_id} was sent before ledger and exchange agreed")

    def compare(self, rig: Rig) -> None:
        """Before a life sends its first order, its ledger is what the exchange holds, whatever it was told."""
        for symbol in self.exchange.source.symbols:
            ours = rig.ledger.net(symbol) + rig.engine.foreign.amount(symbol)
            theirs = self.held(symbol)
            if ours != theirs and ours != theirs - self.unheard(rig, symbol):
                self.blame("I3", f"{symbol}: a life began to trade with {ours}, the exchange holds {theirs}")

    def wire(self, call: Coroutine[Any, Any, Any]) -> asyncio.Task:
        """What is on the wire arrives, whatever becomes of the sender."""
        task = asyncio.get_running_loop().create_task(call)
        self._wires.add(task)
        task.add_done_callback(self._wires.discard)
        return task

    def on_fill(self, fill: Fill) -> None:
        request = self.requests.get(fill.client_order_id)
        if request is not None:
            self.unhedged.traded(request.group, fill.symbol, fill.signed_amount)
        elif fill.client_order_id in self.taken_from:
            self.taken.append(fill)
            self.unhedged.traded(self.taken_from[fill.client_order_id], fill.symbol, fill.signed_amount)

    def take_away(self, ref: str, symbol: str, share: str, *, prefix: str) -> None:
        """Somebody else closes a share of what is held of a symbol, all of which belongs to ``ref``. ``prefix``: by
        which the exchange's own orders are known from a person's."""
        venue, rule = self.exchange.venue, self.exchange.venue.markets[symbol]
        amount = rule.round_amount(-self.held(symbol) * D(share))
        order = market_order(f"{prefix}{len(self.taken_from)}", symbol, amount, reduce_only=True)
        self.taken_from[order.client_order_id] = ref
        venue.place(order, now_ms=self.exchange.clock.now_ms())

    def unheard(self, rig: Rig, symbol: str) -> Decimal:
        """What somebody else has traded of a symbol and the bot has not booked yet: no order of its own tells of it."""
        return sum((f.signed_amount for f in self.taken if f.symbol == symbol and not rig.journal.has_fill(f)), D(0))

    async def close(self) -> None:
        await end_all(self._wires)
        for journal in self.journals:
            journal.close()
        self.exchange.close()


class WirePort(WatchedPort):
    """A port whose sender can die before, during and after each order and each cancel."""

    def __init__(self, place: Place, crash: CrashPlan | None) -> None:
        super().__init__(place.exchange, crash)
        self._place = place

    async def create_order(self, request: OrderRequest) -> Any:
        self._die("send")
        self.before(request)
        if not self.sent and self._place.lives:
            self._place.compare(self._place.lives[-1])
        self.sent.append(request)
        self._place.note_send(request)
        return await self._carry(self._exchange.create_order(request))

    async def cancel_order(self, symbol: str, client_order_id: str) -> Any:
        self._die("send")
        return await self._carry(self._exchange.cancel_order(symbol, client_order_id))

    async def _carry(self, call: Coroutine[Any, Any, Any]) -> Any:
        wire = self._place.wire(call)
        self._die("wire")
        outcome = await asyncio.shield(wire)
        self._die("answer")
        return outcome

    def _die(self, where: str) -> None:
        if self._crash is not None:
            self._crash.point(where)


def open_place(
    folder: Path, market: MarketSource | None = None, *, faults: Iterable[Mapping[str, Any]] = (), **terms: Any
) -> Place:
    """On the running loop; market time stands until someone runs the market."""
    loop, market, store = asyncio.get_running_loop(), market or still_market(), MemoryStore()
    clock = LoopClock(loop.time, market_start_ms(market, store, warmup_bars=1))
    wanted = {
        "initial_balance": D(10_000),
        "slippage_bps": D(1),
        "warmup_bars": 1,
        "markets": RULES,
        "latency_ms": LATENCY_MS,
    } | terms
    exchange = SimulatedExchange(market, store, clock=clock, faults=faults, **wanted)
    place = Place(exchange, store, clock, folder / "rig.journal.sqlite", Unhedged(loop.time))
    store.on_fill = place.on_fill
    return place


def start_life(place: Place, crash: CrashPlan | None = None, **terms: Any) -> Rig:
    place.may_trade = False
    rig = start_rig(place, crash=crash, port_type=lambda exchange, plan: WirePort(place, plan), **terms)
    place.lives.append(rig)
    return rig


async def live(
    rig: Rig, crash: CrashPlan, work: Coroutine[Any, Any, None], *, longest_s: float = LONGEST_WORK_S
) -> bool:
    """Run ``work`` until it is done or the process has died; True when it died."""
    task = asyncio.ensure_future(asyncio.wait_for(work, longest_s))
    death = asyncio.ensure_future(crash.died.wait())
    await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
    if not crash.died.is_set():
        try:
            task.result()
        except TimeoutError:
            rig.world.blame("I11", f"nothing came to an end in {longest_s:.0f} s")
    await end_all((task, death, *rig.engine._mending))
    await rig.stop()
    if crash.died.is_set():
        rig.journal.die()
    return crash.died.is_set()


async def recover_life(place: Place, crash: CrashPlan, *, dead_s: float, **terms: Any) -> tuple[Rig, bool]:
    """The next life, ``dead_s`` after the last: it recovers. True when it died as well."""
    died_s = place.unhedged.now()
    await asyncio.sleep(dead_s)
    place.unhedged.excused.append((died_s, place.unhedged.now()))
    rig = start_life(place, crash, listens=False, **terms)

    async def work() -> None:
        await reconcile(place, rig)
        await rig.kill_switch.resume()
        while rig.kill_switch.is_under_way:
            await asyncio.sleep(1.0)
        await asyncio.gather(*(rig.engine.finish_interrupted(pair) for pair in rig.recovery.interrupted()))
        while not rig.engine.is_idle:
            await asyncio.sleep(1.0)

    return rig, await live(rig, crash, work())


async def reconcile(place: Place, rig: Rig) -> None:
    """Restore and reconcile, again and again until the exchange can be asked; only then may anything be sent."""
    rig.listen()  # as in the bot: its orders are known before the stream can tell of them
    rig.recovery.restore(run=1)
    while True:
        try:
            mismatches = await rig.recovery.reconcile(place.exchange.source.symbols)
            break
        except BridgeError:
            asked_s = place.unhedged.now()
            await asyncio.sleep(AGAIN_S)
            place.unhedged.excused.append((asked_s, place.unhedged.now()))
    for one in mismatches:
        place.blame("I3", f"after a restart {one}")
    place.may_trade = not mismatches
