"""Notices to chats by webhook: one channel for each address that apprise understands.

Addresses are secrets: none of them stands in a name, a reason or a repr.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Any

from notifications.daemon import in_daemon_thread
from notifications.plain_text import headline, plain_text, short_text
from notifications.words import Delivered, Delivery, Notice, Refused, TryLater, Undeliverable

TIMEOUT_S = 25.0  # a server that sends a byte a second keeps to every time limit between two bytes
MOST_HANGING = 4  # calls that nobody waits for any more: they may hang for ever
OF_THE_ADDRESS = (401, 403, 404, 410)
OF_THE_MESSAGE = (400, 413, 422)


class WebhookUnknown(Exception):
    """apprise is not installed, or does not understand an address."""


class WebhookChannel:
    """Raises WebhookUnknown. ``url``: in apprise's notation (``slack://…``, ``discord://…``, ``json://…``)."""

    def __init__(self, url: str, *, name: str = "webhook", timeout_s: float = TIMEOUT_S) -> None:
        self.name, self._timeout_s = name, timeout_s
        self._service = _service(url, name)
        self._said = str(self._service.service_name or "the address")
        self._calls: set[int] = set()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def send(self, notice: Notice, *, repeats: int, is_silent: bool) -> Delivery:
        """Pictures stay behind; ``is_silent`` changes nothing: most chats know neither."""
        answer = await self._told(plain_text(notice, repeats), notice, repeats)
        return await self._told(short_text(notice, repeats), notice, repeats) if isinstance(answer, Refused) else answer

    async def _told(self, body: str, notice: Notice, repeats: int) -> Delivery:
        if len(self._calls) >= MOST_HANGING:
            return TryLater(f"{self._said} hangs: {MOST_HANGING} calls have had no end")
        kind = "failure" if notice.is_critical else "info"
        title = headline(notice, repeats)

        def call() -> tuple[bool, int | None]:
            STATUSES.forget()
            self._calls.add(me := threading.get_ident())
            try:
                return bool(self._service.notify(body=body, title=title, notify_type=kind)), STATUSES.last
            finally:
                self._calls.discard(me)

        try:
            return self._delivery(*await in_daemon_thread(call, timeout_s=self._timeout_s))
        except TimeoutError:
            return TryLater(f"{self._said}: no answer within {self._timeout_s:g} s")

    def _delivery(self, took: bool, status: int | None) -> Delivery:
        if took:
            return Delivered()
        reason = f"{self._said} did not take it" + (f" (status {status})" if status else "")
        if status in OF_THE_ADDRESS:
            return Undeliverable(reason)
        return Refused(reason) if status in OF_THE_MESSAGE else TryLater(reason)

    async def check(self) -> Delivery:
        """A webhook has no question that would not be a message: its address is understood, more is not known."""
        return Delivered()


class Statuses(logging.Handler):
    """The HTTP status that apprise last told its log, on the thread that asks: it returns none."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._here = threading.local()

    def forget(self) -> None:
        self._here.status = None

    @property
    def last(self) -> int | None:
        status: int | None = getattr(self._here, "status", None)
        return status

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"\berror=([1-5][0-9]{2})\b", record.getMessage()):
            self._here.status = int(found[1])


STATUSES = Statuses()


def _listen_alone() -> None:
    """Apprise and what it sends with print addresses: nobody else hears them."""
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    talker = logging.getLogger("apprise")
    talker.setLevel(logging.WARNING)
    talker.propagate = False
    talker.handlers = [STATUSES]


def _service(url: str, name: str) -> Any:
    try:
        import apprise
    except ImportError:
        raise WebhookUnknown(f"{name} needs the extra notify: pip install 'tandem-pairs[notify]'") from None
    _listen_alone()
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        raise WebhookUnknown(f"the address of {name} is none that apprise understands")
    return service
