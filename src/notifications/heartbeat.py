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
MANY_UNHEARD = 10
LOOPBACK = ("localhost", "127.0.0.1", "::1")

log = logging.getLogger(__name__)


class Heartbeat:
    """``is_well``: asked on the heartbeat's own thread before each call; it may take a while. The address is a secret.

    ``on_unheard(reason)``: on that thread too, when ``MANY_UNHEARD`` calls in a row came to nothing; once until one is
    heard again. Raises ValueError for an address elsewhere that is not https.
    """

    def __init__(
        self,
        url: str,
        *,
        every_s: float,
        is_well: Callable[[], bool],
        on_unheard: Callable[[str], None] = lambda _: None,
    ) -> None:
        refuse_unsafe(url)
        self._url, self._every_s, self._is_well, self._on_unheard = url, every_s, is_well, on_unheard
        self._end = threading.Event()
        self._unheard = 0
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
                self._note(asyncio.run(call(self._url)))
            self._end.wait(self._every_s)

    def _well(self) -> bool:
        with suppress(Exception):
            return self._is_well()
        return False

    def _note(self, problem: str) -> None:
        """Once for each time it changes."""
        if problem and not self._unheard:
            log.warning("heartbeat_not_heard reason=%s", problem)
        elif not problem and self._unheard:
            log.info("heartbeat_heard")
        self._unheard = self._unheard + 1 if problem else 0
        if self._unheard == MANY_UNHEARD:
            self._on_unheard(problem)


def refuse_unsafe(url: str) -> None:
    """Raises ValueError, without the address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("the heartbeat's address is none") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("the heartbeat's address is not https")


async def call(url: str) -> str:
    """Empty when it was heard, else why not."""
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return "" if answer.status < 300 else f"status {answer.status}"
    except Exception as error:  # whatever a strange address makes of it; its text holds the address
        return type(error).__name__
