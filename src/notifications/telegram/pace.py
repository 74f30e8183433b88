"""How fast Telegram lets a bot speak: about a message a second in a chat, twenty a minute in a group."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

EVERY_S = 1.0
GROUP_MESSAGES = 20
WINDOW_S = 60.0


class Pace:
    """Room for the next message of each chat. ``now``: seconds that only grow.

    https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sent: dict[int, deque[float]] = {}
        self._held_until = 0.0

    def wait_s(self, chat_id: int) -> float:
        """Seconds until a message may go, 0 when it may go now."""
        sent, now = self._sent.get(chat_id), self._now()
        free_at = self._held_until
        if sent:
            free_at = max(free_at, sent[-1] + EVERY_S)
        if sent and chat_id < 0 and len(sent) == GROUP_MESSAGES:
            free_at = max(free_at, sent[0] + WINDOW_S)
        return max(0.0, free_at - now)

    def hold(self, seconds: float) -> None:
        """Telegram wants silence for so long: whoever goes on is kept out for longer."""
        self._held_until = max(self._held_until, self._now() + seconds)

    def take(self, chat_id: int, after_s: float = 0.0) -> None:
        """A message goes ``after_s`` from now."""
        self._sent.setdefault(chat_id, deque(maxlen=GROUP_MESSAGES)).append(self._now() + after_s)


class Allowance:
    """So many a minute and no more. ``now``: seconds that only grow."""

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._per_minute = now, per_minute
        self._taken: deque[float] = deque(maxlen=per_minute)
        self._has_told = False

    def takes(self) -> bool:
        """True when one more is within the allowance, and counts it."""
        now = self._now()
        if len(self._taken) == self._per_minute and now - self._taken[0] < WINDOW_S:
            return False
        self._taken.append(now)
        self._has_told = False
        return True

    def tells(self) -> bool:
        """True for the first that was not taken: whoever floods is told once."""
        first, self._has_told = not self._has_told, True
        return first
