"""Two threads, one turn: what each side may do while the other runs."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ccxt_bt_bridge.errors import BridgeClosed, LoopDeadlock
from ccxt_bt_bridge.hub import Hub, LockStepHub
from ccxt_bt_bridge.loop import LoopThread


@contextmanager
def started(speed: str | float = "max") -> Iterator[LoopThread]:
    loop = LoopThread(speed)
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()
        loop.close()


@pytest.fixture
def threads_take_quick_turns() -> Iterator[None]:
    """The interpreter changes threads as often as it can, so that a missing lock shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Trading:
    """A little market on the loop and a little strategy on the test's thread, and the trace of what both did.

    Every bar comes after a random pause; on some bars the strategy sends an order, which fills after a random pause.
    """

    def __init__(self, loop: LoopThread, seed: int, *, bars: int = 30) -> None:
        self.loop = loop
        self.random = random.Random(seed)
        self.bars = bars
        self.inbox: deque[str] = deque()
        self.trace: list[str] = []
        self.overlaps = 0
        self.ended = False
        self._running: list[str] = []

    def run(self) -> list[str]:
        self.loop.call(self._begin())
        while not self.ended:
            self.loop.hub.wait(1.0)
            self._as("strategy", "woken")
            while self.inbox:
                self._on(self.inbox.popleft())
        return self.trace

    async def _begin(self) -> None:
        self._market_task = asyncio.create_task(self._market())

    async def _market(self) -> None:
        for number in range(self.bars):
            await asyncio.sleep(self.random.uniform(0.0, 3600.0))
            self._tell(f"bar {number}")
        await asyncio.sleep(4000.0)
        self.ended = True
        self._tell("end")

    async def _fill(self, order: str) -> None:
        self._as("loop", f"{order} arrived")
        await asyncio.sleep(self.random.choice([0.0, 0.001, 50.0]))
        self._tell(f"{order} filled")

    def _tell(self, what: str) -> None:
        self._as("loop", what)
        self.inbox.append(what)
        self.loop.hub.kick()

    def _on(self, what: str) -> None:
        self._as("strategy", what)
        if what.startswith("bar") and int(what.split()[1]) % 3 == 0:
            self.loop.post(self._fill(f"order {what}"))

    def _as(self, who: str, what: str) -> None:
        self._running.append(who)
        self.trace.append(f"{self.loop.loop.time():.6f} {who}: {what}")
        for _ in range(20):
            self.overlaps += self._running != [who]
        self._running.remove(who)


def test_the_two_sides_never_run_at_once(threads_take_quick_turns):
    with started() as loop:
        trading = Trading(loop, seed=1, bars=200)
        trading.run()
    assert trading.overlaps == 0
    assert sum("filled" in line for line in trading.trace) == 2 * 67


def test_the_same_seed_gives_the_same_trace_every_time(threads_take_quick_turns):
    traces = set()
    for _ in range(20):
        with started() as loop:
            traces.add(tuple(Trading(loop, seed=5).run()))
    assert len(traces) == 1
    with started() as loop:
        assert tuple(Trading(loop, seed=6).run()) not in traces


def test_virtual_time_stands_still_while_the_strategy_runs(threads_take_quick_turns):
    beats = []

    async def heart():
        while True:
            await asyncio.sleep(1.0)
            beats.append(loop.loop.time())
            if len(beats) % 10 == 0:
                loop.hub.kick()

    async def begin():
        loop.heart = asyncio.create_task(heart())

    with started() as loop:
        loop.call(begin())
        loop.hub.wait(1.0)  # the call's own answer was a kick
        for woken in range(1, 6):
            loop.hub.wait(1.0)
            seen = {(loop.loop.time(), len(beats)) for _ in range(20_000)}
            assert seen == {(10.0 * woken, 10 * woken)}


def test_a_kick_before_the_wait_is_not_lost():
    for hub in (Hub(), LockStepHub()):
        hub.kick()
        hub.kick()
        hub.wait(60.0)


def test_a_wait_without_a_kick_ends_when_its_time_is_over():
    hub = Hub()
    hub.wait(0.001)
    assert hub.wait_until(lambda: False, 0.001) is False


def test_kicks_that_have_been_seen_wake_nobody_again():
    hub = Hub()
    hub.kick()
    hub.wait(60.0)
    woken = threading.Event()
    waiter = threading.Thread(target=lambda: (hub.wait(60.0), woken.set()))
    waiter.start()
    assert not woken.wait(0.02)
    hub.kick()
    waiter.join(10.0)
    assert woken.is_set()


def test_a_wait_for_something_is_not_ended_by_other_kicks():
    hub, done = Hub(), []
    waiter = threading.Thread(target=lambda: done.append(hub.wait_until(lambda: "it" in done, 60.0)))
    waiter.start()
    hub.kick()
    done.append("it")
    hub.kick()
    waiter.join(10.0)
    assert done == ["it", True]


@pytest.mark.parametrize("kind", [Hub, LockStepHub])
def test_a_loop_that_died_is_told_to_whoever_waits(kind):
    hub = kind()
    hub.fail(LoopDeadlock("nothing left"))
    for wait in (lambda: hub.wait(60.0), lambda: hub.wait_until(lambda: False, 60.0)):
        with pytest.raises(BridgeClosed, match="loop has died") as raised:
            wait()
        assert isinstance(raised.value.__cause__, LoopDeadlock)


def test_what_was_done_before_the_loop_died_still_counts():
    hub = Hub()
    hub.fail(LoopDeadlock("nothing left"))
    assert hub.wait_until(lambda: True, 60.0) is True


def test_a_run_with_nothing_left_to_wait_for_is_an_error_and_not_a_hang():
    with started() as loop:
        with pytest.raises(BridgeClosed) as raised:
            loop.hub.wait(1.0)
    assert isinstance(raised.value.__cause__, LoopDeadlock)
