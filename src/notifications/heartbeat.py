"""Calls an address regularly while the bot is well: where the calls stop, somebody else raises the alarm."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp

TIMEOUT_S = 10.0
JOIN_S = 2.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")

log = logging.getLogger(__name__)


class Heartbeat:
    """``is_well``: asked on the heartbeat's own thread before each call; it may take a while. The address is a secret.

    Raises ValueError for an address elsewhere that is not https.
    """

    def __init__(self, url: str, *, every_s: float, is_well: Callable[[], bool]) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("the heartbeat's address is not https")
        self._url, self._every_s, self._is_well = url, every_s, is_well
        self._end = threading.Event()
        self._was_heard = True
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Also when it was never started."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._end.is_set():
            if self._well():
                self._note(asyncio.run(self._call()))
            self._end.wait(self._every_s)

    def _well(self) -> bool:
        with suppress(Exception):
            return self._is_well()
        return False

    async def _call(self) -> str:
        """Empty when it was heard, else why not."""
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url, allow_redirects=False) as answer,
            ):
                return "" if answer.status < 300 else f"status {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:  # its text holds the address
            return type(error).__name__

    def _note(self, problem: str) -> None:
        """Once for each time it changes."""
        if problem and self._was_heard:
            log.warning("heartbeat_not_heard reason=%s", problem)
        elif not problem and not self._was_heard:
            log.info("heartbeat_heard")
        self._was_heard = not problem
