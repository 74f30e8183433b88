"""The life of one exchange order: durable intent, one send, a certain end.

One intent is at most one POST, ever. What the answer does not prove is asked for, by our own id, until it is known.
Fills are booked once, by trade id, whichever way they arrive.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.words import (
    Absent,
    Ambiguous,
    Cancelled,
    Fill,
    Found,
    LookupOutcome,
    NotPlaced,
    OrderReport,
    OrderRequest,
    Placed,
    Side,
)
from trading.events import Alarm, EventBus, OrderFinished, OrderSent
from trading.execution.outcome_notes import OutcomeNote, OutcomeNotes
from trading.journal.errors import JournalError, JournalUnwritable
from trading.journal.words import Intent, IntentState, client_id_prefix, client_order_id
from trading.journal.writer import Journal

ZERO = Decimal(0)
POLL_S = (1.0, 2.0, 5.0, 10.0)
LOST = "absent"  # why an order was not placed that never reached the exchange
RESOLVE_S = (0.5, 1.0, 2.0)
FILLS_OVERLAP_MS = 60_000
KEY_REFUSED = ("-2014", "-2015", "-1022", "-1002")


@dataclass(frozen=True, slots=True)
class LegSend:
    """One order the engine wants sent. ``amount`` is signed; ``timeout_s`` None: wait until it is done.

    ``limit_price`` None: a market order.
    """

    pair_id: str
    ref: str
    action: str
    leg: int
    symbol: str
    amount: Decimal
    reduce_only: bool
    reference_price: Decimal
    timeout_s: float | None = None
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LegOutcome:
    """``filled`` is signed like the amount sent. ``placed`` False: the exchange proved that nothing was placed."""

    client_order_id: str
    filled: Decimal
    placed: bool
    reason: str


@dataclass(slots=True)
class _Watch:
    """An order under way."""

    send: LegSend
    request: OrderRequest
    created_ms: int
    booked: Decimal = ZERO
    report: OrderReport | None = None
    is_unwanted: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, report: OrderReport) -> None:
        """Keep what says more: reports may come twice and out of order."""
        known = self.report
        if known is None or report.filled > known.filled or (report.status.is_done and not known.status.is_done):
            self.report = report
        self.changed.set()

    @property
    def is_done(self) -> bool:
        return self.report is not None and self.report.status.is_done

    @property
    def is_settled(self) -> bool:
        return self.is_done and self.report is not None and self.booked >= self.report.filled


class LegOrders:
    """Sends single orders of the engine and books their fills through ``on_fill(send, fill)``."""

    def __init__(self, port: TradingPort, journal: Journal, clock: Clock, bus: EventBus, *, bot_id: str) -> None:
        self._port = port
        self._bot_id = bot_id
        self._journal = journal
        self._clock = clock
        self._bus = bus
        self._watches: dict[str, _Watch] = {}
        self._notes = OutcomeNotes(journal)
        self.own_prefix = client_id_prefix(bot_id)
        self.bookings = 0
        self.on_foreign_fill: Callable[[Fill], None] = lambda fill: None
        self.on_fill: Callable[[LegSend, Fill], None] = lambda send, fill: None
        self.on_refused_key: Callable[[str], None] = lambda reason: None
        self.on_unwritable: Callable[[JournalError], None] = lambda error: None
        self.reason_against: Callable[[LegSend], str | None] = lambda send: None

    def use(self, port: TradingPort) -> None:
        """From now on the same account is reached this way."""
        self._port = port

    def is_own(self, client_order_id: str) -> bool:
        """True for an order of this bot, whichever process sent it."""
        return client_order_id.startswith(self.own_prefix)

    def is_under_way(self, client_order_id: str) -> bool:
        return client_order_id in self._watches

    async def send(self, send: LegSend) -> LegOutcome:
        """Send once and wait for the end. Raises JournalUnwritable before anything was sent when the disk refuses."""
        against = self.reason_against(send)
        if against:
            self._note_unsent(send, against)
            return LegOutcome("", ZERO, False, f"local {against}")
        self._notes.write_owed()
        with self._journal.transaction():
            watch = _watch(send, self._new_id(send), self._clock.now_ms())
            self._journal.write_intent(_intent(watch))
        self._watches[watch.request.client_order_id] = watch
        self._bus.publish(OrderSent(ms_to_datetime(watch.created_ms), _intent(watch)))
        outcome = await self._create(watch)
        self._finish(watch, outcome)
        return outcome

    async def resume(self, intents: Sequence[Intent]) -> None:
        """Bring intents of an earlier process to their ends: looked up, cancelled if they still work, never resent.

        All of them are listened for before the first is asked about: any may still fill.
        """
        for watch in [self._taken_up(intent) for intent in intents]:
            self._finish(watch, await self._resolve(watch, "an earlier process ended before it knew"))

    def _taken_up(self, intent: Intent) -> _Watch:
        send = LegSend(
            pair_id=intent.pair_id,
            ref=intent.ref,
            action=intent.action,
            leg=intent.leg,
            symbol=intent.symbol,
            amount=intent.amount * intent.side.sign,
            reduce_only=intent.reduce_only,
            reference_price=Decimal(repr(intent.reference_price)),
            timeout_s=0.0,
        )
        watch = self._watches[intent.client_order_id] = _watch(send, intent.client_order_id, intent.created_ms)
        known = self._journal.fills_of(intent.pair_id, intent.ref)
        watch.booked = sum((f.amount for f in known if f.client_order_id == intent.client_order_id), ZERO)
        return watch

    async def withdraw(self, *, only_entries: bool = False) -> tuple[str, ...]:
        """Cancel what is under way, now; an order not yet answered is cancelled as soon as it proves to work.

        The ids that the exchange says it has cancelled.
        """
        watches = [w for w in self._watches.values() if w.send.action == "enter" or not only_entries]
        for watch in watches:
            watch.is_unwanted = True
        answers = await asyncio.gather(*(self._cancel(watch) for watch in watches if not watch.is_done))
        return tuple(answer for answer in answers if answer)

    async def _cancel(self, watch: _Watch) -> str | None:
        match await self._port.cancel_order(watch.send.symbol, watch.request.client_order_id):
            case Cancelled(report):
                watch.take(report)
                return report.client_order_id
        watch.changed.set()  # whoever waits for it looks anew, and cancels again what still works
        return None

    def book(self, fill: Fill) -> None:
        """A fill from any source: the user stream, a lookup, recovery. Known ones change nothing."""
        watch = self._watches.get(fill.client_order_id)
        if watch is None:
            self._note_foreign(fill)
            return
        try:
            is_new = self._journal.record_fill(fill, watch.send.pair_id, watch.send.ref)
        except JournalUnwritable as error:
            self.on_unwritable(error)  # whoever waits for this order asks for its fills again
            return
        if is_new:
            self.bookings += 1
            watch.booked += fill.amount
            self.on_fill(watch.send, fill)
        watch.changed.set()

    def _note_foreign(self, fill: Fill) -> None:
        """A fill of no order under way: a late copy of one that is booked, or something nobody here has asked for."""
        try:
            if not self._journal.has_fill(fill):
                self.bookings += 1
                self.on_foreign_fill(fill)
        except JournalError as error:
            self.on_unwritable(error)  # the next reconciliation asks for it again

    def working_symbols(self) -> frozenset[str]:
        """Of orders that are under way: what the exchange holds of them may be ahead of the ledger."""
        return frozenset(watch.send.symbol for watch in self._watches.values())

    def working_since_ms(self, symbol: str) -> float:
        """When the oldest order of it that is under way was made; infinite without one."""
        return min((w.created_ms for w in self._watches.values() if w.send.symbol == symbol), default=math.inf)

    def take_report(self, report: OrderReport) -> None:
        watch = self._watches.get(report.client_order_id)
        if watch is not None:
            watch.take(report)

    # the parts

    def _new_id(self, send: LegSend) -> str:
        return client_order_id(self._bot_id, self._journal.epoch, self._journal.next_sequence(), send.leg, send.action)

    async def _create(self, watch: _Watch) -> LegOutcome:
        match await self._port.create_order(watch.request):
            case Placed(report):
                if not report.status.is_done:  # its end is written soon enough
                    self._note(replace(_intent(watch), state=IntentState.PLACED), f"accepted as {report.order_id}")
                watch.take(report)
                return await self._until_settled(watch)
            case NotPlaced(code, reason):
                if code in KEY_REFUSED:
                    self.on_refused_key(f"{code} {reason}")
                return LegOutcome(watch.request.client_order_id, ZERO, False, f"{code} {reason}")
            case Ambiguous(reason):
                self._note(replace(_intent(watch), state=IntentState.UNKNOWN), reason)
                return await self._resolve(watch, reason)

    async def _resolve(self, watch: _Watch, reason: str) -> LegOutcome:
        """Ask by our own id until the exchange says found, or absent for good."""
        self._alarm(watch, f"order {watch.request.client_order_id} is uncertain ({reason}); asking the exchange")
        tries = 0
        while True:
            if watch.report is not None:
                return await self._until_settled(watch)
            match await self._look_up(watch):
                case Found(report):
                    watch.take(report)
                case Absent() if watch.report is None and not watch.booked:
                    return LegOutcome(watch.request.client_order_id, ZERO, False, LOST)
                case _:
                    await asyncio.sleep(RESOLVE_S[min(tries, len(RESOLVE_S) - 1)])
            tries += 1

    async def _until_settled(self, watch: _Watch) -> LegOutcome:
        """Wait for a terminal report with all its fills booked; the stream may lose, so poll as well."""
        tries = 0
        if watch.is_unwanted and not watch.is_done:
            await self._cancel(watch)
        while not watch.is_settled:
            watch.changed.clear()
            try:
                async with asyncio.timeout(self._patience_s(watch, tries)):
                    await watch.changed.wait()
            except TimeoutError:
                tries += 1
                await self._poll(watch)
            if self._is_overdue(watch) and not watch.is_done:
                await self._cancel(watch)
                await self._poll(watch)  # a fill may have come with the cancel, and it counts
        sign = watch.request.side.sign
        report = watch.report
        assert report is not None
        return LegOutcome(watch.request.client_order_id, watch.booked * sign, True, report.status.value)

    async def _poll(self, watch: _Watch) -> None:
        match await self._look_up(watch):
            case Found(report):
                watch.take(report)
        if watch.report is not None and watch.booked < watch.report.filled:
            await self._fetch_fills(watch)

    async def _fetch_fills(self, watch: _Watch) -> None:
        try:
            fills = await self._port.fills(since_ms=max(0, watch.created_ms - FILLS_OVERLAP_MS))
        except ExchangeUnreachable:
            return
        for fill in fills:
            if fill.client_order_id == watch.request.client_order_id:
                self.book(fill)

    async def _look_up(self, watch: _Watch) -> LookupOutcome:
        return await self._port.fetch_order(watch.send.symbol, watch.request.client_order_id)

    def _patience_s(self, watch: _Watch, tries: int) -> float:
        """Until the next look: no longer than until the order has had its time."""
        left_s = self._left_s(watch)
        patience_s = POLL_S[min(tries, len(POLL_S) - 1)]
        return min(patience_s, left_s) if left_s > 0 else patience_s

    def _is_overdue(self, watch: _Watch) -> bool:
        return self._left_s(watch) <= 0

    def _left_s(self, watch: _Watch) -> float:
        """In whole milliseconds, as the clock: virtual time may be too coarse for less, and would stand still."""
        timeout_s = 0.0 if watch.is_unwanted else watch.send.timeout_s
        if timeout_s is None:
            return math.inf
        return (round(timeout_s * 1000.0) - (self._clock.now_ms() - watch.created_ms)) / 1000.0

    def _note(self, intent: Intent, text: str, report: OrderReport | None = None) -> None:
        try:
            self._notes.write(OutcomeNote(intent, text, self._clock.now_ms(), report))
        except JournalUnwritable as error:
            self.on_unwritable(error)

    def _note_unsent(self, send: LegSend, against: str) -> None:
        try:
            text = f"{send.action} leg {send.leg + 1}, {send.symbol}: {against}"
            self._notes.write_unsent(send.ref, text, self._clock.now_ms())
        except JournalUnwritable as error:
            self.on_unwritable(error)

    def _finish(self, watch: _Watch, outcome: LegOutcome) -> None:
        report = watch.report
        done = replace(
            _intent(watch),
            state=IntentState.DONE if outcome.placed else IntentState.NOT_PLACED,
            filled=abs(outcome.filled),
            average=report.average if report else None,
        )
        self._note(done, outcome.reason, report)
        del self._watches[outcome.client_order_id]
        now_ms = self._clock.now_ms()
        self._bus.publish(
            OrderFinished(
                time=ms_to_datetime(now_ms),
                intent=done,
                status=outcome.reason,
                latency_ms=now_ms - watch.created_ms,
                order_id=report.order_id if report else None,
            )
        )

    def _alarm(self, watch: _Watch, message: str) -> None:
        self._bus.publish(Alarm(ms_to_datetime(self._clock.now_ms()), message, watch.send.pair_id))


def _watch(send: LegSend, client_id: str, created_ms: int) -> _Watch:
    request = OrderRequest(
        client_order_id=client_id,
        symbol=send.symbol,
        side=Side.BUY if send.amount > 0 else Side.SELL,
        amount=abs(send.amount),
        type="market" if send.limit_price is None else "limit",
        price=send.limit_price,
        reduce_only=send.reduce_only,
        group=send.ref,
        closes=send.action != "enter",
    )
    return _Watch(send, request, created_ms)


def _intent(watch: _Watch) -> Intent:
    send, request = watch.send, watch.request
    return Intent(
        client_order_id=request.client_order_id,
        pair_id=send.pair_id,
        ref=send.ref,
        action=send.action,
        leg=send.leg,
        symbol=send.symbol,
        side=request.side,
        amount=request.amount,
        reduce_only=send.reduce_only,
        created_ms=watch.created_ms,
        reference_price=float(send.reference_price),
    )
