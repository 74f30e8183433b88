"""What each notifier needs beside the config: names in the environment, each also with ``_FILE`` (mode 0600)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import unquote, urlsplit

NOTIFIERS = ("telegram", "email", "webhook")
WEBHOOKS, HEARTBEAT = "NOTIFY_WEBHOOK_URLS", "HEARTBEAT_URL"
SECRETS = ("TELEGRAM_BOT_TOKEN", "SMTP_PASSWORD", WEBHOOKS, HEARTBEAT)
_NEEDS = {
    "telegram": ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID"),
    "email": ("SMTP_HOST", "SMTP_USER", "SMTP_PASSWORD"),
    "webhook": (WEBHOOKS,),
}
_IN_CONFIG = {"SMTP_HOST": "host", "SMTP_USER": "user"}
_OF_A_LOGIN = ("SMTP_USER", "SMTP_PASSWORD")
_SHORTEST_PART = 8


def missing_names(notifier: str, environ: Mapping[str, str], given: Collection[str], *, logs_in: bool) -> list[str]:
    """What an enabled notifier lacks. ``given``: keys of its section that have a value."""
    wanted = [name for name in _NEEDS[notifier] if _IN_CONFIG.get(name) not in given]
    wanted = [name for name in wanted if logs_in or name not in _OF_A_LOGIN]
    return [name for name in wanted if not (environ.get(name) or environ.get(f"{name}_FILE"))]


def addresses(text: str) -> tuple[str, ...]:
    """The addresses in the value of ``NOTIFY_WEBHOOK_URLS``, set apart by blanks or line ends."""
    return tuple(text.split())


def secret_parts(address: str) -> Iterator[str]:
    """An address, and what in it lets somebody in: it may be printed in parts. Its host is none."""
    yield address
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    places = (parts.netloc, parts.path, parts.query, parts.fragment)
    for word in (word for place in places for word in re.split(r"[/@:&=?]", place)):
        if len(word) >= _SHORTEST_PART and "." not in word and word != "localhost":
            yield from (word, unquote(word))
