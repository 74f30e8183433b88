"""Public streams: who subscribed to what, and what is published when a bar closes and between bars."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

from brokers.desk.core import Core
from brokers.desk.sockets import StreamSocket
from brokers.desk.stream_faults import KlineFaults
from brokers.desk.wire_plan import WirePlan
from ccxt_bt_bridge.words import Bar

Event = dict[str, Any]
Maker = Callable[[str], Event]


class MarketStreams:
    """Streams by Binance's names (``btcusdt@kline_1m``). ``makers``: the event of a symbol by the name after the @.

    Closed klines go out as bars close; everything else then, and every ``tick_s`` of real time. A name that nobody
    publishes is taken without complaint and stays silent, as the exchange does it.
    """

    def __init__(
        self, core: Core, kline_event: Callable[..., Event], makers: dict[str, Maker], plan: WirePlan, *, tick_s: float
    ) -> None:
        self._core, self._kline_event, self._makers, self._tick_s = core, kline_event, makers, tick_s
        self._kline = f"kline_{core.interval}"
        self._sockets: dict[str, dict[StreamSocket, None]] = {}
        self._faults = KlineFaults(plan, self._send_closed, self.sockets, core.forming)
        self.subscribed = asyncio.Event()

    def sockets(self) -> set[StreamSocket]:
        """Every connection that hears a stream."""
        return {socket for sockets in self._sockets.values() for socket in sockets}

    def subscribe(self, socket: StreamSocket, names: Iterable[str]) -> None:
        for name in names:
            socket.streams.add(name)
            self._sockets.setdefault(name, {})[socket] = None
            if name.endswith(self._kline):
                self.subscribed.set()

    def unsubscribe(self, socket: StreamSocket, names: Iterable[str]) -> None:
        for name in names:
            socket.streams.discard(name)
            self._sockets.get(name, {}).pop(socket, None)

    def forget(self, socket: StreamSocket) -> None:
        self.unsubscribe(socket, tuple(socket.streams))

    def publish(self, name: str, event: Event) -> None:
        sockets = self._sockets.get(name)
        if not sockets:
            return
        text = json.dumps(event)
        for socket in tuple(sockets):
            socket.post(json.dumps({"stream": name, "data": event}) if socket.wrapped else text)

    async def run_bars(self) -> None:
        """Publish bars as they close, until the market ends."""
        async for bars in self._core.exchange.bars():
            self.publish_closed(bars)

    def publish_closed(self, bars: Iterable[Bar]) -> None:
        for bar in bars:
            self._faults.deliver(bar, self._core.now_ms())
        self.tick()

    def _send_closed(self, bar: Bar) -> None:
        self.publish(f"{bar.symbol.lower()}@{self._kline}", self._kline_event(bar, closed=True))

    async def run_connections(self) -> None:
        """Close every stream when the exchange says that they are down."""
        async for connection in self._core.exchange.connections():
            if not connection.is_up:
                for socket in self.sockets():
                    socket.close(1012)

    async def run_ticks(self) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            self.tick()

    def tick(self) -> None:
        """One event on every stream that someone hears and whose symbol trades now."""
        for name, sockets in tuple(self._sockets.items()):
            symbol, _, kind = name.partition("@")
            if sockets and symbol.upper() in self._core.markets:
                self._tick_one(name, symbol.upper(), kind)

    def _tick_one(self, name: str, symbol: str, kind: str) -> None:
        forming = self._core.forming(symbol)
        if kind == self._kline:
            if forming is not None:
                self.publish(name, self._kline_event(forming, closed=False))
        elif kind in self._makers:
            self.publish(name, self._makers[kind](symbol))
