"""The loop's thread at its three speeds, from start to stop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.errors import BridgeClosed, LoopDeadlock
from ccxt_bt_bridge.hub import Hub, LockStepHub
from ccxt_bt_bridge.loop import LoopThread
from tests.ccxt_bt_bridge.test_hub import started

HOUR_MS = 3_600_000
SPEEDS = ["max", 1.0, 1000.0]
every_speed = pytest.mark.parametrize("speed", SPEEDS)


async def answer(value: object) -> object:
    await asyncio.sleep(0.001)
    return value


async def forever() -> None:
    while True:
        await asyncio.sleep(3600.0)


@every_speed
def test_a_call_returns_what_the_coroutine_returns(speed):
    with started(speed) as loop:
        assert [loop.call(answer(n)) for n in range(3)] == [0, 1, 2]


@every_speed
def test_a_call_raises_what_the_coroutine_raises(speed):
    async def fail():
        await asyncio.sleep(0.001)
        raise LookupError("no such order")

    with started(speed) as loop:
        with pytest.raises(LookupError, match="no such order"):
            loop.call(fail())
        assert loop.call(answer("goes on")) == "goes on"


@every_speed
def test_a_call_that_takes_too_long_is_given_up_and_cancelled(speed):
    cancelled = []

    async def hang():
        try:
            await forever()
        finally:
            cancelled.append(True)

    with started(speed) as loop:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="did not answer within 0 s"):
            loop.call(hang(), timeout_s=0.02)
        assert 0.02 <= time.monotonic() - began < 5.0
        assert loop.call(answer("goes on")) == "goes on"
        assert cancelled == [True]


def test_a_call_that_nothing_can_answer_is_an_error_in_virtual_time():
    async def hang():
        await asyncio.get_running_loop().create_future()

    with started() as loop:
        with pytest.raises(BridgeClosed, match="loop has died") as raised:
            loop.call(hang())
    assert isinstance(raised.value.__cause__, LoopDeadlock)


@every_speed
def test_what_is_posted_runs_on_the_loops_own_thread(speed):
    async def where():
        return threading.current_thread().name

    with started(speed) as loop:
        posted = loop.post(where())
        loop.call(answer(None))
        assert posted.result(5.0) == "exchange-loop"


@every_speed
def test_stop_cancels_joins_and_closes_and_may_be_called_again(speed):
    ended = []

    async def tidy_worker():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.01)
            ended.append("tidied up")

    async def begin():
        loop.worker = asyncio.create_task(tidy_worker())
        await asyncio.sleep(0.0)

    loop = LoopThread(speed)
    loop.start()
    loop.call(begin())
    loop.stop()
    loop.stop()
    loop.close()
    loop.close()

    assert ended == ["tidied up"]
    assert loop.worker.cancelled()
    assert loop.loop.is_closed()
    assert "exchange-loop" not in {thread.name for thread in threading.enumerate()}


@every_speed
def test_a_loop_that_was_never_started_can_be_stopped(speed):
    loop = LoopThread(speed)
    loop.stop()
    loop.stop()
    loop.close()
    loop.close()
    assert loop.loop.is_closed()


@every_speed
def test_after_stop_nothing_can_be_asked(speed):
    with started(speed) as loop:
        pass
    for ask in (loop.call, loop.post):
        with pytest.raises(BridgeClosed, match="has been stopped"):
            ask(answer(1))


def test_stop_ends_a_loop_that_died():
    with started() as loop:
        with pytest.raises(BridgeClosed):
            loop.hub.wait(1.0)
    assert loop.loop.is_closed()


def test_stop_does_not_wait_for_a_turn():
    """The strategy's thread stops a loop whose kick it never answered."""

    async def kick_and_go_on():
        loop.hub.kick()
        await forever()

    with started() as loop:
        loop.post(kick_and_go_on())
        loop.hub.wait(1.0)
    assert loop.loop.is_closed()


def test_only_the_highest_speed_is_in_lock_step():
    for speed in SPEEDS:
        loop = LoopThread(speed)
        assert loop.is_virtual == (speed == "max")
        assert type(loop.hub) is (LockStepHub if speed == "max" else Hub)
        loop.close()


def test_scaled_time_runs_as_many_times_as_fast():
    async def second():
        before, wall = loop.loop.time(), time.monotonic()
        await asyncio.sleep(1.0)
        return loop.loop.time() - before, time.monotonic() - wall

    with started(100.0) as loop:
        loop_s, wall_s = min(loop.call(second()) for _ in range(3))
    assert 1.0 <= loop_s < 30.0
    assert 0.0099 <= wall_s < 0.3


def test_virtual_time_costs_nothing_and_stays_exact_for_years():
    """Beyond 2**24 s asyncio's own nanosecond of slack vanishes in a float, and a due timer would never run."""
    hours = 2 * 365 * 24

    async def two_years():
        clock = LoopClock(loop.loop.time, 0)
        for hour in range(1, hours + 1):
            await clock.sleep_until(hour * HOUR_MS)
            assert clock.now_ms() == hour * HOUR_MS
        return loop.loop.time()

    with started() as loop:
        assert loop.call(two_years()) == pytest.approx(hours * 3600.0, abs=1e-3)
    assert hours * 3600 > 2**24
