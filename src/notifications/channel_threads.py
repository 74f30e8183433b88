"""The threads of all channels: one that hangs or has ended is known, and another takes its channel over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from notifications.channel_thread import SEND_TIMEOUT_S, ChannelThread, OnResult
from notifications.outbox import Waiting
from notifications.words import Channel

HANGS_AFTER = 2.5  # times what a channel has for opening or sending: it does both, and is cut off at each
MOST_RENEWALS = 5  # nobody is ever rid of a thread that hangs


class ChannelThreads:
    """By a channel's name; for one thread. ``now`` only goes forward."""

    def __init__(
        self,
        channels: Iterable[Channel],
        on_result: OnResult,
        *,
        send_timeout_s: float = SEND_TIMEOUT_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_result, self._send_timeout_s, self._now = on_result, send_timeout_s, now
        self._threads = {channel.name: self._thread_of(channel) for channel in channels}
        self._sent_at: dict[str, float] = {}
        self._renewals = dict.fromkeys(self._threads, 0)

    def start(self) -> None:
        for thread in self._threads.values():
            thread.start()

    def send(self, waiting: Waiting) -> None:
        self._sent_at[waiting.channel] = self._now()
        self._threads[waiting.channel].send(waiting)

    def is_current(self, thread: ChannelThread) -> bool:
        """False for one that was given up and answers after all."""
        return self._threads[thread.channel.name] is thread

    def left_s(self, name: str) -> float | None:
        """Seconds in which what was sent must be answered; None for a channel that is given up."""
        if self._renewals[name] > MOST_RENEWALS:
            return None
        if not self._threads[name].is_alive:
            return 0.0
        return max(0.0, self._sent_at[name] + HANGS_AFTER * self._send_timeout_s - self._now())

    def renew(self, name: str) -> bool:
        """Begin a channel's thread anew. False when that was done too often: the channel is given up."""
        self._renewals[name] += 1
        if self._renewals[name] > MOST_RENEWALS:
            return False
        former = self._threads[name]
        former.abandon()
        self._threads[name] = self._thread_of(former.channel)
        self._threads[name].start()
        return True

    def ask_to_stop(self) -> None:
        for thread in self._threads.values():
            thread.ask_to_stop()

    def join(self, seconds: float) -> None:
        """All of them together take no longer."""
        deadline = self._now() + seconds
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - self._now()))

    def _thread_of(self, channel: Channel) -> ChannelThread:
        return ChannelThread(channel, self._on_result, send_timeout_s=self._send_timeout_s)
