"""Follows single orders to their end, and says how well orders are executed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from ccxt_bt_bridge.words import Found
from trading.events import Event, EventBus, OrderFinished
from trading.execution.exchange_ports import ExchangePorts, ports_of
from trading.execution.quality import ALERT_PCT, ExecutionQuality
from trading.execution_models import ExecutionOrder
from trading.redis_writer import state_writer

POLL_S = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)


async def changes(
    order: ExecutionOrder, ports: ExchangePorts, *, until_ms: int | None
) -> AsyncIterator[ExecutionOrder]:
    """The order each time it has changed, by asking the exchange at growing distances, until it is done.

    ``until_ms``: when to give up, by the exchange's clock; None: never. What cannot be read changes nothing.
    """
    tries = 0
    while not order.status.is_done:
        match await ports.trading.fetch_order(order.symbol, order.client_order_id):
            case Found(report) if (news := order.reported(report)) != order:
                order, tries = news, 0
                yield order
                continue
        if until_ms is not None and ports.clock.now_ms() >= until_ms:
            return
        await asyncio.sleep(POLL_S[min(tries, len(POLL_S) - 1)])
        tries += 1


class OrderMonitor:
    """``redis_conn``: a ``redis.Redis`` that gets the figures too. ``alert_pct``: see ``ExecutionQuality``.

    Followed orders of an engine (``follow``) and orders that were monitored one by one count in the same figures.
    """

    def __init__(self, redis_conn: Any = None, *, alert_pct: float | None = ALERT_PCT) -> None:
        self.quality = ExecutionQuality(alert_pct)
        self._writer = state_writer(redis_conn)
        self._timeouts = 0

    async def monitor_order(
        self, *, order: ExecutionOrder, exchange: Any, timeout_seconds: float = 300.0
    ) -> ExecutionOrder:
        """The order at its end, or as it is after ``timeout_seconds`` (then it still works: nothing is cancelled)."""
        ports = ports_of(exchange)
        until_ms = ports.clock.now_ms() + round(timeout_seconds * 1000)
        async for news in changes(order, ports, until_ms=until_ms):
            order = news
        if not order.status.is_done:
            self._timeouts += 1
            return order
        self.quality.note_order(latency_ms=order.latency_ms, slippage_pct=order.slippage_pct)
        self._writer.put_execution(self.get_metrics_summary())
        return order if order.finished_ms is not None else replace(order, finished_ms=ports.clock.now_ms())

    def get_metrics_summary(self) -> dict[str, Any]:
        """JSON values: ``speed`` in ms, ``slippage`` and ``legging`` in per cent."""
        return {
            "speed": self.quality.speed_metrics(),
            "slippage": self.quality.slippage_metrics(),
            "legging": self.quality.legging_metrics(),
            "timeouts": self._timeouts,
        }

    def get_slippage_metrics(self) -> dict[str, Any]:
        return self.quality.slippage_metrics()

    def follow(self, bus: EventBus) -> None:
        """Count every order that is told there."""
        self.quality.tell = bus.publish
        bus.add(self._on_event)

    async def close(self) -> None:
        """Wait a moment for Redis to have the last figures."""
        await self._writer.close()

    def _on_event(self, event: Event) -> None:
        self.quality.on_event(event)
        if isinstance(event, OrderFinished):
            self._writer.put_execution(self.get_metrics_summary())
