"""The account's own stream: listen keys, subscribers, and the exchange's events in the order a client expects."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from brokers.desk.core import Core
from brokers.desk.refusals import Refusal
from brokers.desk.sockets import StreamSocket
from brokers.desk.stream_faults import EventFaults
from brokers.desk.wire_plan import WirePlan
from brokers.simulated.orders import Order
from ccxt_bt_bridge.words import Connection, Fill, FundingPayment, OrderReport, OrderStatus

Event = dict[str, Any]
SETTLE_S = 0.05  # how long an order's end waits for the trade that belongs before it
ENDED = {OrderStatus.CANCELED: "CANCELED", OrderStatus.EXPIRED: "EXPIRED", OrderStatus.REJECTED: "REJECTED"}


class EventWriter(Protocol):
    """A dialect's user events."""

    def order(self, order: Order, execution: str) -> list[Event]: ...
    def triggered(self, order: Order) -> list[Event]: ...
    def fill(self, fill: Fill, order: Order) -> list[Event]: ...
    def funding(self, payment: FundingPayment) -> list[Event]: ...


class ListenKeys:
    """Keys that open a user stream; each lives ``life_s`` from its last renewal (60 minutes at Binance)."""

    def __init__(self, *, life_s: float, loop_time: Callable[[], float]) -> None:
        self._life_s, self._time = life_s, loop_time
        self._by_api_key: dict[str, str] = {}
        self._expires_s: dict[str, float] = {}
        self._made = 0

    def open(self, api_key: str) -> str:
        """The API key's listen key, renewed; a new one when it has none alive."""
        key = self._by_api_key.get(api_key)
        if key is None or not self.is_alive(key):
            self._made += 1
            key = hashlib.sha256(f"{api_key} {self._made}".encode()).hexdigest()
            self._by_api_key[api_key] = key
        self._expires_s[key] = self._time() + self._life_s
        return key

    def renew(self, api_key: str) -> str:
        """Raises -1125 when there is none alive."""
        key = self._by_api_key.get(api_key)
        if key is None or not self.is_alive(key):
            raise Refusal(-1125, "This listenKey does not exist.")
        return self.open(api_key)

    def drop(self, key: str) -> None:
        self._expires_s.pop(key, None)

    def expire_all(self) -> None:
        self._expires_s.clear()

    def drop_of(self, api_key: str) -> None:
        self.drop(self._by_api_key.get(api_key, ""))

    def is_alive(self, key: str) -> bool:
        return self._time() < self._expires_s.get(key, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """``listen_key`` None: a signed subscription, which does not run out. ``number``: its id on the WebSocket API."""

    socket: StreamSocket
    listen_key: str | None
    number: int | None = None

    def tell(self, event: Event) -> None:
        self.socket.post(json.dumps(event if self.number is None else {"subscriptionId": self.number, "event": event}))


class UserStreams:
    """Tells every listener what the exchange says of the account."""

    def __init__(self, core: Core, writer: EventWriter, keys: ListenKeys, plan: WirePlan) -> None:
        self._core, self._writer, self.keys = core, writer, keys
        self.listeners: dict[Listener, None] = {}
        self._introduced = {str(order.order_id) for order in core.venue.open_orders()}
        self._told = {str(order.order_id): order.filled for order in core.venue.open_orders()}
        self._triggered = {order.order_id for order in core.venue.open_orders() if order.is_triggered}
        self._ends: dict[str, OrderReport] = {}
        self._faults = EventFaults(plan, self.sockets, keys.expire_all)

    def sockets(self) -> set[StreamSocket]:
        """Every connection that hears of the account."""
        return {listener.socket for listener in self.listeners}

    def add(self, listener: Listener) -> None:
        self.listeners[listener] = None

    def forget(self, socket: StreamSocket) -> None:
        for listener in [one for one in self.listeners if one.socket is socket]:
            del self.listeners[listener]

    async def run(self) -> None:
        async for event in self._core.exchange.events():
            if isinstance(event, OrderReport):
                self._take_report(event)
            elif isinstance(event, Fill):
                self._take_fill(event)
            elif isinstance(event, FundingPayment):
                self.publish(self._writer.funding(event))
            elif isinstance(event, Connection) and not event.is_up:
                for socket in self.sockets():
                    socket.close(1012)

    async def run_expiry(self) -> None:
        """Tell listeners whose key has run out, once, and leave them in silence."""
        while True:
            await asyncio.sleep(0.25)
            for one in tuple(self.listeners):
                if one.listen_key is not None and not self.keys.is_alive(one.listen_key):
                    now = self._core.now_ms()
                    one.tell({"e": "listenKeyExpired", "E": now, "listenKey": one.listen_key})
                    del self.listeners[one]

    def publish(self, events: list[Event]) -> None:
        for event in events:
            self._faults.strike(event, self._core.now_ms())
            self._send(event)

    def _send(self, event: Event) -> None:
        for listener in tuple(self.listeners):
            if listener.listen_key is None or self.keys.is_alive(listener.listen_key):
                listener.tell(event)

    def _take_report(self, report: OrderReport) -> None:
        order = self._core.venue.orders.by_id(report.order_id)
        if order is None:
            return
        self._introduce(order)
        if report.status not in ENDED:
            return
        self._ends[report.order_id] = report
        if self._told.get(report.order_id, 0) >= report.filled:
            self._end(order)
        else:
            asyncio.get_running_loop().call_later(SETTLE_S, self._end, order)

    def _take_fill(self, fill: Fill) -> None:
        order = self._core.order_of(fill)
        if order is None:
            return
        self._told[fill.order_id] = self._told.get(fill.order_id, Decimal(0)) + fill.amount
        self.publish(self._writer.fill(fill, order))
        held = self._ends.get(fill.order_id)
        if held is not None and self._told[fill.order_id] >= held.filled:
            self._end(order)

    def _introduce(self, order: Order) -> None:
        """An order's first event is that it is new, also when it traded in the same moment; then its trigger."""
        if str(order.order_id) not in self._introduced:
            self._introduced.add(str(order.order_id))
            self.publish(self._writer.order(order, "NEW"))
        if order.is_triggered and order.order_id not in self._triggered:
            self._triggered.add(order.order_id)
            self.publish(self._writer.triggered(order))

    def _end(self, order: Order) -> None:
        report = self._ends.pop(str(order.order_id), None)
        if report is not None:
            self.publish(self._writer.order(order, ENDED[report.status]))
