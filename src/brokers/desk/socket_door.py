"""WebSocket connections: public and user streams, and the WebSocket API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import web

from brokers.desk.market_streams import MarketStreams
from brokers.desk.refusals import no_such_path
from brokers.desk.sockets import Hear, StreamSocket
from brokers.desk.user_streams import Listener, UserStreams
from brokers.desk.ws_api import WsApi

LONGEST_TEXT = 2**20
INVALID_JSON = {"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}}


class SocketDoor:
    """Each connection lives ``connection_s`` at most, a day at Binance."""

    def __init__(self, market: MarketStreams, user: UserStreams, ws_api: WsApi, *, connection_s: float) -> None:
        self._market, self._user, self._ws_api, self._connection_s = market, user, ws_api, connection_s
        self._sockets: set[StreamSocket] = set()

    @property
    def sockets(self) -> frozenset[StreamSocket]:
        """The open connections."""
        return frozenset(self._sockets)

    async def serve_streams(self, request: web.Request) -> web.StreamResponse:
        def opened(socket: StreamSocket) -> Hear:
            self._open_named(request, socket)
            return lambda text: self._hear(socket, text)

        return await self._converse(request, opened)

    async def serve_api(self, request: web.Request) -> web.StreamResponse:
        def opened(socket: StreamSocket) -> Hear:
            return lambda text: self._ws_api.hear(socket, text, ip=request.remote or "")

        return await self._converse(request, opened)

    async def _converse(self, request: web.Request, opened: Callable[[StreamSocket], Hear]) -> web.StreamResponse:
        """One connection from its opening to its end."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.json_response(no_such_path(request.path).body, status=404)
        response = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=LONGEST_TEXT)
        await response.prepare(request)
        socket = StreamSocket(response, wrapped=request.match_info.get("kind") == "stream")
        leaving = asyncio.get_running_loop().call_later(self._connection_s, socket.close, 1001)
        self._sockets.add(socket)
        try:
            await socket.serve(opened(socket))
        finally:
            leaving.cancel()
            self._sockets.discard(socket)
            self._market.forget(socket)
            self._user.forget(socket)
        return response

    def _open_named(self, request: web.Request, socket: StreamSocket) -> None:
        """What the address itself asks for: streams in the path or query, or a listen key."""
        named = request.match_info["rest"].strip("/")
        key = request.query.get("listenKey", named)
        if self._user.keys.is_alive(key):
            self._user.add(Listener(socket, key))
        names = (named, *request.query.get("streams", "").split("/"))
        self._market.subscribe(socket, [name for name in names if "@" in name])

    async def _hear(self, socket: StreamSocket, text: str) -> None:
        try:
            message = json.loads(text)
            method, names, number = message["method"], message.get("params") or [], message.get("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            socket.tell(INVALID_JSON)
            return
        if method == "LIST_SUBSCRIPTIONS":
            socket.tell({"result": sorted(socket.streams), "id": number})
        elif method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            change = self._market.subscribe if method == "SUBSCRIBE" else self._market.unsubscribe
            change(socket, [str(name) for name in names])
            socket.tell({"result": None, "id": number})
        else:
            socket.tell({"error": {"code": 2, "msg": f"Invalid request: unknown variant {method}"}, "id": number})
