"""The server of one dialect, on the loopback interface, over one simulated exchange."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from aiohttp import web

from brokers.desk.api_key import DEMO_KEY, DeskKey
from brokers.desk.clock import age_of
from brokers.desk.core import Core
from brokers.desk.front import FrontDesk
from brokers.desk.key_endpoints import KeyEndpoints
from brokers.desk.keys import KeyRing
from brokers.desk.limits import Limits, RateMeter
from brokers.desk.market_streams import MarketStreams
from brokers.desk.rest_door import RestDoor
from brokers.desk.socket_door import SocketDoor
from brokers.desk.sockets import StreamSocket
from brokers.desk.spot import SpotDialect
from brokers.desk.usdm import UsdmDialect
from brokers.desk.user_streams import ListenKeys, UserStreams
from brokers.desk.wire_plan import WireFault, WirePlan
from brokers.desk.wire_replies import WireReplies
from brokers.desk.ws_api import WsApi
from brokers.simulated.exchange import SimulatedExchange

DIALECTS: dict[str, type[UsdmDialect | SpotDialect]] = {
    UsdmDialect.name: UsdmDialect,
    SpotDialect.name: SpotDialect,
}
HOST = "127.0.0.1"

log = logging.getLogger(__name__)


class DeskServer:
    """``dialect``: one of ``DIALECTS``. The caller walks the market (``exchange.run_market``), once for all servers.

    ``backend_timeout_ms``: after so long a request is answered with "status unknown" (-1007) while it goes on;
    ``query_lag_ms``: how long a placed order may be unknown to questions (declared, so that clients need not guess);
    ``listen_key_s``: life of a listen key, ``connection_s``: of a WebSocket connection (an hour and a day).
    ``tick_s``: how often open streams are published between bars.
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        *,
        dialect: str = UsdmDialect.name,
        port: int = 0,
        keys: Iterable[DeskKey] = (DEMO_KEY,),
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        faults: Iterable[WireFault | Mapping[str, Any]] = (),
        fault_seed: int = 0,
        speed: float = 1.0,
        backend_timeout_ms: int = 1_000,
        query_lag_ms: int = 100,
        listen_key_s: float = 3_600.0,
        connection_s: float = 86_400.0,
        tick_s: float = 1.0,
    ) -> None:
        if dialect not in DIALECTS:
            raise ValueError(f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}")
        loop_time, now_ms = asyncio.get_running_loop().time, exchange.clock.now_ms
        limits, self._port, self._tls = limits or Limits(), port, tls
        self._core = core = Core(exchange, now_ms)
        self._dialect = speech = DIALECTS[dialect](core, limits)
        self._declaration: dict[str, Any] = {"dialect": dialect, "speed": speed}
        self._declaration |= {"backend_timeout_ms": backend_timeout_ms, "query_lag_ms": query_lag_ms}
        self.keys, self.meter = KeyRing(keys, age_of(exchange.clock)), RateMeter(limits, loop_time, now_ms)
        self.faults, self._replies = WirePlan(faults, seed=fault_seed), WireReplies(self.cut)
        self.market = MarketStreams(core, speech.data.kline_event, speech.makers(), self.faults, tick_s=tick_s)
        listen_keys = ListenKeys(life_s=listen_key_s, loop_time=loop_time)
        self.user = UserStreams(core, speech.events, listen_keys, self.faults)
        own_routes = KeyEndpoints(core, listen_keys).routes(speech.listen_key_path, speech.permission)
        routes, timeout_s = speech.routes() | own_routes, backend_timeout_ms / 1000.0
        self._front = FrontDesk(routes, self.keys, self.meter, now_ms, backend_timeout_s=timeout_s)
        ws_api = WsApi(self._front, self.user, speech.ws_methods(), watch=speech.account_endpoint)
        self._socket_door = SocketDoor(self.market, self.user, ws_api, connection_s=connection_s)
        self._rest_door = RestDoor(
            self._front, self.meter, self.faults, self._replies, now_ms=now_ms, declare=self._declare
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def sockets(self) -> frozenset[StreamSocket]:
        """The open WebSocket connections."""
        return self._socket_door.sockets

    async def start(self) -> int:
        """Listen, and return the port. Raises ``OSError`` when it is taken."""
        app = web.Application()
        app.router.add_route(
            "GET", "/{category:public|market|private}/{kind:ws|stream}{rest:.*}", self._socket_door.serve_streams
        )
        app.router.add_route("GET", "/{kind:ws|stream}{rest:(/.*)?}", self._socket_door.serve_streams)
        app.router.add_route("GET", self._dialect.ws_api_path, self._socket_door.serve_api)
        app.router.add_route("*", "/{path:.*}", self._rest_door.serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await self._listen()
        except OSError:
            await self._runner.cleanup()
            raise
        works = (self.market.run_bars, self.market.run_ticks, self.market.run_connections, self.user.run)
        for work in (*(one() for one in works), self.user.run_expiry()):
            self._spawn(work)
        return self._port

    async def _listen(self) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, HOST, self._port, ssl_context=self._tls)
        await self._site.start()
        self._port = self._runner.addresses[0][1]

    def cut(self, for_s: float) -> None:
        """Cut every connection, and refuse new ones for so long."""
        self._spawn(self._cut(for_s))

    async def _cut(self, for_s: float) -> None:
        assert self._runner is not None and self._runner.server is not None
        await self._site.stop()
        for connection in tuple(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(for_s)
        await self._listen()

    async def close(self) -> None:
        """Close every connection and stop listening. May be called again."""
        for socket in self.sockets:
            socket.close(1001)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._replies.close()
        await self._front.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("desk_task_failed", exc_info=task.exception())

    def _declare(self) -> dict[str, Any]:
        market = {"interval": self._core.interval, "symbols": list(self._core.markets), "time": self._core.now_ms()}
        return self._declaration | market
