"""Lives of a bot on one exchange, driven by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pairs.words import Pair, PairState
from tests.brokers.markets import bars, hours, source
from tests.trading.execution.engine_rig import PAIR, CrashPlan, Rig, assert_sound, open_world, start_rig, still_market
from tests.virtual_time import run_virtual
from trading.control.controls import Controls
from trading.risk_guard import Breaker

Script = Callable[[Rig], Coroutine[Any, Any, Any]]
SHARING = (PAIR, Pair("C_A", "C", "A"))


def shared_market():
    return source(*still_market().series.values(), bars("C", [(20, 20)] * 40))


def play(folder: Path, script: Script, *, market=None, faults=(), terms=None, **rig_terms) -> Rig:
    """One life of the bot on one exchange; the script drives it. The files are read before they are closed."""

    async def main() -> Rig:
        world = open_world(folder, market, faults=faults, **(terms or {}))
        try:
            rig = start_rig(world, **rig_terms)
            await script(rig)
            await rig.stop()
            assert_sound(rig)
            return rig
        finally:
            world.close()

    return run_virtual(main())


async def live(rig: Rig, crash: CrashPlan, work) -> bool:
    """Run ``work`` until it is done or the process has died; True when it died."""
    task = asyncio.ensure_future(work)
    death = asyncio.ensure_future(crash.died.wait())
    await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
    if not crash.died.is_set():
        task.result()
    for one in (task, death):
        one.cancel()
    await asyncio.gather(task, death, return_exceptions=True)
    await rig.stop()
    if crash.died.is_set():
        rig.journal.die()
    return crash.died.is_set()


async def round_trip(rig: Rig) -> None:
    await rig.engine.execute(rig.enter())
    if rig.state() is PairState.OPEN:
        await rig.engine.execute(rig.leave())


async def run_market(rig: Rig, until_hour: float) -> None:
    """Let the market move in the background of this life, up to an hour."""
    task = asyncio.ensure_future(rig.world.exchange.run_market())
    rig.tasks.append(task)
    await rig.world.clock.sleep_until(hours(until_hour))


async def resume(rig: Rig) -> None:
    """As a person does, after having looked."""
    controls = Controls(
        rig.floor,
        (PAIR,),
        halt_flag=rig.world.journal_path.with_suffix(".halt"),
        prices={},
        leave=rig.engine.execute,
        keep=lambda work, name: asyncio.ensure_future(work),
    )
    await controls.resume("looked at", "a person")
    assert rig.guard.breaker is Breaker.CLOSED


def answer_late(rig: Rig, symbol: str, answer_s: float) -> None:
    """From now on whoever asks for the price of a symbol waits so long; orders of it work."""
    ask = rig.world.exchange.quote

    async def quote(wanted: str):
        if wanted == symbol:
            await asyncio.sleep(answer_s)
        return await ask(wanted)

    rig.port.quote = quote
