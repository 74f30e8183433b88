"""Trading on a real exchange through ccxt: orders sent once, and everything that becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from ccxt_bt_bridge.account_rows import trade_of_event
from ccxt_bt_bridge.background import Background
from ccxt_bt_bridge.binance_account import BinanceAccount
from ccxt_bt_bridge.binance_orders import BinanceOrders
from ccxt_bt_bridge.client_ids import ClientIds
from ccxt_bt_bridge.errors import ExchangeUnreachable, NotSupported
from ccxt_bt_bridge.lifeline import Lifeline
from ccxt_bt_bridge.merged_account import MergedAccount
from ccxt_bt_bridge.order_rows import order_event, stop_event
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.streams import Stream
from ccxt_bt_bridge.user_news import UserNews
from ccxt_bt_bridge.words import (
    Absent,
    Account,
    CancelOutcome,
    CreateOutcome,
    Fill,
    Found,
    FundingPayment,
    LookupOutcome,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderRequest,
    Placed,
    Unknown,
    UserEvent,
)

log = logging.getLogger(__name__)

OVERLAP_MS = 60_000  # trades are asked for from before the last time: they may be listed late
HOUR_MS = 3_600_000
QUIET_S = 60.0  # a user stream may well be silent: then the account is asked
SENDING_S = 0.5  # what ``close`` waits for orders under way


class CcxtTrading:
    """A ``TradingPort`` for ``symbols`` in the caller's spelling. ``client``: what it is for ("trading", "emergency");
    each has a limiter of its own, so that an emergency never queues.

    Raises ``MarketUnknown``, and ``NotSupported`` for an exchange where the bridge cannot tell a refusal from a lost
    answer, or a session without credentials. Nothing streams before ``start``.
    """

    def __init__(self, session: CcxtSession, symbols: Sequence[str], *, client: str = "trading") -> None:
        if not session.report.can_trade:
            raise NotSupported(str(session.report))
        if session.settings.credentials is None:
            raise NotSupported("orders need an API key and its secret; the session has none")
        self._session, self.purpose = session, client
        self._client = session.new_client()
        self._markets = {name: session.market_of(name) for name in symbols}
        self._names = session.names_by_id(symbols)
        # ccxt's limiter is one queue for all: no order may stand behind a reconciliation.
        self._stream = session.new_client()
        self._client_ids = ClientIds()
        self._orders = BinanceOrders(session, self._client, self._names, self._client_ids)
        self._lookups = BinanceOrders(session, self._stream, self._names, self._client_ids)
        self._reads = BinanceAccount(session, self._stream, self._markets, self._names, self._client_ids)
        self._loop = asyncio.get_running_loop()
        self._funding_asked_ms = 0
        self._news = UserNews()
        self._account = MergedAccount(self._reads, self._names)
        self._begun_ms = self._asked_ms = session.clock.now_ms()
        self._events: Stream[UserEvent] = Stream()
        self._background = Background(log, self._on_broken)
        self._sending: set[asyncio.Task[CreateOutcome]] = set()
        self._lifeline: Lifeline | None = None

    async def start(self) -> None:
        """Begin the user stream. The account and the open orders as they are now come first, then "up"."""
        if self._lifeline is not None:
            return
        self._lifeline = Lifeline(
            "user",
            self._stream,
            watch=self._watch,
            catch_up=self._reconcile,
            tell=self._events.publish,
            clock=self._session.clock,
            silent_after_s=None,
        )
        self._stream.listener = self._hear
        for work in (self._lifeline.run(), self._poll(), self._session.keep_warm(self._client)):
            self._background.keep(work)

    async def close(self) -> None:
        """End the stream. Orders under way get a moment to be answered. May be called again."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=SENDING_S)
        sending = list(self._sending)
        for task in sending:
            task.cancel()
        await asyncio.gather(self._background.end(), *sending, return_exceptions=True)
        self._stream.listener = None
        self._stream.break_streams("closed")
        self._events.end()

    # orders

    async def create_order(self, request: OrderRequest) -> CreateOutcome:
        """Goes on when the caller is cancelled: what was sent is then told by ``events`` and found by its id."""
        if request.symbol not in self._markets:
            return NotPlaced("local", f"{request.symbol} is none of the symbols that this account trades")
        self._session.sent.begin(request.symbol, request.client_order_id)
        task = self._loop.create_task(self._create(request))
        self._sending.add(task)
        task.add_done_callback(lambda _: self._session.sent.end(request.symbol, request.client_order_id))
        task.add_done_callback(self._sending.discard)
        return await asyncio.shield(task)

    async def _create(self, request: OrderRequest) -> CreateOutcome:
        outcome = await self._orders.create(request, self._markets[request.symbol])
        if isinstance(outcome, Placed):
            self._tell_order(outcome.report)
        log.info("order_sent id=%s outcome=%s", request.client_order_id, type(outcome).__name__)
        return outcome

    def withdraw_unsent(self) -> None:
        """Orders that have not left this machine yet never will; their senders hear that nothing was placed."""
        self._orders.withdraw_unsent()

    async def cancel_order(self, symbol: str, client_order_id: str) -> CancelOutcome:
        if symbol not in self._markets:
            return NotCancelled("local", f"{symbol} is none of the symbols that this account trades")
        return await self._orders.cancel(symbol, client_order_id)

    async def fetch_order(self, symbol: str, client_order_id: str) -> LookupOutcome:
        """``Absent`` only once the horizon is past since any client of the session sent it; of an earlier process,
        since this one began."""
        if symbol not in self._markets:
            return Unknown(f"{symbol} is none of the symbols that this account trades")
        asked_s = self._loop.time()
        found = await self._orders.look_up(symbol, client_order_id)
        if found is not None:
            return found
        if self._session.sent.is_under_way(symbol, client_order_id):
            return Unknown("it is being sent")
        age_s = self._session.sent.age_s(symbol, client_order_id, at_s=asked_s)
        left_s = self._session.horizon_ms / 1000.0 - age_s
        return Absent() if left_s <= 0 else Unknown(f"no such order so far; certain in {left_s:.1f} s")

    async def open_orders(self) -> Sequence[OrderReport]:
        return await self._lookups.open()

    # the account

    async def fills(self, *, since_ms: int) -> Sequence[Fill]:
        return await self._reads.fills(since_ms)

    async def funding(self, *, since_ms: int) -> Sequence[FundingPayment]:
        return await self._reads.funding(since_ms)

    async def account(self) -> Account:
        """With what the stream said while the question was out."""
        return await self._account.ask()

    # the stream

    def events(self) -> AsyncIterator[UserEvent]:
        return self._events.subscribe()

    async def _watch(self) -> None:
        self._stream.forget_listen_key()
        await self._stream.watch_orders()

    def _hear(self, kind: str, message: dict[str, Any]) -> None:
        if self._lifeline is None:
            return
        is_open = kind == "subscribed" or (kind == "connected" and "listenKey" in message["url"])
        if is_open:
            self._lifeline.opened()
        elif kind in ("order", "account"):
            self._lifeline.heard()
            self._session.hear_event(int(message.get("E") or 0))
            self._take(kind, message)

    def _take(self, kind: str, message: dict[str, Any]) -> None:
        """One raw event. What cannot be read is asked for instead."""
        try:
            if kind == "account":
                self._take_account(message)
            elif message.get("e") == "ALGO_UPDATE":
                self._take_stop(message.get("o") or message.get("ao"))
            else:
                self._take_order(message.get("o") if message.get("e") == "ORDER_TRADE_UPDATE" else message)
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            log.warning("user_event_unreadable event=%s reason=%r", message.get("e"), str(error))
            self._background.keep(self._reconcile_soon())

    def _take_order(self, event: Any) -> None:
        name = self._names.get(event["s"])
        report = order_event(event, name or event["s"])
        cid = self._client_ids.of(report.symbol, report.order_id) or report.client_order_id
        row = trade_of_event(event, cid) if name else None
        self._tell_order(replace(report, client_order_id=cid))
        if row is not None and name is not None:
            if not self._reads.fees.is_known(row.asset, self._markets[name]):
                self._background.keep(self._reads.fees.learn(row.asset, self._markets[name]))
            self._tell_fill(self._reads.fill(row, cid))

    def _take_stop(self, event: Any) -> None:
        report = stop_event(event, self._orders.name_of(event["s"]))
        if event.get("ai"):
            self._client_ids.learn(report.symbol, str(event["ai"]), report.client_order_id)
        self._tell_order(report)

    def _take_account(self, message: dict[str, Any]) -> None:
        account = self._account.hear(message)
        if account is None:
            self._background.keep(self._reconcile_soon())
            return
        if not self._tell_account(account) and account.free is not None:
            self._events.publish(account)  # what is free may have changed alone: an order rests, or does no more
        if message.get("a", {}).get("m") == "FUNDING_FEE":
            self._background.keep(self._funding_soon())

    def _tell_order(self, report: OrderReport) -> bool:
        if report.symbol not in self._markets:  # somebody else's business on the same account
            return False
        self._client_ids.learn(report.symbol, report.order_id, report.client_order_id)
        is_new = self._news.is_new_order(report)
        if is_new:
            self._events.publish(report)
        return is_new

    def _tell_fill(self, fill: Fill) -> bool:
        # What happened before is a reader's business, who asks for ``fills`` from wherever it left off.
        is_new = fill.time_ms >= self._begun_ms and self._news.is_new_fill(fill)
        if is_new:
            self._events.publish(fill)
        return is_new

    def _tell_account(self, account: Account) -> bool:
        is_new = self._news.is_new_account(account)
        if is_new:
            self._events.publish(account)
        return is_new

    # what the stream did not say

    async def _reconcile(self) -> bool:
        """Ask for orders, fills, funding and account, and publish what is new. Whether anything was."""
        # From when it was asked last, not from the last fill heard: one before that may have been missed.
        since_ms, now_ms = self._asked_ms - OVERLAP_MS, self._session.clock.now_ms()
        listed = await self._lookups.open(self._markets)
        still_open = {(order.symbol, order.order_id) for order in listed}
        gone = [order for order in self._news.open_orders if (order.symbol, order.order_id) not in still_open]
        looked_up = [await self._lookups.look_up(order.symbol, order.client_order_id) for order in gone]
        reports = [*listed, *(found.report for found in looked_up if isinstance(found, Found))]
        news = [self._tell_order(report) for report in reports]
        news += [self._tell_fill(fill) for fill in await self._reads.fills(since_ms)]
        await self._ask_for_funding(since_ms)
        account = await self._account.ask()
        self._asked_ms = now_ms
        return self._tell_account(account) or any(news)

    async def _ask_for_funding(self, since_ms: int, *, is_booked: bool = False) -> None:
        """Once after each full hour, and when the stream says that one was booked: the question is a dear one."""
        now_ms = self._session.clock.now_ms()
        if _full_hour(now_ms) == _full_hour(self._funding_asked_ms) and not is_booked:
            return
        # A payment may be listed minutes after its hour.
        since_ms = min(since_ms, _full_hour(self._funding_asked_ms or now_ms))
        for payment in await self._reads.funding(since_ms):
            if payment.time_ms >= _full_hour(self._begun_ms) and self._news.is_new_payment(payment):
                self._events.publish(payment)
        self._funding_asked_ms = now_ms

    async def _funding_soon(self) -> None:
        """One was booked: it is told now, or by the next reconciliation."""
        try:
            await self._ask_for_funding(self._asked_ms - OVERLAP_MS, is_booked=True)
        except ExchangeUnreachable as error:
            log.warning("funding_unread reason=%r", str(error))

    async def _reconcile_soon(self) -> None:
        try:
            await self._reconcile()
        except ExchangeUnreachable as error:
            log.warning("reconcile_failed reason=%r", str(error))
            if self._lifeline is not None:
                self._lifeline.cut("the account could not be read after an event")

    async def _poll(self) -> None:
        """A silent stream may be deaf: ask, and open it anew when it should have spoken."""
        while True:
            await asyncio.sleep(QUIET_S)
            lifeline = self._lifeline
            if lifeline is None or not lifeline.is_up or lifeline.silence_s < QUIET_S:
                continue
            try:
                if await self._reconcile():
                    lifeline.cut("silent while the account changed")
            except ExchangeUnreachable as error:
                log.warning("poll_failed reason=%r", str(error))
            except Exception:  # a defect in reading one answer must not end the asking for good
                log.exception("poll_broken")

    def _on_broken(self) -> None:
        if self._lifeline is not None:
            self._lifeline.cut("what the exchange said could not be read")


def _full_hour(time_ms: int) -> int:
    return time_ms - time_ms % HOUR_MS
