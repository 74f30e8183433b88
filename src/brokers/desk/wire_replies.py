"""Faults of requests, played on the connection itself."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from brokers.desk.wire_plan import WireFault

Respond = Callable[[], Awaitable[web.Response]]
HTML = "<html><head><title>Error</title></head><body><center><h1>Error</h1></center></body></html>"
ODD = "An unexpected response was received from the message bus. Execution status unknown."
BODIES: dict[str, tuple[int, str]] = {
    "html_200": (200, HTML),
    "empty_200": (200, ""),
    "cut_json_200": (200, '{"orderId": 12345, "symbol": "BTC'),
    "empty_object_200": (200, "{}"),
    **{f"http_{status}": (status, HTML) for status in (403, 404, 451, 500, 502, 503, 504, 520, 524)},
}
CODES: dict[str, tuple[int, int, str]] = {
    "unknown_error_503": (503, -1000, "Unknown error, please check your request or try again later."),
    "unknown_-1000": (500, -1000, "An unknown error occurred while processing the request."),
    "disconnected_-1001": (503, -1001, "Internal error; unable to process your request. Please try again."),
    "unexpected_-1006": (400, -1006, ODD),
}
JSON_TYPE = "application/json;charset=UTF-8"


class WireReplies:
    """``outage``: cuts everything for some seconds. Each fault answers one request in its own way."""

    def __init__(self, outage: Callable[[float], None]) -> None:
        self._outage = outage
        self._later: set[asyncio.Task[Any]] = set()
        self._acts: dict[str, Callable[..., Awaitable[web.Response]]] = {
            "outage": self._cut_everything,
            "close": self._close,
            "stale_keep_alive": self._close,
            "reset": self._reset,
            "hang": self._hang,
            "held_up": self._hold_up,
            "slow_loris": self._drip,
            "partial_headers": self._break_headers,
            "truncated_body": self._break_body,
            "bad_chunk": self._break_chunk,
            "garbage": self._write_garbage,
            "redirect_302": self._redirect,
            "redirect_307": self._redirect,
        }

    async def reply(self, fault: WireFault, request: web.Request, respond: Respond) -> web.Response:
        """Let the request have its effect where the fault says so, then answer as the fault does."""
        answer = await respond() if fault.is_executed else web.Response()
        if fault.kind in BODIES:
            status, body = BODIES[fault.kind]
            kind = "text/html" if body == HTML else "application/json"
            return web.Response(status=status, text=body, content_type=kind)
        if fault.kind in CODES:
            return self._coded(*CODES[fault.kind])
        return await self._acts[fault.kind](fault, request, answer, respond)

    async def close(self) -> None:
        """Drop what was to be executed later."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    def _coded(self, status: int, code: int, message: str) -> web.Response:
        return web.json_response({"code": code, "msg": message}, status=status)

    async def _cut_everything(self, fault: WireFault, request: web.Request, *_: Any) -> web.Response:
        self._outage(fault.delay_s)
        return raw_reply(request, b"")

    async def _close(self, _: WireFault, request: web.Request, *__: Any) -> web.Response:
        return raw_reply(request, b"")

    async def _reset(self, _: WireFault, request: web.Request, *__: Any) -> web.Response:
        if request.transport is not None:
            connection = request.transport.get_extra_info("socket")
            # A linger of 0 s makes the kernel send RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.transport.abort()
        return web.Response()

    async def _hang(self, fault: WireFault, request: web.Request, *_: Any) -> web.Response:
        await asyncio.sleep(fault.delay_s)
        return raw_reply(request, b"")

    async def _hold_up(self, fault: WireFault, request: web.Request, _: Any, respond: Respond) -> web.Response:
        """The timestamp is checked when it is carried out: a short recvWindow fences the client."""
        task = asyncio.get_running_loop().create_task(self._respond_after(fault.delay_s, respond))
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return raw_reply(request, b"")

    async def _respond_after(self, delay_s: float, respond: Respond) -> None:
        await asyncio.sleep(delay_s)
        await respond()

    async def _drip(self, fault: WireFault, request: web.Request, answer: web.Response, _: Any) -> web.Response:
        for at, byte in enumerate(head(len(body_of(answer))) + body_of(answer)):
            if request.transport is None or request.transport.is_closing():
                break
            if at:
                await asyncio.sleep(fault.delay_s)
            request.transport.write(bytes((byte,)))
        return raw_reply(request, b"")

    async def _break_headers(self, _: WireFault, request: web.Request, *__: Any) -> web.Response:
        return raw_reply(request, b"HTTP/1.1 200 OK\r\nContent-Type: application/js")

    async def _break_body(self, _: WireFault, request: web.Request, answer: web.Response, __: Any) -> web.Response:
        body = body_of(answer)
        return raw_reply(request, head(len(body) + 1) + body[: len(body) // 2])

    async def _break_chunk(self, _: WireFault, request: web.Request, *__: Any) -> web.Response:
        start = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        return raw_reply(request, start + b'5\r\n{"ord\r\nZZZ\r\nerId\r\n')

    async def _write_garbage(self, _: WireFault, request: web.Request, *__: Any) -> web.Response:
        return raw_reply(request, b"\x16\x03\x01\x02\x00\x01\x00 not HTTP at all \r\n\r\n")

    async def _redirect(self, fault: WireFault, request: web.Request, *_: Any) -> web.Response:
        if fault.kind == "redirect_307":
            return web.Response(status=307, headers={"Location": request.path_qs})
        return web.Response(status=302, headers={"Location": "/elsewhere"})


def raw_reply(request: web.Request, data: bytes) -> web.Response:
    """Write these bytes as they are and close; what aiohttp would answer then goes nowhere."""
    if request.transport is not None:
        request.transport.write(data)
        request.transport.close()
    return web.Response()


def head(length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {JSON_TYPE}\r\nContent-Length: {length}\r\n\r\n".encode()


def body_of(answer: web.Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else json.dumps({}).encode()
