"""What crosses between the trading floor and those who are told. Frozen values, no I/O.

Times are UTC-aware. Text is plain: each channel escapes and cuts it for its own medium.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class Kind(Enum):
    """What a notice is about; the words of ``notify_on`` in the config."""

    TRADE_ENTRY = "trade_entry"
    TRADE_EXIT = "trade_exit"
    ERROR = "error"
    STATUS = "status"
    DAILY_SUMMARY = "daily_summary"
    RISK = "risk"
    HEALTH = "health"
    START_STOP = "start_stop"


@dataclass(frozen=True, slots=True)
class SpreadChart:
    """A pair's z-score over its last bars, for a small picture.

    ``times`` (UTC, ascending) and ``zscores`` have one length; ``levels``: (label, z) lines;
    ``marks``: (time, z, label).
    """

    pair_id: str
    times: tuple[datetime, ...]
    zscores: tuple[float, ...]
    levels: tuple[tuple[str, float], ...] = ()
    marks: tuple[tuple[datetime, float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture, as a file to attach. ``data``: PNG."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell a person.

    ``key``: the same fact has the same key, also after a restart: it is told once. ``fold``: notices that repeat each
    other share it, and waiting ones are told as one with their number; empty: never folded. ``rows``: label and value.
    ``is_critical``: money is exposed; never dropped, sent first.
    """

    key: str
    kind: Kind
    time: datetime
    title: str
    rows: tuple[tuple[str, str], ...] = ()
    body: str = ""
    pair_id: str | None = None
    is_critical: bool = False
    fold: str = ""
    chart: SpreadChart | None = None
    pictures: tuple[Picture, ...] = ()


# What became of an attempt to tell.


@dataclass(frozen=True, slots=True)
class Delivered:
    pass


@dataclass(frozen=True, slots=True)
class TryLater:
    """It did not arrive; another attempt may. ``after_s``: what the other side asked for, or None: back off."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The channel raised what nobody expects: it or this notice has a defect, and another attempt may help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """This notice is refused for what it holds, and so it was in short and plain; others are taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """The channel refuses everything (a revoked token, a login that is refused) until a person mends it."""

    reason: str


Delivery = Delivered | TryLater | Failed | Refused | Undeliverable


class Channel(Protocol):
    """One way to tell. Every method runs on the channel's own asyncio loop, in a thread that nothing else uses.

    ``send`` raises nothing that is expected; a secret is in none of its reasons. ``repeats``: how many folded notices
    this one stands for (1: itself alone). ``is_silent``: shown without a sound, where the medium knows the difference.
    """

    name: str

    async def open(self) -> None: ...

    async def send(self, notice: Notice, *, repeats: int, is_silent: bool) -> Delivery: ...

    async def check(self) -> Delivery:
        """Whether it would take a notice, as far as that can be known without sending one."""
        ...

    async def close(self) -> None: ...
