"""Who is heard: people on the list, in a chat on the list, who wrote it themselves, here and now."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import datetime

from telegram import CallbackQuery, Chat, Message, Update, User

from notifications.telegram.access import TelegramAccess

COMMAND = re.compile(r"/(\w{1,32})(?:@(\w{1,64}))?(?:\s+(.*))?", re.DOTALL)
KNOWN_STRANGERS = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """``/name argument``, by a user in a chat, both on the list. ``time``: Telegram's, UTC-aware."""

    user_id: int
    chat_id: int
    name: str
    argument: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button under a message of the bot's; ``data``: what it was made with."""

    press_id: str
    user_id: int
    chat_id: int
    message_id: int
    data: str


class Gate:
    """Reads updates; whatever is not for us is None. Strangers get no answer, and one line each in the log."""

    def __init__(self, access: TelegramAccess) -> None:
        self._access = access
        self._strangers: set[tuple[int, int]] = set()
        self.username = ""

    def read(self, update: Update) -> Asked | Pressed | None:
        """Edited messages, channels' posts and whatever else an update may be are not heard."""
        if update.message is not None:
            return self._asked(update.message)
        if update.callback_query is not None:
            return self._pressed(update.callback_query)
        return None

    def _asked(self, message: Message) -> Asked | None:
        found = COMMAND.fullmatch((message.text or "").strip())
        user = message.from_user
        if found is None or user is None or _is_of_another(message):
            return None
        name, addressee, argument = found.groups()
        if addressee and addressee.lower() != self.username.lower():
            return None
        if not self._lets_in(user, message.chat):
            return None
        return Asked(user.id, message.chat.id, name.lower(), (argument or "").strip(), message.date)

    def _pressed(self, press: CallbackQuery) -> Pressed | None:
        """Without its message (too old, or sent in the bot's name elsewhere) nobody knows what was agreed to."""
        message = press.message
        if message is None or not self._lets_in(press.from_user, message.chat):
            return None
        return Pressed(press.id, press.from_user.id, message.chat.id, message.message_id, press.data or "")

    def _lets_in(self, user: User, chat: Chat) -> bool:
        is_place = chat.type == Chat.PRIVATE or (
            self._access.allows_groups and chat.type in (Chat.GROUP, Chat.SUPERGROUP)
        )
        if is_place and not user.is_bot and self._access.may_command(user.id, chat.id):
            return True
        self._note(user.id, chat.id)
        return False

    def _note(self, user_id: int, chat_id: int) -> None:
        who = (user_id, chat_id)
        if who in self._strangers or len(self._strangers) >= KNOWN_STRANGERS:
            return
        self._strangers.add(who)
        log.warning("telegram_stranger user=%d chat=%d", user_id, chat_id)


def _is_of_another(message: Message) -> bool:
    """Somebody else's words: forwarded, sent through another bot, or in the name of a chat."""
    return any(
        one is not None
        for one in (
            message.forward_origin,
            message.sender_chat,
            message.via_bot,
            message.edit_date,
            message.sender_business_bot,
        )
    )
