"""A blocking call beside an asyncio loop, on a thread that keeps no process from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(act: Callable[[], T], *, timeout_s: float) -> T:
    """What ``act`` returns or raises; TimeoutError after ``timeout_s``, while its thread goes on for nobody.

    A thread of asyncio's own executor would be waited for when the process ends.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = act()
        except Exception as caught:
            error = caught
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="notify-call", daemon=True).start()
    return await asyncio.wait_for(answer, timeout_s)
