"""What becomes of what is heard: questions are answered, commands asked back, given, and followed to their end."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from telegram import Update

from notifications.bot_desk import Answer, BotDesk, Deed, Given, NotTaken, Topic, Wish
from notifications.telegram.client import Sleep, TelegramClient, Unsent
from notifications.telegram.confirmations import Confirmations, NotAgreed
from notifications.telegram.gate import Asked, Gate, Pressed
from notifications.telegram.menu import BY_NAME, QUESTIONS, help_answer
from notifications.telegram.pace import Allowance
from notifications.telegram.text import MESSAGE_UNITS, Piece, answer_pages, html
from notifications.words import TryLater

STALE_AFTER_S = 60.0  # whoever asked has seen another market since
COMMANDS_A_MINUTE, STOPS_A_MINUTE, PRESSES_A_MINUTE = 20, 10, 20
ANSWER_PATIENCE_S = 10.0
TURN_PATIENCE_S = 30.0  # an answer waits for the chat's turn behind alerts
SAY_TRIES, SAY_PAUSE_S, LONGEST_PAUSE_S = 3, 2.0, 60.0
FOLLOW_EVERY_S, FOLLOW_SLOWLY_S, STILL_AFTER_S, FOLLOW_S = 0.5, 5.0, 60.0, 3600.0
MOST_FOLLOWED = 20

log = logging.getLogger(__name__)

T = TypeVar("T")


class Commander:
    """On the channel's loop. The desk is asked in threads: two for questions, one for commands, so that a journal that
    does not answer holds up no command. ``now``: seconds that only grow.
    """

    def __init__(
        self,
        client: TelegramClient,
        desk: BotDesk,
        gate: Gate,
        *,
        now: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        self._client, self._desk, self._gate, self._sleep = client, desk, gate, sleep
        self._confirmations = Confirmations(now)
        self._questions = ThreadPoolExecutor(2, "telegram-ask")
        self._commands = ThreadPoolExecutor(1, "telegram-give")
        self._allowed: dict[int, Allowance] = defaultdict(lambda: Allowance(COMMANDS_A_MINUTE, now))
        self._stops: dict[int, Allowance] = defaultdict(lambda: Allowance(STOPS_A_MINUTE, now))
        self._presses: dict[int, Allowance] = defaultdict(lambda: Allowance(PRESSES_A_MINUTE, now))
        self._followed = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, updates: Iterable[Update]) -> None:
        """Begin whatever they ask for; returns at once."""
        dropped: dict[int, list[str]] = defaultdict(list)
        for heard in map(self._gate.read, updates):
            match heard:
                case Pressed() if self._presses[heard.user_id].takes():
                    self._begin(self._press(heard), heard.chat_id)
                case Asked() if _is_stale(heard):
                    dropped[heard.chat_id].append(f"/{heard.name}")
                case Asked():
                    self._take(heard)
        for chat_id, names in dropped.items():
            text = (
                f"Dropped, older than {STALE_AFTER_S:.0f} s: {', '.join(names[:10])}. Give it again if it still holds."
            )
            self._begin(self._say(chat_id, text), chat_id)

    async def close(self) -> None:
        """What was given stays given; nobody is told of it any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pool in (self._questions, self._commands):
            pool.shutdown(wait=False, cancel_futures=True)

    def _take(self, asked: Asked) -> None:
        is_stop = asked.name in (Deed.HALT.value, Deed.FLATTEN.value)
        allowance = (self._stops if is_stop else self._allowed)[asked.user_id]
        if allowance.takes():
            self._begin(self._answer(asked), asked.chat_id)
        elif allowance.tells():
            self._begin(self._say(asked.chat_id, "Too many commands: wait a minute."), asked.chat_id)

    def _begin(self, doing: Coroutine[Any, Any, None], chat_id: int) -> None:
        task = asyncio.create_task(self._guarded(doing, chat_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, doing: Coroutine[Any, Any, None], chat_id: int) -> None:
        """A defect is told, and costs this one answer."""
        try:
            await doing
        except NotTaken as refusal:
            await self._say(chat_id, str(refusal))
        except Exception as error:
            log.exception("telegram_command_failed")
            await self._say(chat_id, f"That failed ({type(error).__name__}): see the bot's log.")

    # questions and commands

    async def _answer(self, asked: Asked) -> None:
        entry = BY_NAME.get(asked.name)
        match entry.meaning if entry else asked.name:
            case Topic() as topic:
                await self._show(asked.chat_id, await self._asked_desk(topic, asked.argument))
            case Deed() as deed:
                await self._command(asked, deed)
            case None:
                await self._show(asked.chat_id, help_answer())
            case _:
                await self._say(asked.chat_id, f"There is no /{asked.name}. /help lists what there is.")

    async def _asked_desk(self, topic: Topic, argument: str) -> Answer:
        asking = self._in(self._questions, lambda: self._desk.ask(topic, argument, datetime.now(UTC)))
        try:
            return await asyncio.wait_for(asking, ANSWER_PATIENCE_S)
        except TimeoutError:
            return Answer(f"The journal has not answered for {ANSWER_PATIENCE_S:.0f} s. Ask again later.")

    async def _command(self, asked: Asked, deed: Deed) -> None:
        meant = _wish(asked, deed)
        wish = await self._in(self._commands, lambda: self._desk.examine(meant))
        if not deed.is_asked_back:
            await self._give(wish, asked.chat_id)
            return
        yes, no = self._confirmations.ask(wish, user_id=asked.user_id, chat_id=asked.chat_id)
        question = QUESTIONS[deed].format(pair=wish.pair_id)
        await self._say(asked.chat_id, question, buttons=(("Yes", yes), ("No", no)))

    async def _press(self, pressed: Pressed) -> None:
        try:
            wish, is_yes = self._confirmations.take(pressed.data, user_id=pressed.user_id, chat_id=pressed.chat_id)
        except NotAgreed as reason:
            await self._try(self._client.acknowledge(pressed.press_id, str(reason)))
            return
        self._begin(self._settle(pressed, f"{wish}: {'yes' if is_yes else 'no, nothing was done'}"), pressed.chat_id)
        if is_yes:
            await self._give(wish, pressed.chat_id)

    async def _settle(self, pressed: Pressed, word: str) -> None:
        await self._try(self._client.acknowledge(pressed.press_id))
        await self._try(self._client.settle(pressed.chat_id, pressed.message_id, html([("", word)], MESSAGE_UNITS)))

    async def _give(self, wish: Wish, chat_id: int) -> None:
        log.info("telegram_command %s by=%s", wish, wish.by)
        given = await self._in(self._commands, lambda: self._desk.give(wish))
        await self._say(chat_id, given.sentence)
        if self._followed >= MOST_FOLLOWED:
            await self._say(chat_id, f"Its end is not told here: {self._followed} commands are not over yet.")
            return
        self._followed += 1
        try:
            await self._follow(wish, given, chat_id)
        finally:
            self._followed -= 1

    async def _follow(self, wish: Wish, given: Given, chat_id: int) -> None:
        waited_s = 0.0
        while waited_s < FOLLOW_S:
            pause_s = FOLLOW_EVERY_S if waited_s < STILL_AFTER_S else FOLLOW_SLOWLY_S
            await self._sleep(pause_s)
            waited_s += pause_s
            outcome = await self._in(self._questions, lambda: self._desk.outcome(given.number))
            if outcome is not None:
                await self._say(chat_id, f"{'✓' if outcome.is_done else '✗'} {wish}: {outcome.sentence}")
                return
            if waited_s == STILL_AFTER_S:
                await self._say(chat_id, f"{wish} is not over yet; it stays in force, and its end is told here.")

    # words

    async def _show(self, chat_id: int, answer: Answer) -> None:
        for page in answer_pages(answer):
            await self._send(chat_id, page)

    async def _say(self, chat_id: int, text: str, *, buttons: Sequence[tuple[str, str]] = ()) -> None:
        pieces: list[Piece] = [("", text)]
        await self._send(chat_id, html(pieces, MESSAGE_UNITS), buttons=buttons)

    async def _send(self, chat_id: int, text: str, *, buttons: Sequence[tuple[str, str]] = ()) -> None:
        """An answer that cannot be sent now is tried again, and given up with a line in the log."""
        for attempt in range(1, SAY_TRIES + 1):
            try:
                await self._client.say(chat_id, text, patience_s=TURN_PATIENCE_S, buttons=buttons)
                return
            except Unsent as error:
                if attempt == SAY_TRIES or not isinstance(error.delivery, TryLater):
                    log.warning("telegram_answer_lost reason=%s", error)
                    return
                pause_s = error.delivery.after_s or SAY_PAUSE_S * attempt
            await self._sleep(min(pause_s, LONGEST_PAUSE_S))

    async def _try(self, calling: Coroutine[Any, Any, None]) -> None:
        """What is only for the eye."""
        try:
            await calling
        except Unsent as error:
            log.info("telegram_call_failed reason=%s", error)

    async def _in(self, pool: ThreadPoolExecutor, doing: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, doing)


def _is_stale(asked: Asked) -> bool:
    entry = BY_NAME.get(asked.name)
    is_taken_late = entry is not None and isinstance(entry.meaning, Deed) and entry.meaning.is_taken_late
    return not is_taken_late and (datetime.now(UTC) - asked.time).total_seconds() > STALE_AFTER_S


def _wish(asked: Asked, deed: Deed) -> Wish:
    """Raises ``NotTaken`` for a close of nothing."""
    by = f"telegram user {asked.user_id}"
    pair_id, reason = None, asked.argument
    if deed is Deed.CLOSE:
        pair_id, _, reason = asked.argument.partition(" ")
        if not pair_id:
            raise NotTaken("Which pair? /close ID; /pairs lists them.")
    return Wish(deed, pair_id, " ".join(reason.split()) or "by telegram", by)
