from __future__ import annotations

import asyncio

from ccxt_bt_bridge.clock import LoopClock
from tests.virtual_time import run_virtual

EPOCH_MS = 1_700_000_000_000


def test_the_clock_starts_at_its_epoch_and_follows_the_loop():
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(5.0)
        clock = LoopClock(loop.time, EPOCH_MS)
        before = clock.now_ms()
        await asyncio.sleep(1.5)
        return before, clock.now_ms()

    assert run_virtual(main()) == (EPOCH_MS, EPOCH_MS + 1500)


def test_sleep_until_is_never_early_over_two_years_of_hours():
    async def main():
        clock = LoopClock(asyncio.get_running_loop().time, EPOCH_MS)
        for hour in range(1, 17_521):
            wanted = EPOCH_MS + hour * 3_600_000
            await clock.sleep_until(wanted)
            assert clock.now_ms() == wanted

    run_virtual(main())


def test_a_time_in_the_past_returns_at_once_but_lets_others_run():
    async def main():
        clock = LoopClock(asyncio.get_running_loop().time, EPOCH_MS)
        ran = []
        asyncio.get_running_loop().call_soon(ran.append, True)
        await clock.sleep_until(EPOCH_MS - 10)
        return ran, clock.now_ms()

    assert run_virtual(main()) == ([True], EPOCH_MS)
