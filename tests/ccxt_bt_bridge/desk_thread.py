"""An exchange on the desk in a thread of its own, beside a Backtrader script in the test's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from brokers.desk.desk import Desk
from tests.brokers.desk.desks import open_desk


class DeskThread:
    """``terms`` as of ``open_desk``. The market walks from the first subscription on."""

    def __init__(self, **terms: Any) -> None:
        self._terms = {"wait_for_client": True} | terms
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="desk")
        self.desk: Desk
        self.loop: asyncio.AbstractEventLoop

    def __enter__(self) -> DeskThread:
        self._thread.start()
        assert self._ready.wait(30)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)

    @property
    def url(self) -> str:
        return self.desk.url

    def do(self, act: Callable[[Desk], Any]) -> Any:
        """``act(desk)`` on the desk's loop."""

        async def acting() -> Any:
            return act(self.desk)

        return asyncio.run_coroutine_threadsafe(acting(), self.loop).result(30)

    def soon(self, act: Callable[[Desk], Any]) -> None:
        """``do`` without waiting for it."""
        self.loop.call_soon_threadsafe(act, self.desk)

    async def _serve(self) -> None:
        self.loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with open_desk(**self._terms) as self.desk:
                self.desk.walk()
                self._ready.set()
                await self._ended.wait()
        except BaseException as error:
            self._failure = error
            self._ready.set()
            raise
