"""Which bot of Telegram this is, where it tells, and who may command it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

API_URL = "https://api.telegram.org"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class TelegramAccess:
    """``chat_id``: where alerts go. Nobody commands unless ``takes_commands``, and then only ``user_ids``.

    They command in ``chat_id`` or in their own private chat with the bot; in a group only with ``allows_groups``.
    ``api_url``: another server that speaks the Bot API. Raises ``ValueError`` for one that the token would reach
    unencrypted.
    """

    token: str = field(repr=False)
    chat_id: int
    user_ids: frozenset[int] = frozenset()
    takes_commands: bool = False
    allows_groups: bool = False
    api_url: str = API_URL

    def __post_init__(self) -> None:
        url = urlsplit(self.api_url)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
            raise ValueError("the address of the Bot API must begin with https:// unless it is on this machine")

    def may_command(self, user_id: int, chat_id: int) -> bool:
        """A private chat has its user's id."""
        return user_id in self.user_ids and chat_id in (self.chat_id, user_id)

    def masked(self, text: str) -> str:
        """Without the token, as it is or as it stands in a URL, and without the half of it that is secret."""
        for part in (self.token, self.token.replace(":", "%3A"), self.token.rpartition(":")[2]):
            text = text.replace(part, "***") if part else text
        return text
