"""Telegram as a channel: notices to one chat, and, where the config wants them, commands from it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from notifications.bot_desk import BotDesk
from notifications.chart import draw
from notifications.plain_text import short_text
from notifications.telegram.access import TelegramAccess
from notifications.telegram.client import Sleep, TelegramClient, Unsent
from notifications.telegram.commander import Commander
from notifications.telegram.gate import Gate
from notifications.telegram.menu import MENU
from notifications.telegram.pace import Pace
from notifications.telegram.poller import POLL_S, Poller
from notifications.telegram.text import CAPTION_UNITS, MESSAGE_UNITS, Piece, html, notice_pieces, plain, shown_units
from notifications.words import Delivered, Delivery, Notice, Picture

PATIENCE_S = 1.5  # the dispatcher waits longer, and meanwhile may find something more important to send
PICTURE_PATIENCE_S = 5.0
MAX_PICTURES = 4

log = logging.getLogger(__name__)


class TelegramChannel:
    """``desk``: who answers; without one, or where ``access`` takes none, nobody listens. ``now``: growing seconds."""

    name = "telegram"

    def __init__(
        self,
        access: TelegramAccess,
        *,
        desk: BotDesk | None = None,
        poll_s: float = POLL_S,
        now: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._access, self._desk, self._poll_s, self._now, self._sleep = access, desk, poll_s, now, sleep
        self._client = TelegramClient(access, pace=Pace(now), sleep=sleep)
        self._was_opened = False
        self._commander: Commander | None = None
        self._poller: Poller | None = None
        self._polling: asyncio.Task[None] | None = None
        self._menu: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Asks Telegram nothing: it may be away. Opened again, its connections are new: the loop may be another."""
        if self._was_opened:
            self._client = TelegramClient(self._access, pace=Pace(self._now), sleep=self._sleep)
        self._was_opened = True
        if self._desk is None or not self._access.takes_commands:
            return
        if not self._access.user_ids:
            log.warning("telegram_commands_off reason=TELEGRAM_USER_IDS is not set: nobody may command")
            return
        gate = Gate(self._access)
        self._commander = Commander(self._client, self._desk, gate, now=self._now, sleep=self._sleep)

        def greet(username: str) -> None:
            gate.username = username
            self._menu.add(asyncio.create_task(self._show_menu()))

        self._poller = Poller(
            self._client, greet=greet, hear=self._commander.hear, poll_s=self._poll_s, sleep=self._sleep
        )
        self._polling = asyncio.create_task(self._poller.run())

    async def check(self) -> Delivery:
        """Whether token and chat are accepted; sends nothing."""
        try:
            await self._client.me()
            await self._client.chat_title()
        except Unsent as error:
            return error.delivery
        return Delivered()

    async def send(self, notice: Notice, *, repeats: int, is_silent: bool) -> Delivery:
        """Where a picture cannot be drawn or sent, the words go without it."""
        pieces = notice_pieces(notice, repeats)
        pictures = await self._pictures(notice)
        try:
            if (
                pictures
                and shown_units(pieces) <= CAPTION_UNITS
                and await self._captioned(pictures[0], pieces, is_silent)
            ):
                pictures = pictures[1:]
            else:
                await self._say(pieces, short_text(notice, repeats), is_silent)
        except Unsent as error:
            return error.delivery
        for picture in pictures:
            await self._add(picture, notice.title)
        return Delivered()

    async def close(self) -> None:
        tasks = [task for task in (self._polling, *self._menu) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._commander is not None and self._poller is not None:
            await self._commander.close()
            await self._poller.confirm()
        await self._client.close()

    async def _captioned(self, picture: Picture, pieces: tuple[Piece, ...], is_silent: bool) -> bool:
        """False when Telegram takes the picture or its caption not, whatever it may say to the words alone."""
        try:
            caption = html(pieces, CAPTION_UNITS)
            chat_id = self._access.chat_id
            await self._client.show(chat_id, picture, caption, patience_s=PATIENCE_S, is_silent=is_silent)
        except Unsent as error:
            if error.is_refused:
                return False
            raise
        return True

    async def _say(self, pieces: tuple[Piece, ...], short: str, is_silent: bool) -> None:
        """Where Telegram refuses the words as a page, they go plain, and where it refuses these, in short."""
        chat_id = self._access.chat_id
        try:
            text = html(pieces, MESSAGE_UNITS)
            await self._client.say(chat_id, text, patience_s=PATIENCE_S, is_silent=is_silent)
            return
        except Unsent as error:
            _raise_unless_refused(error)
        try:
            text = plain(pieces, MESSAGE_UNITS)
            await self._client.say(chat_id, text, patience_s=PICTURE_PATIENCE_S, is_silent=is_silent, is_plain=True)
        except Unsent as error:
            _raise_unless_refused(error)
            await self._client.say(chat_id, short, patience_s=PICTURE_PATIENCE_S, is_silent=is_silent, is_plain=True)

    async def _add(self, picture: Picture, title: str) -> None:
        """The words have arrived: sent again for a picture's sake, they would be told twice."""
        try:
            caption = html([("", title)], CAPTION_UNITS)
            await self._client.show(
                self._access.chat_id, picture, caption, patience_s=PICTURE_PATIENCE_S, is_silent=True
            )
        except Unsent as error:
            log.warning("telegram_picture_lost reason=%s", error)

    async def _pictures(self, notice: Notice) -> list[Picture]:
        drawn: list[Picture] = []
        if notice.chart is not None:
            try:
                drawn.append(await asyncio.to_thread(draw, notice.chart))
            except Exception as error:
                log.warning("telegram_chart_failed pair=%s error=%s", notice.chart.pair_id, type(error).__name__)
        return [*drawn, *notice.pictures][:MAX_PICTURES]

    async def _show_menu(self) -> None:
        """Only where commands are taken: strangers see no list."""
        menu = [(entry.name, entry.does) for entry in MENU]
        try:
            await self._client.show_menu(menu, self._access.chat_id)
        except Unsent as error:
            log.info("telegram_menu_not_shown reason=%s", error)


def _raise_unless_refused(error: Unsent) -> None:
    if not error.is_refused:
        raise error
