"""Channels that do what a test says, and notices to tell."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from notifications.dispatcher import Dispatcher, Route
from notifications.lane import Sound
from notifications.outbox import Outbox
from notifications.words import Delivered, Delivery, Kind, Notice

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
EVERYTHING = dict.fromkeys(Kind, Sound.ON)
PATIENCE_S = 30.0


def notice(key: str = "a", **more: Any) -> Notice:
    terms: dict[str, Any] = {"kind": Kind.ERROR, "time": NOON, "title": f"notice {key}"}
    return Notice(key=key, **(terms | more))


@dataclass(frozen=True, slots=True)
class Told:
    title: str
    repeats: int
    is_silent: bool


class FakeChannel:
    """Answers as ``answers`` say, one after the other, then with Delivered; ``gate`` closed: hangs."""

    def __init__(self, name: str = "fake", answers: tuple[Delivery | BaseException, ...] = ()) -> None:
        self.name = name
        self.told: list[Told] = []
        self.notices: list[Notice] = []
        self.answers = list(answers)
        self.gate = threading.Event()
        self.gate.set()
        self.is_open = False
        self.opening: Exception | None = None
        self.threads: set[str] = set()

    async def open(self) -> None:
        if self.opening is not None:
            error, self.opening = self.opening, None
            raise error
        self.is_open = True

    async def send(self, notice: Notice, *, repeats: int, is_silent: bool) -> Delivery:
        self.threads.add(threading.current_thread().name)
        while not self.gate.is_set():
            await asyncio.sleep(0.002)
        self.told.append(Told(notice.title, repeats, is_silent))
        self.notices.append(notice)
        answer = self.answers.pop(0) if self.answers else Delivered()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def check(self) -> Delivery:
        return Delivered()

    async def close(self) -> None:
        self.is_open = False

    @property
    def titles(self) -> list[str]:
        return [told.title for told in self.told]


def dispatcher_of(*channels: FakeChannel, outbox: Outbox | None = None, **more: Any) -> Dispatcher:
    routes = [Route(channel, EVERYTHING) for channel in channels]
    return Dispatcher(routes, outbox or Outbox(None), **more)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)
