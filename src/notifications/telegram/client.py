"""The Bot API through python-telegram-bot: paced, its errors as what became of a message, the token in none of them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from telegram import Bot, BotCommand, BotCommandScopeChat, InlineKeyboardButton, InlineKeyboardMarkup, Update, User
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from notifications.telegram.access import TelegramAccess
from notifications.telegram.pace import Pace
from notifications.words import Picture, Refused, TryLater, Undeliverable

CONNECT_S, READ_S = 5.0, 10.0
REASON_LENGTH = 200
UPDATES = ("message", "callback_query")
TALKATIVE = ("telegram", "httpx", "httpcore")  # they log the token: every URL has it
NOT_UNDERSTOOD = (KeyError, TypeError, ValueError, AttributeError)  # what reading an odd answer raises
# Of all that Telegram calls a bad request, what is not the message's fault.
OF_THE_CHAT = re.compile(
    r"chat not found|peer_id_invalid|deactivated|kicked|write_forbidden|to send (?:text|a) message", re.IGNORECASE
)

Button = tuple[str, str]  # what it says, and what comes back when it is pressed
Sleep = Callable[[float], Awaitable[None]]
T = TypeVar("T")


class Unsent(Exception):
    """A call that came to nothing. ``delivery``: whether another may help."""

    def __init__(self, delivery: TryLater | Refused | Undeliverable) -> None:
        super().__init__(delivery.reason)
        self.delivery = delivery

    @property
    def is_refused(self) -> bool:
        """Its content is why."""
        return isinstance(self.delivery, Refused)


class TelegramClient:
    """One bot's calls, on one asyncio loop. They raise ``Unsent``; texts are HTML unless ``is_plain``.

    A message that would have to wait longer than ``patience_s`` for its chat's turn is not sent.
    """

    def __init__(self, access: TelegramAccess, *, pace: Pace, sleep: Sleep = asyncio.sleep) -> None:
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what they would say comes back as an error anyway
        self._access, self._pace, self._sleep = access, pace, sleep
        self._requests = _request(1), _request(8)
        polling, calling = self._requests
        self._bot = Bot(access.token, f"{access.api_url}/bot", get_updates_request=polling, request=calling)

    async def close(self) -> None:
        for request in self._requests:
            await request.shutdown()

    async def me(self) -> User:
        return await self._call(self._bot.get_me())

    async def chat_title(self) -> str:
        """Of the chat that is told: whether it is known to this bot at all."""
        chat = await self._call(self._bot.get_chat(self._access.chat_id))
        return chat.effective_name or str(chat.id)

    async def show_menu(self, commands: Sequence[tuple[str, str]], chat_id: int) -> None:
        menu = [BotCommand(name, text) for name, text in commands]
        await self._call(self._bot.set_my_commands(menu, scope=BotCommandScopeChat(chat_id)))

    async def updates(self, offset: int | None, *, wait_s: float) -> tuple[Update, ...]:
        """What has come since; asking confirms everything before ``offset``."""
        asked = self._bot.get_updates(offset, timeout=timedelta(seconds=wait_s), allowed_updates=UPDATES)
        return await self._call(asked)

    async def say(
        self,
        chat_id: int,
        text: str,
        *,
        patience_s: float,
        is_silent: bool = False,
        is_plain: bool = False,
        buttons: Sequence[Button] = (),
    ) -> int:
        """The message's id."""
        await self._wait_for_turn(chat_id, patience_s)
        sending = self._bot.send_message(
            chat_id,
            text,
            parse_mode=None if is_plain else ParseMode.HTML,
            disable_notification=is_silent,
            reply_markup=_keyboard(buttons),
        )
        return (await self._call(sending)).message_id

    async def show(
        self, chat_id: int, picture: Picture, caption: str, *, patience_s: float, is_silent: bool = False
    ) -> None:
        await self._wait_for_turn(chat_id, patience_s)
        sending = self._bot.send_photo(
            chat_id,
            picture.data,
            caption,
            parse_mode=ParseMode.HTML,
            disable_notification=is_silent,
            filename=picture.name,
        )
        await self._call(sending)

    async def settle(self, chat_id: int, message_id: int, text: str) -> None:
        """Put another text in a message's place, without buttons."""
        await self._call(self._bot.edit_message_text(text, chat_id, message_id, parse_mode=ParseMode.HTML))

    async def acknowledge(self, press_id: str, text: str = "") -> None:
        """Let a pressed button go, with a short word over the chat."""
        await self._call(self._bot.answer_callback_query(press_id, text or None))

    async def _wait_for_turn(self, chat_id: int, patience_s: float) -> None:
        wait_s = self._pace.wait_s(chat_id)
        if wait_s > patience_s:
            raise Unsent(TryLater("the chat has had as many messages as Telegram takes", wait_s))
        self._pace.take(chat_id, wait_s)
        if wait_s:
            await self._sleep(wait_s)

    async def _call(self, calling: Awaitable[T]) -> T:
        try:
            return await calling
        except TelegramError as error:
            raise self._unsent(error) from None  # what caused it may have the token in its text
        except NOT_UNDERSTOOD as error:
            raise Unsent(TryLater(f"the server's answer was not understood ({type(error).__name__})")) from None

    def _unsent(self, error: TelegramError) -> Unsent:
        said = self._access.masked(str(error))[:REASON_LENGTH]
        match error:
            case RetryAfter():
                self._pace.hold(wait_s := _seconds(error.retry_after))
                return Unsent(TryLater(said, wait_s))
            case InvalidToken():
                remedy = "set TELEGRAM_BOT_TOKEN to what @BotFather shows"
                return Unsent(Undeliverable(f"Telegram does not know the bot's token ({said}): {remedy}"))
            case ChatMigrated():
                new = error.new_chat_id
                return Unsent(Undeliverable(f"the group has become a supergroup: set TELEGRAM_CHAT_ID to {new}"))
            case Forbidden():
                return Unsent(Undeliverable(f"the chat does not take the bot's messages ({said})"))
            case BadRequest() if OF_THE_CHAT.search(said):
                return Unsent(Undeliverable(f"the chat does not take the bot's messages ({said})"))
            case BadRequest():
                return Unsent(Refused(f"Telegram refused the message ({said})"))
            case Conflict():
                return Unsent(TryLater(f"another process asks for this bot's updates ({said})"))
        return Unsent(TryLater(f"Telegram was not reached ({said})"))


def _request(connections: int) -> HTTPXRequest:
    return HTTPXRequest(connections, connect_timeout=CONNECT_S, read_timeout=READ_S, pool_timeout=READ_S)


def _keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    return (
        InlineKeyboardMarkup.from_row([InlineKeyboardButton(word, callback_data=data) for word, data in buttons])
        if buttons
        else None
    )


def _seconds(given: int | timedelta) -> float:
    return given.total_seconds() if isinstance(given, timedelta) else float(given)
