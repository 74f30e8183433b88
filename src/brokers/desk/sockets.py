"""One client's WebSocket connection: what it hears, and how texts reach it without anyone waiting for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

Hear = Callable[[str], Awaitable[None]]
MOST_WAITING = 200_000  # texts: a client that reads this much too slowly is cut off, as the exchange does
PING_S, PONG_WITHIN_S = 20.0, 60.0


class StreamSocket:
    """``wrapped``: a combined stream, whose texts are ``{"stream", "data"}``."""

    def __init__(self, response: web.WebSocketResponse, *, wrapped: bool = False) -> None:
        self._response, self.wrapped, self._loop = response, wrapped, asyncio.get_running_loop()
        self.streams: set[str] = set()
        self.is_frozen = False
        self._muted_until_s = 0.0
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        self._closing: asyncio.Task[None] | None = None

    def post(self, text: str) -> None:
        """Send in turn; never waits."""
        if self._texts.qsize() >= MOST_WAITING:
            self.close(1008)
        elif not self.is_frozen and self._loop.time() >= self._muted_until_s:
            self._texts.put_nowait(text)

    def tell(self, message: Any) -> None:
        self.post(json.dumps(message))

    def freeze(self) -> None:
        """From now on half open: nothing is sent, no ping answered, and the connection stays."""
        self.is_frozen = True

    def mute(self, for_s: float) -> None:
        """Open and answering pings, but without a word for so long."""
        self._muted_until_s = self._loop.time() + for_s

    def close(self, code: int) -> None:
        """End the connection with this code; 1006 cuts it without a goodbye."""
        if code == 1006:
            self.abort()
        elif self._closing is None:
            self._closing = self._loop.create_task(self._close(code))

    def abort(self) -> None:
        transport = self._response._req.transport if self._response._req is not None else None
        if transport is not None:
            transport.abort()

    async def serve(self, hear: Hear) -> None:
        """Until the connection ends: send what is posted, and ``hear`` each text that comes in."""
        sender = asyncio.create_task(self._send())
        pinger = asyncio.create_task(self._ping())
        try:
            await self._listen(hear)
        finally:
            for task in (sender, pinger):
                task.cancel()
            await asyncio.gather(sender, pinger, return_exceptions=True)
            if self._closing is not None:
                await self._closing

    async def _listen(self, hear: Hear) -> None:
        async for message in self._response:
            if self.is_frozen:
                continue
            if message.type is WSMsgType.PING:
                await self._response.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._heard_s = self._loop.time()
            elif message.type is WSMsgType.TEXT:
                await hear(message.data)

    async def _send(self) -> None:
        while True:
            text = await self._texts.get()
            if self.is_frozen:
                continue
            try:
                await self._response.send_str(text)
            except ConnectionError:
                return

    async def _ping(self) -> None:
        """The exchange pings; a client that answers none of three is cut off."""
        self._heard_s = self._loop.time()
        while self._loop.time() - self._heard_s < PONG_WITHIN_S + PING_S or self.is_frozen:
            await asyncio.sleep(PING_S)
            if not self.is_frozen:
                await self._response.ping()
        self.close(1008)

    async def _close(self, code: int) -> None:
        await self._response.close(code=code)
