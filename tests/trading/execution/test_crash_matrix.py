"""Dies at every commit, send and answer of an entry and an exit, starts again, and must be whole."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.trading.execution.engine_rig import (
    Crash,
    CrashPlan,
    Rig,
    World,
    assert_sound,
    empty_journal,
    fast_files,
    is_hedged_or_flat,
    open_world,
    start_rig,
)
from tests.virtual_time import run_virtual

D = Decimal
OUTCOMES = {
    "ok": {},
    "partial_0.6": {"kind": "partial_fill", "fill_ratio": 0.6},
    "partial_0.3": {"kind": "partial_fill", "fill_ratio": 0.3},
    "reject": {"kind": "reject"},
    "timeout_before": {"kind": "timeout_before_execution"},
    "timeout_after": {"kind": "timeout_after_execution"},
}
HEDGED_FIRST_LEGS = ("ok", "partial_0.6", "timeout_after")  # an entry that fills less never comes to a second leg
EXITS = ("ok", "reject", "timeout_after")  # the second legs of an exit whose first leg went wrong
TWICE = (("ok", "partial_0.6"), ("timeout_after", "reject"))


def faults(operation: str, outcomes: tuple[str, str]) -> list[dict]:
    """The named outcome for the first order of each leg in this operation."""
    at = 1 if operation == "enter" else 2
    wanted = ((symbol, OUTCOMES[name]) for symbol, name in zip(("B", "A"), outcomes, strict=True))
    return [{"on": "create_order", "symbol": symbol, "at": at, **fault} for symbol, fault in wanted if fault]


async def trade(rig: Rig, operation: str) -> None:
    """Enter; for "exit" leave again. What dies before is dead after."""
    await rig.engine.execute(rig.enter())
    if operation == "exit":
        await rig.engine.execute(rig.leave())


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


async def recovered(world: World, crash: CrashPlan) -> tuple[Rig, bool]:
    rig = start_rig(world, crash=crash)
    sent_before_agreeing = []

    def watch(request) -> None:
        if not rig.recovery.interrupted():
            sent_before_agreeing.append(request)

    rig.port.before = watch

    async def work() -> None:
        assert await rig.recover() == (), "ledger and exchange differ after a restart"

    died = await live(rig, crash, work())
    assert not sent_before_agreeing, "an order before reconciliation"
    return rig, died


async def cell(folder: Path, operation: str, outcomes: tuple[str, str], first: int | None, second: int | None) -> int:
    """One life that dies at point ``first``, a next one at ``second``, a last one (None: it lives).

    Returns how many points the last life that could die had. Raises AssertionError when an invariant is broken.
    """
    world = open_world(folder, faults=faults(operation, outcomes))
    try:
        crash = CrashPlan(first)
        rig = start_rig(world, crash=crash)
        rig.engine.note_liquidity("A", 2e6)  # B goes first: a restart does not know that
        rig.engine.note_liquidity("B", 1e6)
        if not await live(rig, crash, trade(rig, operation)):
            assert_sound(rig)
            assert is_hedged_or_flat(rig)
            return len(crash.points)
        again = CrashPlan(second)
        rig, died = await recovered(world, again)
        steps = len(again.points)
        if died:
            rig, _ = await recovered(world, CrashPlan())
        assert_sound(rig)
        assert is_hedged_or_flat(rig)
        assert not rig.state().is_busy
        return steps
    finally:
        world.close()


def run_cell(folder: Path, template: Path, *where) -> int:
    shutil.copy(template, folder / "rig.journal.sqlite")
    try:
        return run_virtual(cell(folder, *where))
    except (AssertionError, Crash) as error:
        raise AssertionError(f"{where}: {error}") from error
    finally:
        for file in folder.glob("rig.*"):
            file.unlink()


def second_legs(operation: str, first_leg: str) -> tuple[str, ...]:
    if first_leg == "ok" or (operation == "enter" and first_leg in HEDGED_FIRST_LEGS):
        return tuple(OUTCOMES)
    return EXITS if operation == "exit" else ("ok",)


@pytest.fixture
def template(tmp_path: Path) -> Iterator[Path]:
    """An empty journal to begin every cell with."""
    with fast_files():
        yield empty_journal(tmp_path / "template.sqlite")


def first_points(folder: Path, template: Path, operation: str, outcomes: tuple[str, str]) -> range:
    """The points at which a life may die in this operation: those of the entry are not counted twice."""
    entry, whole = (run_cell(folder, template, upto, outcomes, None, None) for upto in ("enter", operation))
    return range(1 if operation == "enter" else entry + 1, whole + 1)


@pytest.mark.parametrize("operation", ["enter", "exit"])
@pytest.mark.parametrize("first_leg", OUTCOMES)
def test_a_crash_at_every_point_leaves_no_duplicate_no_lost_fill_and_no_naked_leg(
    operation, first_leg, tmp_path, template
):
    begun, cells = time.perf_counter(), 0
    for second_leg in second_legs(operation, first_leg):
        outcomes = (first_leg, second_leg)
        for first in first_points(tmp_path, template, operation, outcomes):
            run_cell(tmp_path, template, operation, outcomes, first, None)
            cells += 1
    report(f"{operation} {first_leg}", cells, begun)
    assert cells >= 7


@pytest.mark.parametrize("operation", ["enter", "exit"])
@pytest.mark.parametrize("outcomes", TWICE, ids="-".join)
def test_a_second_crash_at_every_step_of_the_recovery_changes_nothing(operation, outcomes, tmp_path, template):
    begun, cells = time.perf_counter(), 0
    for first in first_points(tmp_path, template, operation, outcomes):
        steps = run_cell(tmp_path, template, operation, outcomes, first, None)
        for second in range(1 + first % 2, steps + 1, 2):  # every other step, by turns
            run_cell(tmp_path, template, operation, outcomes, first, second)
            cells += 1
    report(f"{operation} {'/'.join(outcomes)}, twice", cells, begun)
    assert cells > 10


def report(what: str, cells: int, begun: float) -> None:
    seconds = time.perf_counter() - begun
    print(f"crash matrix: {what}: {cells} cells, 0 violations, {cells / seconds:.0f} cells/s")
