"""The HTTP and WebSocket server of one dialect, on the loopback interface, over one simulated exchange."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from aiohttp import web

from brokers.desk.api_key import DEMO_KEY, DeskKey
from brokers.desk.core import Core
from brokers.desk.front import FrontDesk
from brokers.desk.key_endpoints import KeyEndpoints
from brokers.desk.keys import KeyRing
from brokers.desk.limits import Limits, RateMeter
from brokers.desk.market_streams import MarketStreams
from brokers.desk.params import Params
from brokers.desk.refusals import NoAnswer, Refusal, no_such_path
from brokers.desk.routes import Route
from brokers.desk.sockets import Hear, StreamSocket
from brokers.desk.spot import SpotDialect
from brokers.desk.usdm import UsdmDialect
from brokers.desk.user_streams import Listener, ListenKeys, UserStreams
from brokers.desk.wire_plan import WireFault, WirePlan
from brokers.desk.wire_replies import WireReplies, raw_reply
from brokers.desk.ws_api import WsApi
from brokers.simulated.exchange import SimulatedExchange

DIALECTS: dict[str, type[UsdmDialect | SpotDialect]] = {UsdmDialect.name: UsdmDialect, SpotDialect.name: SpotDialect}
HOST = "127.0.0.1"


class DeskServer:
    """``dialect``: one of ``DIALECTS``. The caller walks the market (``exchange.run_market``), once for all servers.

    ``backend_timeout_ms``: after so long a request is answered with "status unknown" (-1007) while it goes on;
    ``listen_key_s``: life of a listen key; ``tick_s``: how often open streams are published between bars.
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
        listen_key_s: float = 3_600.0,
        tick_s: float = 1.0,
    ) -> None:
        if dialect not in DIALECTS:
            raise ValueError(f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}")
        loop_time, now_ms = asyncio.get_running_loop().time, exchange.clock.now_ms
        limits = limits or Limits()
        self._core = Core(exchange, now_ms)
        self._dialect = DIALECTS[dialect](self._core, limits)
        self.keys, self.meter = KeyRing(keys, now_ms), RateMeter(limits, loop_time, now_ms)
        self.faults = WirePlan(faults, seed=fault_seed)
        self._replies = WireReplies(self.cut)
        self.market = MarketStreams(
            self._core, self._dialect.data.kline_event, self._dialect.makers(), self.faults, tick_s=tick_s
        )
        self.user = UserStreams(
            self._core, self._dialect.events, ListenKeys(life_s=listen_key_s, loop_time=loop_time), self.faults
        )
        routes = self._dialect.routes()
        routes |= KeyEndpoints(self.user.keys).routes(self._dialect.listen_key_path, self._dialect.permission)
        self._front = FrontDesk(
            routes,
            self.keys,
            self.meter,
            now_ms,
            backend_timeout_s=backend_timeout_ms / 1000.0,
        )
        self._ws_api = WsApi(self._front, self.user, self._dialect.ws_methods(), watch=self._dialect.account_endpoint)
        self._port, self._tls = port, tls
        self._declaration = {"dialect": dialect, "speed": speed, "backend_timeout_ms": backend_timeout_ms}
        self._sockets: set[StreamSocket] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def sockets(self) -> frozenset[StreamSocket]:
        """The open WebSocket connections."""
        return frozenset(self._sockets)

    async def start(self) -> int:
        """Listen, and return the port. Raises ``OSError`` when it is taken."""
        app = web.Application()
        app.router.add_route("GET", "/{category:public|market|private}/{kind:ws|stream}{rest:.*}", self._stream)
        app.router.add_route("GET", "/{kind:ws|stream}{rest:(/.*)?}", self._stream)
        app.router.add_route("GET", self._dialect.ws_api_path, self._api)
        app.router.add_route("*", "/{path:.*}", self._rest)
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
        task.add_done_callback(self._tasks.discard)
        return task

    # requests

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/desk":
            return web.json_response(self._declared())
        params = Params.parse(request.rel_url.raw_query_string, await request.text())
        route = self._front.routes.get((request.method, request.path))
        operation, symbol = route.operation if route else "", params.get("symbol") or None
        fault = self.faults.strike(operation, symbol, self._core.now_ms())
        if fault is None:
            return await self._respond(request, route, params)
        return await self._replies.reply(fault, request, lambda: self._respond(request, route, params))

    async def _respond(self, request: web.Request, route: Route | None, params: Params) -> web.Response:
        api_key, ip = request.headers.get("X-MBX-APIKEY"), request.remote or ""
        try:
            answer = await self._front.answer(request.method, request.path, params, api_key=api_key, ip=ip)
        except Refusal as refusal:
            return self._reply(refusal.body, route, status=refusal.status, headers=refusal.headers)
        except NoAnswer:
            return raw_reply(request, b"")
        return self._reply(answer, route)

    def _declared(self) -> dict[str, Any]:
        return self._declaration | {
            "interval": self._core.interval, "symbols": list(self._core.markets), "time": self._core.now_ms()
        }  # fmt: skip

    def _reply(self, body: Any, route: Route | None, *, status: int = 200, headers: Any = None) -> web.Response:
        counts = self.meter.headers(orders=route.orders if route else 0)
        return web.json_response(body, status=status, headers={**counts, **(headers or {})})

    # streams

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        def opened(socket: StreamSocket) -> Hear:
            self._open_named(request, socket)
            return lambda text: self._hear(socket, text)

        return await self._converse(request, opened)

    async def _api(self, request: web.Request) -> web.StreamResponse:
        def opened(socket: StreamSocket) -> Hear:
            return lambda text: self._ws_api.hear(socket, text, ip=request.remote or "")

        return await self._converse(request, opened)

    async def _converse(self, request: web.Request, opened: Callable[[StreamSocket], Hear]) -> web.StreamResponse:
        """One WebSocket connection from its opening to its end."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self._reply(no_such_path(request.path).body, None, status=404)
        response = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=2**20)
        await response.prepare(request)
        socket = StreamSocket(response, wrapped=request.match_info.get("kind") == "stream")
        self._sockets.add(socket)
        try:
            await socket.serve(opened(socket))
        finally:
            self._sockets.discard(socket)
            self.market.forget(socket)
            self.user.forget(socket)
        return response

    def _open_named(self, request: web.Request, socket: StreamSocket) -> None:
        """What the address itself asks for: streams in the path or query, or a listen key."""
        named = request.match_info["rest"].strip("/")
        key = request.query.get("listenKey", named)
        if self.user.keys.is_alive(key):
            self.user.add(Listener(socket, key))
        self.market.subscribe(
            socket, [name for name in (named, *request.query.get("streams", "").split("/")) if "@" in name]
        )

    async def _hear(self, socket: StreamSocket, text: str) -> None:
        try:
            message = json.loads(text)
            method, names, number = message["method"], message.get("params") or [], message.get("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            socket.tell({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
            return
        if method == "LIST_SUBSCRIPTIONS":
            socket.tell({"result": sorted(socket.streams), "id": number})
        elif method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            change = self.market.subscribe if method == "SUBSCRIBE" else self.market.unsubscribe
            change(socket, [str(name) for name in names])
            socket.tell({"result": None, "id": number})
        else:
            socket.tell({"error": {"code": 2, "msg": f"Invalid request: unknown variant {method}"}, "id": number})
