"""One channel on a thread and an asyncio loop of its own: it may hang, raise or block, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from notifications.outbox import Waiting
from notifications.words import Channel, Delivery, Failed, TryLater

SEND_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 2.0
ENDS_A_LOOP = (SystemExit, KeyboardInterrupt)

log = logging.getLogger(__name__)

T = TypeVar("T")
OnResult = Callable[["ChannelThread", Delivery], None]


class ChannelEnded(Exception):
    """A channel raised what would end its loop; its name is the message."""


class ChannelThread:
    """``on_result(self, delivery)``: called on the channel's thread, once for each ``send``.

    Opening and sending take ``send_timeout_s`` each at most, unless the channel blocks its loop.
    """

    def __init__(self, channel: Channel, on_result: OnResult, *, send_timeout_s: float = SEND_TIMEOUT_S) -> None:
        self.channel = channel
        self._on_result, self._send_timeout_s = on_result, send_timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: asyncio.Queue[Waiting] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._is_open = self._is_ending = self._is_abandoned = False
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

    def abandon(self) -> None:
        """Another thread takes the channel over: this one neither answers nor closes it, if ever it goes on."""
        self._is_abandoned = True
        self.ask_to_stop()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

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
        except ENDS_A_LOOP as error:  # of a task that the channel has begun
            log.error("channel_ended channel=%s error=%s", self.channel.name, type(error).__name__)
        finally:
            self._is_ending = True
            with suppress(*ENDS_A_LOOP):
                self._loop.run_until_complete(_end_tasks())
            self._loop.close()

    async def _life(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._open()
            while not self._is_ending:
                waiting = await self._inbox.get()
                delivery = await self._sent(waiting)
                if not self._is_abandoned:
                    self._on_result(self, delivery)
        except asyncio.CancelledError:
            pass
        finally:
            if not self._is_abandoned:
                with suppress(Exception, asyncio.CancelledError):
                    await asyncio.wait_for(_kept(self.channel.close()), CLOSE_TIMEOUT_S)

    async def _open(self) -> str:
        """Empty, or why it could not be opened."""
        try:
            await asyncio.wait_for(_kept(self.channel.open()), self._send_timeout_s)
            self._is_open = True
            return ""
        except (Exception, asyncio.CancelledError) as error:
            self._end_if_asked(error)
            log.warning("channel_not_opened channel=%s error=%s", self.channel.name, _name(error))
            return f"could not be opened ({_name(error)})"

    async def _sent(self, waiting: Waiting) -> Delivery:
        if not self._is_open and (problem := await self._open()):
            return TryLater(problem)
        try:
            sending = self.channel.send(waiting.notice, repeats=waiting.repeats, is_silent=waiting.is_silent)
            return await asyncio.wait_for(_kept(sending), self._send_timeout_s)
        except TimeoutError:
            return TryLater(f"no answer within {self._send_timeout_s:g} s")
        except (Exception, asyncio.CancelledError) as error:
            self._end_if_asked(error)
            log.warning("channel_raised channel=%s error=%s", self.channel.name, _name(error))
            return Failed(f"failed ({_name(error)})")

    def _end_if_asked(self, error: BaseException) -> None:
        """A channel may be cancelled by something of its own."""
        if self._is_ending and isinstance(error, asyncio.CancelledError):
            raise error


async def _kept(doing: Awaitable[T]) -> T:
    """Asyncio lets two exceptions of a task end the whole loop: here they end what raised them."""
    try:
        return await doing
    except ENDS_A_LOOP as error:
        raise ChannelEnded(type(error).__name__) from None


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=CLOSE_TIMEOUT_S)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _name(error: BaseException) -> str:
    """Its text may hold an address with a token in it."""
    return str(error) if isinstance(error, ChannelEnded) else type(error).__name__
