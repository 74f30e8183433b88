"""A desk exchange in a thread of its own, for tests of commands that bring their own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from brokers.desk.desk import Desk

PATIENCE_S = 20.0


class DeskThread:
    """``url`` to reach it, ``desk`` to look at it; what changes it goes through ``do``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, desk: Desk) -> None:
        self.desk, self.url = desk, desk.url
        self._loop = loop

    def do(self, work: Callable[[Desk], Any]) -> Any:
        """Run this on the desk's loop and wait for it."""

        async def done() -> Any:
            answer = work(self.desk)
            return await answer if isinstance(answer, Awaitable) else answer

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(PATIENCE_S)


@contextmanager
def desk_thread(opening: Callable[[], AbstractAsyncContextManager[Desk]]) -> Iterator[DeskThread]:
    """Opens the desk on a loop of its own; it is closed with the block."""
    loop, began, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[Any] = []

    async def serve() -> None:
        try:
            async with opening() as desk:
                found.append(desk)
                began.set()
                await stop.wait()
        except BaseException as error:
            found.append(error)
            began.set()
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="desk")
    thread.start()
    began.wait(PATIENCE_S)
    try:
        assert found and not isinstance(found[0], BaseException), found
        yield DeskThread(loop, found[0])
    finally:
        if loop.is_running():
            loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
        loop.close()
