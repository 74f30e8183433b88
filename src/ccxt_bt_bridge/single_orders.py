"""Backtrader's orders at an exchange, one by one: sent once, followed to their end, every fill counted once.

Everything here runs on the exchange loop; Backtrader's thread only posts and drains. What became of an order is known
by the exchange's answers alone: after an ambiguous one it is asked until it says found or absent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from ccxt_bt_bridge.account_follower import LOOK_BACK_MS, AccountFollower
from ccxt_bt_bridge.broker import CashView, OrderTicket, OrderUpdate, UpdateKind
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import BridgeClosed, ExchangeUnreachable
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.order_ledger import LedgerOrder, OrderLedger
from ccxt_bt_bridge.pause import Pause
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.ticket_requests import Refused, request_for
from ccxt_bt_bridge.words import (
    Absent,
    Account,
    Ambiguous,
    Cancelled,
    Connection,
    Fill,
    Found,
    FundingPayment,
    Market,
    NotCancelled,
    NotPlaced,
    OrderReport,
    Placed,
    PositionReport,
    UserEvent,
)

FILLS_LATE_MS = 1_000  # the stream's time to bring the fills that a report speaks of, before they are asked for
PASSING = ("local", "-1003", "-1015", "-1021")  # refusals that say nothing of the order: ask again
MARGIN_CODES = ("-2018", "-2019", "-4050", "-4051")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

log = logging.getLogger(__name__)


class SingleOrderGateway:
    """An ``OrderGateway`` over any ``TradingPort``. ``start`` before the first order, ``close`` at the end.

    ``markets``: rules by the port's symbols. ``id_prefix``: begins our client order ids (at most 16 characters); the
    time of construction and a counter follow, so that no id comes twice. ``tell`` hears sentences for the person,
    ``on_defect`` an error that should not exist. Both are called on the loop.
    """

    def __init__(
        self,
        loop: LoopThread,
        trading: TradingPort,
        markets: Mapping[str, Market],
        *,
        clock: Clock,
        tell: Callable[[str], None],
        on_defect: Callable[[BaseException], None],
        id_prefix: str = "bt",
    ) -> None:
        self.updates: deque[OrderUpdate] = deque()
        self._loop, self._trading, self._markets, self._clock = loop, trading, markets, clock
        self._say, self._on_defect = tell, on_defect
        self._ids = f"{id_prefix}-{_base36(clock.now_ms())}"
        self._count = 0
        self._ledger = OrderLedger(self._publish, self._on_over)
        self._follower = AccountFollower(trading, markets, self._ledger, clock=clock, tell=tell)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: dict[LedgerOrder, asyncio.Task[None]] = {}
        self._expiries: dict[LedgerOrder, asyncio.Task[None]] = {}
        self._cancelling: set[LedgerOrder] = set()
        self._asking: set[LedgerOrder] = set()

    async def start(self) -> tuple[PositionReport, ...]:
        """The positions from before; from now on the account is followed. Raises ``ExchangeUnreachable``."""
        events = self._trading.events()
        positions = await self._follower.start()
        for report in await self._trading.open_orders():
            self._say(f"an order that this run did not send is open: {report.client_order_id} of {report.symbol}")
        self._keep(self._listen(events), "user stream")
        self._keep(self._follower.follow(), "account")
        return positions

    async def close(self) -> None:
        """Stop following. Open orders stay at the exchange, and are named."""
        for order in self._ledger.orders:
            self._say(f"order {order.client_order_id} of {order.request.symbol} may still be open at the exchange")
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def take_closes(self, closes: Mapping[str, float]) -> None:
        """The last closes by symbol, for ``cash_view`` and for minimum sizes. On the loop."""
        self._follower.account.take_closes(closes)

    # Backtrader's thread

    def submit(self, ticket: OrderTicket) -> None:
        self._post(self._begin, ticket)

    def cancel(self, ref: int) -> None:
        self._post(self._begin_cancel, ref)

    def cash_view(self) -> CashView:
        return self._follower.account.view

    def _post(self, act: Callable[..., None], *values: Any) -> None:
        if self._loop.loop.is_closed():
            raise BridgeClosed("the bridge has been stopped: no order can be sent or cancelled any more")
        self._loop.loop.call_soon_threadsafe(act, *values)

    # sending

    def _begin(self, ticket: OrderTicket) -> None:
        now_ms, until_ms = self._clock.now_ms(), ticket.terms.valid_until_ms
        if until_ms is not None and until_ms <= now_ms:
            self._refuse(ticket, UpdateKind.EXPIRED, "its time was over before it could be sent")
            return
        self._count += 1
        client_id = f"{self._ids}-{_base36(self._count)}"
        market, last_price = self._markets.get(ticket.symbol), self._follower.account.close(ticket.symbol)
        request = request_for(ticket, client_id, market=market, last_price=last_price)
        if isinstance(request, Refused):
            self._refuse(ticket, UpdateKind.REJECTED, request.reason)
            return
        order = self._ledger.open(ticket, request, now_ms)
        self._sending[order] = self._keep(self._send(order), f"order {client_id}")
        if until_ms is not None:
            self._expiries[order] = self._keep(self._expire(order, until_ms), f"expiry of {client_id}")

    async def _send(self, order: LedgerOrder) -> None:
        """Once. Returns when it is known whether the exchange has it."""
        match await self._trading.create_order(order.request):
            case Placed(report):
                self._take_report(report)
            case NotPlaced(code, reason):
                self._ledger.end(order, _refusal_kind(code, reason), f"{reason} ({code})")
            case Ambiguous(reason):
                log.warning("order_ambiguous id=%s reason=%s", order.client_order_id, reason)
                await self._find(order)

    async def _find(self, order: LedgerOrder) -> None:
        """Ask until the exchange has said what it knows of the order."""
        pause = Pause(self._clock)
        while not order.is_over:
            match await self._trading.fetch_order(order.request.symbol, order.client_order_id):
                case Found(report):
                    self._take_report(report)
                    return
                case Absent():
                    kind = UpdateKind.REJECTED if order.report is None else UpdateKind.CANCELED
                    self._ledger.end(order, kind, "the exchange does not know this order")
                    return
            await pause.sleep()

    # cancelling

    async def _expire(self, order: LedgerOrder, until_ms: int) -> None:
        await self._clock.sleep_until(until_ms)
        order.is_expiring = True
        self._begin_cancel(order.ticket.ref)

    def _begin_cancel(self, ref: int) -> None:
        order = self._ledger.by_ref(ref)
        if order is not None and order not in self._cancelling:
            self._cancelling.add(order)
            self._keep(self._cancel(order), f"cancel of {order.client_order_id}")

    async def _cancel(self, order: LedgerOrder) -> None:
        """Until nothing of it is open: to cancel again does no harm, unlike to send again."""
        await self._until_sent(order)
        pause = Pause(self._clock)
        while not (order.is_over or order.is_done_there):
            outcome = await self._trading.cancel_order(order.request.symbol, order.client_order_id)
            if isinstance(outcome, Cancelled):
                self._take_report(outcome.report)
                return
            await self._find(order)
            may_pass = order.is_expiring or (isinstance(outcome, NotCancelled) and outcome.code in PASSING)
            if isinstance(outcome, NotCancelled) and not (order.is_over or order.is_done_there or may_pass):
                self._say(f"order {order.client_order_id} could not be cancelled: {outcome.reason} ({outcome.code})")
                self._cancelling.discard(order)
                return
            await pause.sleep()

    # what the exchange says

    async def _listen(self, events: AsyncIterator[UserEvent]) -> None:
        async for event in events:
            self._take_event(event)

    def _take_event(self, event: UserEvent) -> None:
        match event:
            case Fill():
                self._follower.book([event])
            case OrderReport():
                self._take_report(event)
            case Account():
                self._follower.hear(event)
            case FundingPayment(time_ms=time_ms):
                self._follower.has_changed(time_ms)
            case Connection(stream="user", is_up=True):
                self._keep(self._follower.correct_positions(), "positions after a silence")

    def _take_report(self, report: OrderReport) -> None:
        order = self._ledger.take_report(report)
        if order is None or order.request.type != "market":
            self._follower.has_changed(report.time_ms + 1)  # a resting order locks cash: USD-M tells no balance then
        if order is not None and order.lacks_fills and order not in self._asking:
            self._asking.add(order)
            self._keep(self._ask_for_fills(order), f"fills of {order.client_order_id}")

    async def _ask_for_fills(self, order: LedgerOrder) -> None:
        await self._clock.sleep_until(self._clock.now_ms() + FILLS_LATE_MS)
        pause = Pause(self._clock)
        while order.lacks_fills:
            try:
                self._follower.book(await self._trading.fills(since_ms=order.sent_ms - LOOK_BACK_MS))
            except ExchangeUnreachable as error:
                log.warning("fills_unreachable id=%s reason=%s", order.client_order_id, error)
            if order.lacks_fills:
                await pause.sleep()
        self._asking.discard(order)

    async def _until_sent(self, order: LedgerOrder) -> None:
        sending = self._sending.get(order)
        if sending is not None:
            await asyncio.wait([sending])

    # telling Backtrader

    def _refuse(self, ticket: OrderTicket, kind: UpdateKind, reason: str) -> None:
        self._publish(OrderUpdate(kind, ticket.ref, ticket.key, reason=reason))

    def _publish(self, update: OrderUpdate) -> None:
        self.updates.append(update)
        self._loop.hub.kick()

    def _on_over(self, order: LedgerOrder) -> None:
        expiry = self._expiries.pop(order, None)
        if expiry is not None:
            expiry.cancel()
        self._sending.pop(order, None)
        self._cancelling.discard(order)

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("order_task_failed name=%s", task.get_name(), exc_info=error)
            self._on_defect(error)


def _refusal_kind(code: str, reason: str) -> UpdateKind:
    is_margin = code in MARGIN_CODES or "insufficient" in reason.lower()
    return UpdateKind.MARGIN if is_margin else UpdateKind.REJECTED


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, last = divmod(number, 36)
        digits = DIGITS[last] + digits
    return digits or "0"
