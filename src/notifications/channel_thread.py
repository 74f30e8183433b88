"""One channel on a thread and an asyncio loop of its own: it may hang, raise or block, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from notifications.outbox import Waiting
from notifications.words import Channel, Delivery, TryLater

SEND_TIMEOUT_S = 60.0
OPEN_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 2.0

log = logging.getLogger(__name__)

OnResult = Callable[[str, Delivery], None]


class ChannelThread:
    """``on_result(name, delivery)``: called on the channel's thread, once for each ``send``."""

    def __init__(self, channel: Channel, on_result: OnResult, *, send_timeout_s: float = SEND_TIMEOUT_S) -> None:
        self.channel = channel
        self._on_result, self._send_timeout_s = on_result, send_timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: asyncio.Queue[Waiting] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._is_open = self._is_ending = False
        self._thread = threading.Thread(target=self._run, name=f"notify-{channel.name}", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def send(self, waiting: Waiting) -> None:
        """Any thread, after ``start``; returns at once."""
        self._post(self._inbox.put_nowait, waiting)

    def ask_to_stop(self) -> None:
        """What is being sent is given up."""
        self._post(self._cancel)

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning("channel_hangs channel=%s", self.channel.name)

    def _post(self, act: Callable[..., object], *values: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended: what was to be sent is told at the next start
            self._loop.call_soon_threadsafe(act, *values)

    def _cancel(self) -> None:
        self._is_ending = True  # a task that is cancelled as its awaited one ends may not hear of it
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._life())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _life(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._open()
            while not self._is_ending:
                waiting = await self._inbox.get()
                self._on_result(self.channel.name, await self._sent(waiting))
        except asyncio.CancelledError:
            pass
        finally:
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.wait_for(self.channel.close(), CLOSE_TIMEOUT_S)

    async def _open(self) -> str:
        """Empty, or why it could not be opened."""
        try:
            await asyncio.wait_for(self.channel.open(), OPEN_TIMEOUT_S)
            self._is_open = True
            return ""
        except Exception as error:  # its text may hold an address with a token in it
            log.warning("channel_not_opened channel=%s error=%s", self.channel.name, type(error).__name__)
            return f"could not be opened ({type(error).__name__})"

    async def _sent(self, waiting: Waiting) -> Delivery:
        if not self._is_open and (problem := await self._open()):
            return TryLater(problem)
        try:
            sending = self.channel.send(waiting.notice, repeats=waiting.repeats, is_silent=waiting.is_silent)
            return await asyncio.wait_for(sending, self._send_timeout_s)
        except TimeoutError:
            return TryLater(f"no answer within {self._send_timeout_s:g} s")
        except Exception as error:
            log.warning("channel_raised channel=%s error=%s", self.channel.name, type(error).__name__)
            return TryLater(f"failed ({type(error).__name__})")
