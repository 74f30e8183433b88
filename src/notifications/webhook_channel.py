"""Notices to chats by webhook: one channel for each address that apprise understands.

Addresses are secrets: none of them stands in a name, a reason or a repr.
"""

from __future__ import annotations

import logging
from typing import Any

from notifications.plain_text import headline, plain_text
from notifications.words import Delivered, Delivery, Notice, TryLater


class WebhookUnknown(Exception):
    """apprise is not installed, or does not understand an address."""


class WebhookChannel:
    """Raises WebhookUnknown. ``url``: in apprise's notation (``slack://…``, ``discord://…``, ``json://…``)."""

    def __init__(self, url: str, *, name: str = "webhook") -> None:
        self.name = name
        self._service = _service(url, name)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def send(self, notice: Notice, *, repeats: int, is_silent: bool) -> Delivery:
        """Pictures stay behind; ``is_silent`` changes nothing: most chats know neither."""
        kind = "failure" if notice.is_critical else "info"
        took = await self._service.async_notify(
            body=plain_text(notice, repeats), title=headline(notice, repeats), notify_type=kind
        )
        return Delivered() if took else TryLater(f"{self._service.service_name or 'the address'} did not take it")

    async def check(self) -> Delivery:
        """A webhook has no question that would not be a message: its address is understood, more is not known."""
        return Delivered()


def _service(url: str, name: str) -> Any:
    try:
        import apprise
    except ImportError:
        raise WebhookUnknown(f"{name} needs the extra notify: pip install 'tandem-pairs[notify]'") from None
    for talker in ("apprise", "urllib3"):  # they print addresses
        logging.getLogger(talker).setLevel(logging.CRITICAL)
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        raise WebhookUnknown(f"the address of {name} is none that apprise understands")
    return service
