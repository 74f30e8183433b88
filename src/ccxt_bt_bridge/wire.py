"""One request and what came back, raw. What happened at an exchange is read from here, never from an exception class.

ccxt's exceptions lose the difference: an executed order may raise ``ExchangeError``, and a page of HTML may come back
as an order that filled nothing. So the reply is kept as it was on the wire while ccxt makes of it what it likes.
No text of ccxt or aiohttp leaves this file: theirs contain signed addresses.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt

from ccxt_bt_bridge.errors import BridgeError

NO_ANSWER = "no answer in time"


class TooLate(Exception):
    """A request waited for the rate limiter until it was no longer wanted."""


def _always() -> bool:
    return True


PROBLEMS: tuple[tuple[type[BaseException], str], ...] = (
    (TooLate, "it was no longer wanted when its turn at the rate limit came, and was not sent"),
    (aiohttp.ClientConnectorCertificateError, "the TLS certificate was not accepted"),
    (aiohttp.ClientConnectorSSLError, "the TLS handshake failed"),
    (aiohttp.ClientConnectorDNSError, "the name of the exchange cannot be resolved; is there a network?"),
    (aiohttp.ClientConnectorError, "no connection"),
    (TimeoutError, NO_ANSWER),
    (asyncio.TimeoutError, NO_ANSWER),
    (ccxt.RequestTimeout, NO_ANSWER),
    (aiohttp.ServerDisconnectedError, "the connection was closed before an answer"),
    (aiohttp.ClientConnectionError, "the connection broke"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (aiohttp.ClientResponseError, "the answer was not HTTP"),
    (ccxt.NetworkError, "the connection broke"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the exchange answered. ``status`` 0: no complete answer, and ``problem`` says why in words.

    ``data``: the JSON with numbers as ``Decimal``, None when the body is none. ``was_sent`` False: nothing left this
    machine. ``sent_s`` and ``received_s`` in the loop's seconds.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Any = None
    problem: str = ""
    was_sent: bool = True
    sent_s: float = 0.0
    received_s: float = 0.0

    @property
    def code(self) -> str | None:
        """The exchange's own error code."""
        code = self.data.get("code") if isinstance(self.data, dict) else None
        return None if code is None or isinstance(code, bool) else str(code)

    @property
    def message(self) -> str:
        text = self.data.get("msg") if isinstance(self.data, dict) else None
        return str(text) if text else self.problem or f"HTTP {self.status}"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.code else self.message


@dataclass(slots=True)
class Attempt:
    """What one call did on the wire so far; filled in by the client below."""

    deadline_s: float = math.inf
    is_wanted: Callable[[], bool] = _always
    was_sent: bool = False
    sent_s: float = 0.0
    reply: Reply | None = None

    def check_deadline(self) -> None:
        """Raises ``TooLate``."""
        if asyncio.get_running_loop().time() > self.deadline_s or not self.is_wanted():
            raise TooLate

    def note_sent(self) -> None:
        self.was_sent, self.sent_s = True, asyncio.get_running_loop().time()

    def note_reply(self, status: int, headers: Mapping[str, str], body: str) -> None:
        received_s = asyncio.get_running_loop().time()
        data = parse_json(body)
        problem = "" if data is not None else "the answer is not JSON"
        self.reply = Reply(status, headers, data, problem, sent_s=self.sent_s, received_s=received_s)


_attempt: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def current_attempt() -> Attempt | None:
    """The attempt of the task that asks, if it does so through ``ask``."""
    return _attempt.get()


async def ask(
    method: Callable[..., Awaitable[Any]],
    *arguments: Any,
    deadline_s: float = math.inf,
    is_wanted: Callable[[], bool] = _always,
) -> Reply:
    """Make one call of a ccxt client and return what was on the wire. Raises only ``BridgeError`` (banned, closed).

    ``deadline_s``: the loop's time after which it is not sent any more; ``is_wanted`` is asked when it would be.
    """
    attempt = Attempt(deadline_s, is_wanted)
    token = _attempt.set(attempt)
    problem = ""
    try:
        await method(*arguments)
    except BridgeError:
        raise
    except Exception as error:  # whatever ccxt made of it: the wire decides
        problem = describe(error)
    finally:
        _attempt.reset(token)
    return attempt.reply or Reply(problem=problem or "no answer", was_sent=attempt.was_sent)


async def ask_unified(method: Callable[..., Awaitable[Any]], *arguments: Any) -> tuple[Reply, Any]:
    """The raw reply beside what ccxt made of it (None when it failed), for exchanges whose dialect is not ours."""
    answers: list[Any] = []

    async def call() -> None:
        answers.append(await method(*arguments))

    reply = await ask(call)
    return reply, answers[0] if answers else None


def describe(error: BaseException) -> str:
    """An error in our own words."""
    chain = [error.__cause__, error]
    for known, words in PROBLEMS:
        if any(isinstance(link, known) for link in chain):
            return words
    return type(error.__cause__ or error).__name__


def parse_json(body: str) -> Any:
    """None for what is not JSON, or holds NaN or infinity."""
    try:
        return json.loads(body, parse_float=Decimal, parse_int=int, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
