"""Asks Telegram for what was written to the bot, for as long as the channel is open, whatever the network does."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from telegram import Update

from notifications.telegram.client import Sleep, TelegramClient, Unsent
from notifications.words import TryLater

POLL_S = 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S, REST_S = 1.0, 60.0, 600.0
LAST_WORD_S = 1.0
REMEMBERED = 1_000

log = logging.getLogger(__name__)


# Not the library's Updater: that one ends for good when a token is refused once, and logs tracebacks of its own.
class Poller:
    """``greet(username)``: once, when Telegram has said who the bot is; ``hear``: updates, each once."""

    def __init__(
        self,
        client: TelegramClient,
        *,
        greet: Callable[[str], None],
        hear: Callable[[Iterable[Update]], None],
        poll_s: float = POLL_S,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client, self._greet, self._hear, self._poll_s, self._sleep = client, greet, hear, poll_s, sleep
        self._offset: int | None = None
        self._known: deque[int] = deque(maxlen=REMEMBERED)
        self._failures = 0

    async def run(self) -> None:
        """Until cancelled."""
        is_greeted = False
        while True:
            try:
                if not is_greeted:
                    self._greet((await self._client.me()).username or "")
                    is_greeted = True
                await self._take()
                self._note_success()
            except Unsent as error:
                await self._sleep(self._pause_s(error))
            except Exception:
                log.exception("telegram_poll_failed")
                await self._sleep(LONGEST_PAUSE_S)

    async def confirm(self) -> None:
        """At the end: what was heard is not told again to the next start."""
        if self._offset is not None:
            with suppress(Unsent, TimeoutError):
                await asyncio.wait_for(self._client.updates(self._offset, wait_s=0.0), LAST_WORD_S)

    async def _take(self) -> None:
        updates = await self._client.updates(self._offset, wait_s=self._poll_s)
        new = [update for update in updates if self._is_new(update.update_id)]
        # After an idle week ids begin anew, below the old ones: nothing is left to confirm then.
        self._offset = max(update.update_id for update in updates) + 1 if updates else None
        self._hear(new)

    def _is_new(self, number: int) -> bool:
        if number in self._known:
            return False
        self._known.append(number)
        return True

    def _pause_s(self, error: Unsent) -> float:
        self._failures += 1
        if self._failures == 1:
            log.warning("telegram_commands_deaf reason=%s", error)
        if not isinstance(error.delivery, TryLater):
            return REST_S
        return error.delivery.after_s or min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_S)

    def _note_success(self) -> None:
        if self._failures:
            log.warning("telegram_commands_heard_again failures=%d", self._failures)
        self._failures = 0
