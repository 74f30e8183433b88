"""The exchange's clock: measured, monotonic, moved forward by what the exchange says."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccxt_bt_bridge.exchange_clock import ExchangeClock, TimeSample
from tests.virtual_time import run_virtual


class Loop:
    def __init__(self) -> None:
        self.now_s = 100.0

    def time(self) -> float:
        return self.now_s


def sample(sent_s: float, round_trip_s: float, server_ms: int) -> TimeSample:
    return TimeSample(sent_s, sent_s + round_trip_s, server_ms)


def test_slow_answers_do_not_count():
    loop = Loop()
    clock = ExchangeClock(loop.time)
    quick = [sample(100.0, 0.010, 1_000_005 + error) for error in (-1, 0, 1)]
    clock.measure([*quick, sample(100.0, 2.0, 1_500_000), sample(100.0, 3.0, 10)])
    assert clock.now_ms() == 1_000_000


def test_it_runs_as_the_loop_does():
    loop = Loop()
    clock = ExchangeClock(loop.time)
    clock.measure([sample(100.0, 0.0, 5_000)])
    loop.now_s += 1.5
    assert clock.now_ms() == 6_500


def test_it_never_goes_back_but_signs_with_the_best_estimate():
    loop = Loop()
    clock = ExchangeClock(loop.time)
    clock.measure([sample(100.0, 0.0, 5_000)])
    clock.may_skip = True
    assert clock.observe(9_000)
    assert clock.now_ms() == 9_000
    clock.measure([sample(100.0, 0.0, 5_000)])
    assert (clock.now_ms(), clock.signing_ms()) == (9_000, 5_000)


@pytest.mark.parametrize("turns", range(4))
def test_a_sleeper_that_is_woken_and_cancelled_at_once_is_cancelled(turns):
    async def sleep() -> bool:
        clock = ExchangeClock(asyncio.get_running_loop().time)
        sleeper = asyncio.create_task(clock.sleep_until(10**9))
        for _ in range(4):
            await asyncio.sleep(0)
        assert clock.observe(10**6)
        for _ in range(turns):
            await asyncio.sleep(0)
        sleeper.cancel()
        await asyncio.wait([sleeper], timeout=1.0)
        return sleeper.cancelled()

    assert run_virtual(sleep())


def test_what_the_exchange_said_earlier_moves_nothing():
    loop = Loop()
    clock = ExchangeClock(loop.time)
    clock.measure([sample(100.0, 0.0, 5_000)])
    clock.observe(4_000)
    assert clock.now_ms() == 5_000


def test_no_number_of_messages_puts_it_further_forward_than_drift_and_the_way_explain():
    loop = Loop()
    clock = ExchangeClock(loop.time)
    clock.measure([sample(100.0, 0.2, 5_000)])
    assert not clock.observe(95_000)
    assert clock.now_ms() == 4_900
    believed = [clock.observe(5_000 + step) for step in range(0, 2_000, 100)]
    assert believed == [True] * 7 + [False] * 13  # 200 ms of the way and 500 ms of drift
    assert clock.now_ms() == 5_600
    clock.measure([sample(100.0, 0.2, 95_000)])
    assert clock.observe(95_000) and clock.now_ms() == 95_000


@given(st.booleans(), st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(0, 10**7)), max_size=30))
def test_whatever_is_heard_time_is_monotonic(may_skip, heard):
    loop = Loop()
    clock = ExchangeClock(loop.time)
    clock.may_skip = may_skip
    clock.measure([sample(100.0, 0.0, 5_000_000)])
    times = []
    for step_s, event_ms in heard:
        loop.now_s += step_s
        clock.observe(event_ms)
        times.append(clock.now_ms())
    assert times == sorted(times)


def test_a_sleeper_wakes_when_its_time_has_come_or_the_exchange_jumps():
    async def sleep() -> list[float]:
        loop = asyncio.get_running_loop()
        clock = ExchangeClock(loop.time)
        clock.measure([sample(0.0, 0.0, 0)])
        clock.may_skip = True
        woke = []
        await clock.sleep_until(2_000)
        woke.append(loop.time())
        loop.call_later(1.0, clock.observe, 3_600_000)
        await clock.sleep_until(3_600_000)
        woke.append(loop.time())
        await clock.sleep_until(0)
        return woke

    assert run_virtual(sleep()) == [2.0, 3.0]
