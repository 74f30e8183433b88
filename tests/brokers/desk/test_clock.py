"""Market time: real milliseconds, jumps over idle gaps, never back."""

from __future__ import annotations

import asyncio

import pytest

from brokers.desk.clock import PacedClock
from tests.virtual_time import run_virtual


def paced(**more) -> PacedClock:
    return PacedClock(asyncio.get_running_loop().time, 1_000_000, **more)


def test_a_gap_takes_its_share_of_real_time_and_then_is_over() -> None:
    async def play() -> None:
        clock, loop = paced(speed=60.0), asyncio.get_running_loop()
        began = loop.time()
        await clock.sleep_until(1_060_000)
        assert loop.time() - began == pytest.approx(1.0)
        assert clock.now_ms() == 1_060_000

    run_virtual(play())


def test_between_jumps_time_is_real() -> None:
    async def play() -> None:
        clock = paced(speed=1_000.0)
        await asyncio.sleep(0.5)
        assert clock.now_ms() == 1_000_500
        await clock.sleep_until(1_060_000)
        await asyncio.sleep(0.25)
        assert clock.now_ms() == 1_060_250

    run_virtual(play())


def test_a_moment_that_has_passed_is_not_slept_for_and_does_not_turn_time_back() -> None:
    async def play() -> None:
        clock = paced()
        await asyncio.sleep(2.0)
        await clock.sleep_until(1_001_000)
        assert clock.now_ms() == 1_002_000

    run_virtual(play())


def test_held_time_stands_at_its_mark_and_goes_on_from_there() -> None:
    async def play() -> None:
        clock = paced(hold_at_ms=1_000_400)
        await asyncio.sleep(0.3)
        assert clock.now_ms() == 1_000_300
        await asyncio.sleep(10.0)
        assert clock.now_ms() == 1_000_400
        clock.release()
        await asyncio.sleep(0.1)
        clock.release()
        assert clock.now_ms() == 1_000_500

    run_virtual(play())


def test_an_age_counts_real_time_and_not_what_was_skipped() -> None:
    async def play() -> None:
        clock = paced(speed=60.0)
        await asyncio.sleep(0.5)
        assert [clock.age_ms(at) for at in (999_800, 1_000_000, 1_000_400, 1_000_500, 1_002_500)] == [
            700, 500, 100, 0, -2_000,
        ]  # fmt: skip
        await clock.sleep_until(1_060_500)  # a second of real time
        await asyncio.sleep(0.25)
        assert clock.age_ms(1_000_400) == 1_350
        assert clock.age_ms(1_040_000) == 250  # in what was skipped: as old as the jump
        assert clock.age_ms(1_060_500) == 250
        assert clock.age_ms(1_060_750) == 0

    run_virtual(play())


def test_old_jumps_are_forgotten_and_their_times_stay_old() -> None:
    async def play() -> None:
        clock = paced(speed=60.0)
        for minute in range(1, 201):
            await clock.sleep_until(1_000_000 + minute * 60_000)
        assert clock.age_ms(1_000_000) > 60_000
        assert clock.age_ms(clock.now_ms()) == 0

    run_virtual(play())


def test_slower_than_real_time_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1"):
        PacedClock(lambda: 0.0, 0, speed=0.5)
