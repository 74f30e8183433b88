"""What waits for a person's yes: one press, by who asked, in the same chat, within a minute."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from notifications.bot_desk import Wish

VALID_S = 60.0
MAX_WAITING = 20
YES, NO = "y", "n"


@dataclass(frozen=True, slots=True)
class Waiting:
    wish: Wish
    user_id: int
    chat_id: int
    until: float


class NotAgreed(Exception):
    """The press does not count; the message says why."""


class Confirmations:
    """Nonces are told to nobody but the buttons. ``now``: seconds that only grow."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._waiting: dict[str, Waiting] = {}

    def ask(self, wish: Wish, *, user_id: int, chat_id: int) -> tuple[str, str]:
        """What the yes and the no button are to send back."""
        while len(self._waiting) >= MAX_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        nonce = secrets.token_urlsafe(18)
        self._waiting[nonce] = Waiting(wish, user_id, chat_id, self._now() + VALID_S)
        return f"{YES}:{nonce}", f"{NO}:{nonce}"

    def take(self, data: str, *, user_id: int, chat_id: int) -> tuple[Wish, bool]:
        """The wish and whether the answer was yes, once. Raises ``NotAgreed``; another's press takes nothing away."""
        answer, _, nonce = data.partition(":")
        waiting = self._waiting.get(nonce)
        if waiting is None or answer not in (YES, NO):
            raise NotAgreed("This button is not valid any more. Give the command again.")
        if (waiting.user_id, waiting.chat_id) != (user_id, chat_id):
            raise NotAgreed("Only who gave the command can confirm it.")
        del self._waiting[nonce]
        if self._now() > waiting.until:
            raise NotAgreed(f"Not confirmed within {VALID_S:.0f} s. Give the command again.")
        return waiting.wish, answer == YES
