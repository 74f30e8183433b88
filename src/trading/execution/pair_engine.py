"""Two legs, one at a time, in a written-down order: the only place from which a pair's orders are sent.

FLAT → ENTERING → HEDGING → OPEN → EXITING → FLAT, with UNWINDING when a hedge cannot be had and HALTED when a person
must look. The state is in the journal before each send. The first leg is the less liquid one; the hedge leg is sized
by what the first really filled. Runs on the exchange loop's thread, which is the only writer of ledger and journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort
from ccxt_bt_bridge.words import Fill, Market
from pairs.words import Action, PairOrder, PairState
from trading.events import EventBus, LegFilled
from trading.execution.entering import Entering
from trading.execution.evenness import Evenness
from trading.execution.foreign_book import ForeignBook
from trading.execution.funds import Funds
from trading.execution.leaving import Leaving
from trading.execution.leg_orders import LegOrders, LegSend
from trading.execution.pair_book import PairBook
from trading.execution.pair_ledger import PairLedger
from trading.execution.pre_trade import PreTrade
from trading.execution.quotes import Quotes
from trading.execution.settings import ExecutionSettings
from trading.execution.slicing import Slicing
from trading.execution.strangers import Strangers
from trading.execution.unhedged import UnhedgedWatch
from trading.execution.urgency import Urgency
from trading.journal.errors import JournalError, JournalUnwritable
from trading.journal.writer import Journal
from trading.risk_guard import Breaker, RiskGuard

DISK_POLL_S = 5.0

log = logging.getLogger(__name__)


class PairEngine:
    """Executes pair orders on one account. Its collaborators are shared with recovery and the bar marker."""

    def __init__(
        self,
        *,
        market: MarketPort,
        orders: LegOrders,
        journal: Journal,
        ledger: PairLedger,
        guard: RiskGuard,
        clock: Clock,
        bus: EventBus,
        rules: Mapping[str, Market],
        settings: ExecutionSettings,
        funds: Funds,
        doubts: Callable[[], tuple[str, ...]],
    ) -> None:
        self._ledger, self._bus, self._rules, self._clock = ledger, bus, rules, clock
        self.book = self._book = PairBook(journal=journal, ledger=ledger, guard=guard, bus=bus, clock=clock)
        self.foreign = ForeignBook(journal, rules)
        self._strangers = Strangers(
            journal=journal,
            book=self._book,
            foreign=self.foreign,
            own_prefix=orders.own_prefix,
            close_rest=self._close_rest,
            on_unwritable=self.on_unwritable,
        )
        self._quotes = Quotes(market)
        self._guard, self.urgency = guard, Urgency()
        self._evenness, slicing = Evenness(ledger, rules), Slicing(rules, settings)
        self._unhedged = UnhedgedWatch(bus, clock, is_even=self._is_even, max_unhedged_s=settings.max_unhedged_s)
        self._leaving = Leaving(
            book=self._book,
            orders=orders,
            quotes=self._quotes,
            evenness=self._evenness,
            slicing=slicing,
            rules=rules,
            foreign=self.foreign,
            slice_pause_s=settings.slice_pause_s,
            on_nothing_to_reduce=self._ask_why,
            urgency=self.urgency,
        )
        self._entering = Entering(
            book=self._book,
            orders=orders,
            quotes=self._quotes,
            checks=PreTrade(
                self._quotes,
                rules,
                settings,
                self.foreign,
                funds=funds,
                slicing=slicing,
                doubts=doubts,
                now=self._book.now,
            ),
            funds=funds,
            leaving=self._leaving,
            evenness=self._evenness,
            slicing=slicing,
            unhedged=self._unhedged,
            urgency=self.urgency,
            rules=rules,
            settings=settings,
        )
        self._busy: dict[str, asyncio.Event] = {}
        self.on_nothing_to_reduce: Callable[[str], Awaitable[None]] = _no_one_knows
        bus.add(self._unhedged.on_event)
        self._mending: set[asyncio.Task[None]] = set()
        self.is_recovering = False
        orders.reason_against = self._reason_against
        orders.on_fill = self._on_fill
        orders.on_foreign_fill = self._on_foreign_fill
        orders.on_unwritable = self.on_unwritable
        orders.on_refused_key = self._on_refused_key

    # asked from outside

    async def execute(self, order: PairOrder) -> None:
        """Carry out a pair order, or refuse it. One at a time per pair; never raises for what the venue did.

        A stop that meets slices under way is refused as well, but no further slice is waited for.
        """
        if order.pair_id in self._busy:
            if self._leaving.has_no_time(order):
                self.hurry(order.pair_id)
            self._book.refuse(order, ("busy",))
            return
        with self._only_one(order.pair_id):
            try:
                await (self._entering.enter(order) if order.action is Action.ENTER else self._leaving.exit(order))
                await self._close_robbed(order.pair_id)
            except JournalUnwritable as error:
                await self._wait_for_disk(order, error)

    def hurry(self, pair_id: str) -> None:
        """What is under way for the pair, if anything is, takes no further slice."""
        if pair_id in self._busy:
            self.urgency.hurry(pair_id)

    async def come_to_rest(self, pair_id: str) -> None:
        """Wait for what is under way for the pair, which takes no further slice."""
        self.hurry(pair_id)
        while pair_id in self._busy and pair_id not in self.waiting:
            await self._busy[pair_id].wait()

    async def close(self) -> None:
        """The end: what is being mended goes on with the next process."""
        self._book.close()
        mending = tuple(self._mending)
        for task in mending:
            task.cancel()
        await asyncio.gather(*mending, return_exceptions=True)

    @property
    def is_idle(self) -> bool:
        return not self._busy

    @property
    def half_done(self) -> frozenset[str]:
        """Pairs that something is under way for; not those that wait, whole, for a halted market."""
        return frozenset(self._busy) - self._leaving.waiting

    @property
    def waiting(self) -> frozenset[str]:
        """Pairs that are left as soon as both their markets trade."""
        return self._leaving.waiting

    def note_liquidity(self, symbol: str, traded_value: float) -> None:
        """Quote currency traded in the last bar: decides which leg goes first."""
        self._quotes.note_liquidity(symbol, traded_value)

    @property
    def longest_unhedged_s(self) -> float:
        """The longest time that a pair's legs did not match, by the fills of this process."""
        return self._unhedged.longest_s

    def stop_adding(self) -> None:
        """A pair under way is finished as far as it is: no further slice, and no market order for the rest of one."""
        self._book.stop_adding()

    def last_price(self, symbol: str) -> Decimal | None:
        """The last quote that was seen, None before the first."""
        return self._quotes.last.get(symbol)

    def adopt(self, entry: PairOrder) -> None:
        """Recovery: the entry order of a pair that an earlier process held, and the prices it was decided on."""
        self._book.adopt(entry)
        for leg in entry.legs:
            self._quotes.note_price(leg.symbol, Decimal(repr(leg.reference_price)))

    def is_unfinished(self, pair_id: str) -> bool:
        """Under way, or open although somebody has closed a part of it."""
        state = self._ledger.state(pair_id)
        return state.is_busy or (state is PairState.OPEN and self._is_a_rest(pair_id))

    async def finish_interrupted(self, pair_id: str) -> None:
        """Recovery: bring a pair that was under way to OPEN or to FLAT. Needs a market that moves."""
        while pair_id in self._busy:
            await self._busy[pair_id].wait()
        if not self._book.knows(pair_id):
            return  # someone else has finished it meanwhile
        entry = self._book.entry(pair_id)
        self._unhedged.look(pair_id, self._clock.now_ms())
        with self._only_one(pair_id):
            try:
                await self._finish(entry, None)
            except JournalUnwritable as error:
                await self._wait_for_disk(entry, error)

    def mend(self, pair_id: str) -> None:
        """Finish it beside whatever else is done; a person hears of it when that fails."""
        task = asyncio.get_running_loop().create_task(self.finish_interrupted(pair_id))
        self._mending.add(task)
        task.add_done_callback(partial(self._on_mended, pair_id))

    def note_robbed(self, pair_id: str, symbol: str) -> None:
        """A pair lost a leg, or a part of one, to somebody else: after what is under way, the rest goes too."""
        self._book.robbed[pair_id] = f"closed_elsewhere:{symbol}"

    def _close_rest(self, pair_id: str, symbol: str) -> None:
        """At once, or by whoever is at it. During a recovery that is for whoever finishes what it found: nothing is
        sent before ledger and exchange agree."""
        self.note_robbed(pair_id, symbol)
        if pair_id in self._busy:
            self.urgency.hurry(pair_id)
        elif not self.is_recovering:
            self.mend(pair_id)

    def _on_mended(self, pair_id: str, task: asyncio.Task[None]) -> None:
        self._mending.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("mending_failed pair=%s", pair_id, exc_info=error)
            self._book.halt(f"engine_error:{pair_id}")
            self._book.alarm(
                f"the rest of {pair_id} could not be closed: {error!r}; close it by hand", pair_id, critical=True
            )

    async def _close_robbed(self, pair_id: str) -> None:
        if self._ledger.state(pair_id) is PairState.OPEN and pair_id in self._book.robbed:
            await self._leaving.close_rest(pair_id, self._book.robbed[pair_id])

    async def flatten(self, pair_id: str, reason: str) -> None:
        """An emergency: close what the pair holds, each leg as soon as it can be, after what is under way for it.

        Ends FLAT, or HALTED when it would not close this time.
        """
        while pair_id in self._busy:
            await self._busy[pair_id].wait()
        if self._ledger.state(pair_id) is PairState.FLAT:
            return
        entry = self._book.entry(pair_id)
        with self._only_one(pair_id):
            try:
                if self._ledger.state(pair_id) is PairState.OPEN:
                    self._ledger.begin_exit(pair_id, when=self._book.now(), zscore=None, reason=reason)
                    await self._leaving.flatten(pair_id, PairState.EXITING, None, reason)
                else:
                    await self._finish(entry, None)
            except JournalUnwritable as error:
                self.on_unwritable(error)

    def _reason_against(self, send: LegSend) -> str | None:
        """Asked before each send. What leaves a pair always goes; a hedge goes unless there is an emergency."""
        if send.action != "enter":
            return None
        if self.urgency.is_on:
            return "emergency_stop"
        if self._guard.breaker is Breaker.CLOSED or self._is_hedge(send):
            return None
        return f"breaker_{self._guard.breaker.value}"

    def _is_hedge(self, send: LegSend) -> bool:
        """Another leg has filled more than this one."""
        entry = self._book.entry(send.pair_id)
        shares = {leg.symbol: self._evenness.share(entry, leg) for leg in entry.legs}
        return max(shares.values()) > shares[send.symbol]

    @contextmanager
    def _only_one(self, pair_id: str) -> Iterator[None]:
        free = self._busy[pair_id] = asyncio.Event()
        try:
            yield
        finally:
            del self._busy[pair_id]
            self.urgency.calm(pair_id)
            free.set()

    async def _finish(self, entry: PairOrder, order: PairOrder | None) -> None:
        """From whatever state the pair is in; ``order`` is the exit that the strategy waits for, if it does."""
        state = self._ledger.state(entry.pair_id)
        if state in (PairState.ENTERING, PairState.HEDGING):
            await self._entering.complete(entry)
        elif state is PairState.EXITING and self._book.has_filled(entry) and self._evenness.is_even(entry):
            await self._leaving.leave(entry, order)
        elif state is PairState.OPEN and self._is_a_rest(entry.pair_id):
            await self._leaving.close_rest(entry.pair_id, self._book.robbed.get(entry.pair_id, "one_leg_gone"))
        elif state is PairState.UNWINDING:
            await self._leaving.go_on_unwinding(entry)
        elif state.is_busy:
            _, _, reason = self._ledger.exit_of(entry.pair_id)
            await self._leaving.flatten(entry.pair_id, state, order, reason or "recovered")
        await self._close_robbed(entry.pair_id)

    async def _wait_for_disk(self, order: PairOrder, error: JournalUnwritable) -> None:
        """Nothing is sent that is not on disk first: a half-done pair waits, with an alarm, until the disk writes."""
        self.on_unwritable(error)
        pair_id = order.pair_id
        entry = self._book.entry(pair_id) if self._book.knows(pair_id) else None
        if entry is None or self._ledger.state(pair_id) is PairState.ENTERING and not self._ledger.has_traded(pair_id):
            self._book.forget(order)
            self._book.fail(order, "journal_unwritable")
            return
        leaving = order if order.action is Action.EXIT else None
        while self._book.knows(pair_id):
            await asyncio.sleep(DISK_POLL_S)
            with suppress(JournalUnwritable):
                await self._finish(entry, leaving)
                return

    def _is_a_rest(self, pair_id: str) -> bool:
        """Of an open pair: somebody else has closed a part. A step alone may leave legs that are only nearly even."""
        entry, evenness = self._book.entry(pair_id), self._evenness
        return pair_id in self._book.robbed or not (evenness.is_even(entry) or evenness.is_hedged(entry))

    def _is_even(self, pair_id: str) -> bool:
        return not self._book.knows(pair_id) or self._evenness.is_even(self._book.entry(pair_id))

    async def _ask_why(self, symbol: str) -> None:
        await self.on_nothing_to_reduce(symbol)

    # what is booked and told

    def _on_fill(self, send: LegSend, fill: Fill) -> None:
        self._ledger.apply_fill(
            send.pair_id,
            fill.symbol,
            fill.position_change,
            fill.price,
            fee=fill.fee,
            reference_price=send.reference_price,
        )
        self._bus.publish(LegFilled(send.pair_id, send.ref, fill, send.reference_price))

    def _on_foreign_fill(self, fill: Fill) -> None:
        if fill.symbol in self._rules:
            self._strangers.take(fill)

    def _on_refused_key(self, reason: str) -> None:
        self._book.halt("key_refused")
        self._book.alarm(
            f"the exchange takes no orders with this API key ({reason}); nothing more is opened. Renew the key or its "
            "permissions, then `tandem resume CONFIG`; until then open pairs must be watched by hand",
            None,
            critical=True,
        )

    def on_wire_guard(self, reason: str) -> None:
        """The last counter before the wire has refused an order: who sent it has a defect."""
        self._book.halt(reason.split(": ")[0])
        self._book.alarm(f"an order was held back, nothing more is opened: {reason}", None, critical=True)

    def on_unwritable(self, error: JournalError) -> None:
        self._book.halt("journal_unwritable")
        self._book.alarm(f"nothing more is sent: {error}", None, critical=True)


async def _no_one_knows(symbol: str) -> None:
    """Until someone can find out why there is nothing to reduce."""
