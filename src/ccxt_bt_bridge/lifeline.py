"""One stream kept alive: opened, watched over, and opened again for as long as it is wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import BridgeError, RateBanned
from ccxt_bt_bridge.wire import describe
from ccxt_bt_bridge.words import Connection

log = logging.getLogger(__name__)

PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
OPENING_S = 20.0


class Lifeline:
    """``watch`` opens the stream through ccxt and returns only by an error; ``catch_up`` asks for what was missed and
    publishes it; only then is "up" told. ``heard`` is to be called for each message, ``opened`` once events flow.
    """

    def __init__(
        self,
        name: str,
        client: Any,
        *,
        watch: Callable[[], Awaitable[Any]],
        catch_up: Callable[[], Awaitable[Any]],
        tell: Callable[[Connection], None],
        clock: Clock,
        silent_after_s: float | None,
    ) -> None:
        self._name, self._client, self._clock = name, client, clock
        self._watch, self._catch_up, self._tell = watch, catch_up, tell
        self._silent_after_s = silent_after_s
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()
        self._opened = asyncio.Event()
        self._is_up: bool | None = None
        self._reason = ""

    @property
    def silence_s(self) -> float:
        return self._loop.time() - self._heard_s

    @property
    def is_up(self) -> bool:
        return self._is_up is True

    def heard(self) -> None:
        self._heard_s = self._loop.time()

    def opened(self) -> None:
        self._opened.set()

    def cut(self, reason: str) -> None:
        """Begin anew: what is open cannot be trusted."""
        self._reason = reason
        self._client.break_streams(reason)

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                await self._live()
            except Exception as error:
                failures = 0 if self._is_up else failures + 1
                self._down(self._reason or _words(error))
                await asyncio.sleep(self._pause_s(error, failures))

    async def _live(self) -> None:
        """One life of the connection; ends with an error."""
        self._opened.clear()
        self._reason = ""
        self.heard()
        tasks = [asyncio.ensure_future(work) for work in (self._watch_to_the_end(), self._stay(), self._come_up())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._client.break_streams("a new connection follows")

    async def _watch_to_the_end(self) -> None:
        """An end without an error, or a future that ccxt has cancelled, is a broken connection too."""
        try:
            await self._watch()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        raise ConnectionError("the stream ended")

    async def _come_up(self) -> None:
        async with asyncio.timeout(OPENING_S):
            await self._opened.wait()
        await self._catch_up()
        self._is_up = True
        log.info("stream_up stream=%s", self._name)
        self._tell(Connection(self._name, True, self._clock.now_ms()))

    async def _stay(self) -> None:
        """The watchdog: a link may answer pings and yet bring nothing."""
        if self._silent_after_s is None:
            return
        while self.silence_s < self._silent_after_s:
            await asyncio.sleep(self._silent_after_s - self.silence_s)
        raise TimeoutError

    def _down(self, reason: str) -> None:
        if self._is_up is not False:
            log.warning("stream_down stream=%s reason=%r", self._name, reason)
            self._tell(Connection(self._name, False, self._clock.now_ms(), reason))
        self._is_up = False

    def _pause_s(self, error: Exception, failures: int) -> float:
        pause_s = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
        if isinstance(error, RateBanned):
            return max(pause_s, (error.until_ms - self._clock.now_ms()) / 1000.0)
        return pause_s


def _words(error: Exception) -> str:
    if isinstance(error, BridgeError):
        return str(error)
    if isinstance(error, ConnectionError):
        return "the connection ended"
    return "no message for too long" if isinstance(error, TimeoutError) else describe(error)
