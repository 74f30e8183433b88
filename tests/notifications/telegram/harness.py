"""A channel on a loop and thread of its own, as the bot has it, a desk that remembers, and clocks that obey."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from notifications.bot_desk import Answer, Given, NotTaken, Outcome, Topic, Wish
from notifications.telegram.access import TelegramAccess
from notifications.telegram.channel import TelegramChannel
from notifications.words import Delivery, Kind, Notice, Picture, SpreadChart
from tests.notifications.telegram_server import PATIENCE_S, TOKEN, TelegramServer

ANNA, BEN, STRANGER, GROUP = 1001, 1002, 6666, -100_500


class Clock:
    """``now`` stands still but for ``sleep``, which takes no time."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0.002)


@dataclass
class MemoryDesk:
    """A ``BotDesk`` that keeps what it was asked. ``outcomes``: what became of a command, by its number."""

    asked: list[tuple[Topic, str]] = field(default_factory=list)
    given: list[Wish] = field(default_factory=list)
    outcomes: dict[int, Outcome | None] = field(default_factory=dict)
    answer: Answer = Answer("fine", ("all <well> & good",))
    hangs: threading.Event | None = None

    def ask(self, topic: Topic, argument: str, now: datetime) -> Answer:
        self.asked.append((topic, argument))
        if self.hangs is not None:
            self.hangs.wait(PATIENCE_S)
        return self.answer

    def examine(self, wish: Wish) -> Wish:
        if wish.pair_id == "X_Y":
            raise NotTaken("There is no pair X_Y")
        return wish

    def give(self, wish: Wish) -> Given:
        self.given.append(wish)
        return Given(len(self.given), f"{wish} was given.")

    def outcome(self, number: int) -> Outcome | None:
        return self.outcomes.get(number, Outcome(True, "done"))

    @property
    def deeds(self) -> list[str]:
        return [str(wish) for wish in self.given]


class Running:
    """A channel that is open."""

    def __init__(self, channel: TelegramChannel, loop: asyncio.AbstractEventLoop) -> None:
        self.channel, self._loop = channel, loop

    def do(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(PATIENCE_S)

    def send(self, notice: Notice, *, repeats: int = 1, is_silent: bool = False) -> Delivery:
        answer: Delivery = self.do(self.channel.send(notice, repeats=repeats, is_silent=is_silent))
        return answer


def access(server: TelegramServer, **changes: Any) -> TelegramAccess:
    terms: dict[str, Any] = {"token": TOKEN, "chat_id": ANNA, "user_ids": frozenset({ANNA}), "takes_commands": True}
    return TelegramAccess(api_url=server.url, **(terms | changes))


@contextmanager
def opened(
    server: TelegramServer, desk: MemoryDesk | None = None, *, clock: Clock | None = None, **changes: Any
) -> Iterator[Running]:
    """``clock``: also the one that paces, waits and lets buttons expire; ``changes``: of the access."""
    clock = clock or Clock()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="channel")
    thread.start()
    running = Running(
        TelegramChannel(access(server, **changes), desk=desk, poll_s=1.0, now=clock.now, sleep=clock.sleep), loop
    )
    try:
        running.do(running.channel.open())
        yield running
    finally:
        running.do(running.channel.close())
        running.do(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


def notice(**changes: Any) -> Notice:
    terms: dict[str, Any] = {
        "key": "k1",
        "kind": Kind.TRADE_ENTRY,
        "time": datetime(2024, 3, 1, 12, 0, tzinfo=UTC),
        "title": "Entered ETH_BTC long",
        "rows": (("z", "-2.31"), ("ETH/USDT", "+1.5 at 3,000")),
    }
    return Notice(**(terms | changes))


def chart(pair_id: str = "ETH_BTC") -> SpreadChart:
    times = tuple(datetime(2024, 3, 1, hour, tzinfo=UTC) for hour in range(24))
    marks = ((times[-1], -2.2, "entry $a$"),)
    return SpreadChart(pair_id, times, tuple(0.1 * hour - 2.3 for hour in range(24)), (("entry_", -2.0),), marks)


def picture() -> Picture:
    return Picture("equity.png", b"\x89PNG\r\n\x1a\n" + b"0" * 64)
