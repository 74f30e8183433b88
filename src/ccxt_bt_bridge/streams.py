"""Something to publish to many readers, each with a queue of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
_END = object()


class Stream(Generic[Item]):
    """A reader gets what is published after it subscribed; after ``end`` every reader stops once its queue is empty."""

    def __init__(self) -> None:
        self._queues: list[asyncio.Queue] = []
        self._ended = False

    def subscribe(self) -> AsyncIterator[Item]:
        """Subscribed from this call on, not from the first ``anext``."""
        queue: asyncio.Queue = asyncio.Queue()
        self._queues.append(queue)
        if self._ended:
            queue.put_nowait(_END)
        return self._read(queue)

    @property
    def has_readers(self) -> bool:
        return bool(self._queues)

    def publish(self, item: Item) -> None:
        for queue in self._queues:
            queue.put_nowait(item)

    def end(self) -> None:
        """May be called again."""
        if not self._ended:
            self._ended = True
            for queue in self._queues:
                queue.put_nowait(_END)

    async def _read(self, queue: asyncio.Queue) -> AsyncIterator[Item]:
        try:
            while (item := await queue.get()) is not _END:
                yield item
        finally:
            self._queues.remove(queue)
