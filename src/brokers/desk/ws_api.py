"""Binance's WebSocket API: the requests of the HTTP side over one connection, and signed user subscriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from brokers.desk.front import FrontDesk
from brokers.desk.params import Params, text_of
from brokers.desk.refusals import NoAnswer, Refusal
from brokers.desk.sockets import StreamSocket
from brokers.desk.user_streams import Listener, UserStreams

Endpoint = tuple[str, str]


class WsApi:
    """``methods``: the HTTP method and path behind each name; ``watch``: any one signed endpoint of the account."""

    def __init__(
        self, front: FrontDesk, user: UserStreams, methods: Mapping[str, Endpoint], *, watch: Endpoint
    ) -> None:
        self._front, self._user, self._methods, self._watch = front, user, dict(methods), watch
        self._subscriptions = 0

    async def hear(self, socket: StreamSocket, text: str, *, ip: str) -> None:
        """Answer one request."""
        try:
            message = json.loads(text)
            number, method, values = message["id"], message["method"], message.get("params") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            socket.tell({"status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request"}})
            return
        try:
            result = await self._result(socket, method, signed_params(values), ip=ip)
        except Refusal as refusal:
            socket.tell({"id": number, "status": refusal.status, "error": refusal.body})
        except NoAnswer:
            socket.close(1006)
        else:
            socket.tell({"id": number, "status": 200, "result": result, "rateLimits": []})

    async def _result(self, socket: StreamSocket, method: str, params: Params, *, ip: str) -> Any:
        api_key = params.get("apiKey")
        if method == "userDataStream.subscribe.signature":
            await self._front.answer(*self._watch, params, api_key=api_key, ip=ip)
            return self._subscribe(socket)
        if method == "userDataStream.unsubscribe":
            self._user.forget(socket)
            return {}
        if method not in self._methods:
            raise Refusal(-1135, f"Unknown method '{method}'.")
        return await self._front.answer(*self._methods[method], params, api_key=api_key, ip=ip)

    def _subscribe(self, socket: StreamSocket) -> dict[str, int]:
        number, self._subscriptions = self._subscriptions, self._subscriptions + 1
        self._user.add(Listener(socket, None, number))
        return {"subscriptionId": number}


def signed_params(values: Mapping[str, Any]) -> Params:
    """Parameters of a JSON request; what was signed are the pairs sorted by name."""
    texts = {name: text_of(value) for name, value in values.items()}
    raw = "&".join(f"{name}={texts[name]}" for name in sorted(texts) if name != "signature")
    return Params(texts, raw)
