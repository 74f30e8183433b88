"""Work that goes on beside its owner: held until it is done, told in the log when it breaks, ended together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any


class Background:
    """Tasks of one owner on the running loop. ``on_broken`` is called after one has raised."""

    def __init__(self, log: logging.Logger, on_broken: Callable[[], None] = lambda: None) -> None:
        self._log, self._on_broken = log, on_broken
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_idle(self) -> bool:
        return not self._tasks

    def keep(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def end(self) -> None:
        """Cancel what is left and wait for it. May be called again."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("task_broken name=%s", task.get_name(), exc_info=task.exception())
            self._on_broken()
