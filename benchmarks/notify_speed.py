"""What an alert costs the trading path, whatever the channel does.

``python benchmarks/notify_speed.py [--rounds 2000]``. Each round publishes one event on the engine's bus, with the real
listener, dispatcher, outbox on disk and channel thread behind it. The channel is well, hangs, refuses, or is flooded by
10,000 events at once. Medians and 99th percentiles in microseconds; exit code 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from notifications.dispatcher import Dispatcher, Route
from notifications.lane import Sound
from notifications.outbox import Outbox
from notifications.words import Delivered, Delivery, Kind, Notice, Undeliverable
from trading.events import Alarm, Event, EventBus
from trading.telling.telling import is_critical

MOST_US = 50.0
MOST_MB = 32.0
BURST = 10_000
STATES = ("well", "hangs", "refuses", "flooded")
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


class Channel:
    """Does what its state says, and counts what is critical."""

    name = "bench"

    def __init__(self, state: str) -> None:
        self._state = state
        self.critical = 0

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def check(self) -> Delivery:
        return Delivered()

    async def send(self, notice: Notice, *, repeats: int, is_silent: bool) -> Delivery:
        if self._state == "hangs":
            await asyncio.Event().wait()
        if self._state == "refuses":
            return Undeliverable("no")
        self.critical += notice.is_critical
        return Delivered()


def notice_of(fact: object) -> list[Notice]:
    assert isinstance(fact, Alarm)
    return [Notice(fact.message, Kind.ERROR, fact.time, fact.message, is_critical=fact.critical)]


def measured(state: str, rounds: int, folder: Path) -> list[float]:
    """Seconds of each publish."""
    channel = Channel(state)
    dispatcher = Dispatcher(
        [Route(channel, {Kind.ERROR: Sound.ON})], Outbox(folder / f"{state}.sqlite"), translate=notice_of
    )
    bus = EventBus()
    bus.add(listener(dispatcher))
    dispatcher.start()
    if state == "flooded":
        for number in range(BURST):
            bus.publish(Alarm(NOON, f"flood {number}"))
    spans = []
    for number in range(rounds):
        event = Alarm(NOON, f"alarm {number}")
        begun = perf_counter()
        bus.publish(event)
        spans.append(perf_counter() - begun)
    dispatcher.stop(0.0)
    return sorted(spans)


def listener(dispatcher: Dispatcher) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        dispatcher.offer(event, is_critical=is_critical(event))

    return on_event


def burst(folder: Path) -> tuple[int, float]:
    """Critical alarms that wait after a burst at a channel that hangs, and the memory that is held then, in MB."""
    channel = Channel("hangs")
    route = Route(channel, {Kind.ERROR: Sound.ON})
    dispatcher = Dispatcher([route], Outbox(folder / "burst.sqlite"), translate=notice_of)
    tracemalloc.start()
    dispatcher.start()
    for number in range(BURST):
        alarm = Alarm(NOON, f"alarm {number}", critical=number % 100 == 0)
        dispatcher.offer(alarm, is_critical=alarm.critical)
    dispatcher.stop(3.0)
    held = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    left = Outbox(folder / "burst.sqlite").open()
    return sum(waiting.notice.is_critical for waiting in left), held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2_000)
    rounds = parser.parse_args().rounds
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        print("| channel | median µs | p99 µs | goal |\n|---|---|---|---|")
        for state in STATES:
            spans = measured(state, rounds, Path(folder))
            median_us, p99_us = (spans[int(share * (len(spans) - 1))] * 1e6 for share in (0.5, 0.99))
            failed |= median_us > MOST_US
            print(f"| {state} | {median_us:.1f} | {p99_us:.1f} | median ≤ {MOST_US:g} |")
        critical, held_mb = burst(Path(folder))
        failed |= critical != BURST // 100 or held_mb > MOST_MB
        print(f"\n{BURST:,} events at once: {critical} of {BURST // 100} critical ones kept, {held_mb:.1f} MB held")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
