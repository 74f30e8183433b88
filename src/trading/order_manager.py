"""Single orders and what became of them: placed alone, or told by an engine; for callbacks and for other processes.

On an exchange that a running engine trades, an order is placed by that engine, with its checks and its journal. On any
other it is sent as it is: once, looked up by our own id where the answer was uncertain, and followed to its end. An
order alone has no journal, so real money is refused here.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.background import Background
from ccxt_bt_bridge.errors import BridgeError
from ccxt_bt_bridge.words import Absent, Ambiguous, Cancelled, Found, NotPlaced, Placed
from pairs.symbols import compact_symbol
from trading.events import Event, EventBus, LegFilled, OrderFinished, OrderSent
from trading.execution.exchange_ports import ExchangePorts, ports_of
from trading.execution_models import ExecutionOrder, ExecutionStatus, finished_order, sent_order
from trading.journal.words import client_order_id, fresh_epoch
from trading.order_monitor import POLL_S, changes
from trading.redis_writer import state_writer

REMEMBERED = 10_000
CALLBACKS = {
    ExecutionStatus.OPEN: "on_placed",
    ExecutionStatus.PARTIALLY_FILLED: "on_partially_filled",
    ExecutionStatus.FILLED: "on_filled",
    ExecutionStatus.CANCELLED: "on_cancelled",
    ExecutionStatus.EXPIRED: "on_expired",
    ExecutionStatus.REJECTED: "on_rejected",
}

log = logging.getLogger(__name__)

OrderCallback = Callable[[ExecutionOrder], Awaitable[None] | None]
Route = Callable[[ExecutionOrder], Awaitable[ExecutionOrder]]


class OrderManager:
    """``redis_conn``: a ``redis.Redis`` into which every order's state is written (``trading.redis_writer``)."""

    def __init__(self, redis_conn: Any = None) -> None:
        self._writer = state_writer(redis_conn)
        self._orders: OrderedDict[str, ExecutionOrder] = OrderedDict()
        self._ids: dict[str, str] = {}
        self._ports: dict[str, ExchangePorts] = {}
        self._routes: dict[int, Route] = {}
        self._callbacks: dict[str, list[OrderCallback]] = {name: [] for name in CALLBACKS.values()}
        self._epoch, self._count = fresh_epoch(), 0
        self._background = Background(log)

    async def place_order(self, order: ExecutionOrder, exchange: Any) -> ExecutionOrder | None:
        """The order as the exchange took it, or None when it was refused: ``on_rejected`` is told why.

        Raises ``ValueError`` where real money would be moved without an engine's journal.
        """
        route = self._routes.get(id(exchange))
        placed = await (route(order) if route is not None else self._place_alone(order, ports_of(exchange)))
        return None if placed.status is ExecutionStatus.REJECTED else placed

    async def cancel_order(self, order_id: str) -> bool:
        """True when it was cancelled; False for an order that is done, unknown, or an engine's own."""
        order = self.get_order(order_id)
        ports = None if order is None else self._ports.get(order.client_order_id)
        if order is None or ports is None or order.status.is_done:
            return False
        return await self._cancel(order, ports)

    def get_order(self, order_id: str) -> ExecutionOrder | None:
        """As it is known now; by the exchange's id or by ours. The last ``REMEMBERED`` are kept."""
        return self._orders.get(self._ids.get(order_id, order_id))

    def get_open_orders(self) -> tuple[ExecutionOrder, ...]:
        return tuple(order for order in self._orders.values() if not order.status.is_done)

    def register_callback(self, event: str, callback: OrderCallback) -> None:
        """Called with the order, on the loop; may be a coroutine function. One that raises disturbs nobody.

        ``event``: on_placed, on_partially_filled, on_filled, on_cancelled, on_expired or on_rejected.
        """
        if event not in self._callbacks:
            raise ValueError(f"{event!r} is no event of an order; known: {', '.join(self._callbacks)}")
        self._callbacks[event].append(callback)

    async def close(self) -> None:
        """Orders that still work stay at the exchange."""
        await self._background.end()
        await self._writer.close()

    # under an engine

    def serve(self, exchange: Any, route: Route) -> None:
        """From now on orders for ``exchange`` go this way."""
        self._routes[id(exchange)] = route

    def stop_serving(self, exchange: Any) -> None:
        self._routes.pop(id(exchange), None)

    def follow(self, bus: EventBus, exchange_name: str) -> None:
        """Know every order that is told there."""

        def on_event(event: Event) -> None:
            match event:
                case OrderSent():
                    self._take(sent_order(event, exchange_name))
                case LegFilled(fill=fill) if fill.client_order_id in self._orders:
                    self._take(self._orders[fill.client_order_id].filled_by(fill))
                case OrderFinished():
                    self._take(finished_order(event, exchange_name))

        bus.add(on_event)

    # alone

    async def _place_alone(self, order: ExecutionOrder, ports: ExchangePorts) -> ExecutionOrder:
        if ports.network == "live":
            raise ValueError("an order alone has no journal: real money is traded by an ExecutionEngine")
        self._count += 1
        cid = client_order_id("om", self._epoch, self._count, 0, "enter")
        order = replace(order, symbol=compact_symbol(order.symbol), client_order_id=cid)
        begun = replace(order, created_ms=ports.clock.now_ms())
        self._ports[cid] = ports
        amount, reason = await self._amount(begun, ports)
        if reason:
            return self._take(begun.refused(reason, ports.clock.now_ms()))
        self._take(begun)
        placed = await self._send(begun, amount, ports)
        if not placed.status.is_done:
            self._background.keep(self._follow_to_its_end(placed, ports))
        return placed

    async def _amount(self, order: ExecutionOrder, ports: ExchangePorts) -> tuple[Decimal, str]:
        """On the venue's step, or why it cannot be sent."""
        try:
            rules = (await ports.market.markets()).get(order.symbol)
            price = (await ports.market.quote(order.symbol)).price if rules else None
        except BridgeError as error:
            return Decimal(0), str(error)
        if rules is None or price is None:
            return Decimal(0), f"the exchange has no {order.symbol}"
        amount = rules.round_amount(Decimal(str(order.quantity)))
        at = price if order.price is None else Decimal(str(order.price))
        return amount, (None if order.reduce_only else rules.shortfall(amount, at)) or ""

    async def _send(self, order: ExecutionOrder, amount: Decimal, ports: ExchangePorts) -> ExecutionOrder:
        """Once. Returns when it is known whether the exchange has it."""
        match await ports.trading.create_order(order.request(order.symbol, amount)):
            case Placed(report):
                return self._take(order.reported(report))
            case NotPlaced(code, reason):
                return self._take(order.refused(f"{code} {reason}", ports.clock.now_ms()))
            case Ambiguous(reason):
                log.warning("order_ambiguous id=%s reason=%s", order.client_order_id, reason)
        return await self._find(order, ports)

    async def _find(self, order: ExecutionOrder, ports: ExchangePorts) -> ExecutionOrder:
        tries = 0
        while True:
            match await ports.trading.fetch_order(order.symbol, order.client_order_id):
                case Found(report):
                    return self._take(order.reported(report))
                case Absent():
                    return self._take(order.refused("the exchange does not know it", ports.clock.now_ms()))
            await asyncio.sleep(POLL_S[min(tries, len(POLL_S) - 1)])
            tries += 1

    async def _follow_to_its_end(self, order: ExecutionOrder, ports: ExchangePorts) -> None:
        limit_s = order.timeout_seconds
        until_ms = None if limit_s is None else (order.created_ms or 0) + round(limit_s * 1000)
        while not order.status.is_done:
            async for news in changes(order, ports, until_ms=until_ms):
                order = self._take(news)
            if not order.status.is_done:
                await self._cancel(order, ports)
                order, until_ms = self._orders[order.client_order_id], None

    async def _cancel(self, order: ExecutionOrder, ports: ExchangePorts) -> bool:
        match await ports.trading.cancel_order(order.symbol, order.client_order_id):
            case Cancelled(report):
                self._take(self._orders[order.client_order_id].reported(report))
                return True
        return False

    # what is known, and told

    def _take(self, order: ExecutionOrder) -> ExecutionOrder:
        known = self._orders.get(order.client_order_id)
        if known == order or (known is not None and known.status.is_done):
            return known
        self._orders[order.client_order_id] = order
        if order.order_id:
            self._ids[order.order_id] = order.client_order_id
        if len(self._orders) > REMEMBERED:
            self._forget(self._orders.popitem(last=False)[1])
        self._writer.put_order(order)
        self._tell(order)
        return order

    def _forget(self, order: ExecutionOrder) -> None:
        self._ids.pop(order.order_id, None)
        self._ports.pop(order.client_order_id, None)

    def _tell(self, order: ExecutionOrder) -> None:
        for callback in self._callbacks.get(CALLBACKS.get(order.status, ""), ()):
            try:
                answer = callback(order)
            except Exception:
                log.exception("callback_failed order=%s", order.client_order_id)
                continue
            if inspect.isawaitable(answer):
                self._background.keep(_awaited(answer))


async def _awaited(answer: Awaitable[None]) -> None:
    await answer
