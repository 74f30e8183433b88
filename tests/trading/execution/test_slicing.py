from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from pairs.words import Pair, PairState
from tests.trading.execution.engine_rig import (
    RULES,
    Crash,
    CrashPlan,
    Rig,
    assert_sound,
    empty_journal,
    entry_order,
    fast_files,
    is_hedged_or_flat,
    open_world,
    rule,
    start_rig,
)
from tests.trading.plays import live, play, round_trip
from tests.virtual_time import run_virtual
from trading.events import OrderFailed, OrderFinished, PairOpened
from trading.execution.settings import ExecutionSettings
from trading.execution.slicing import Slicing
from trading.risk_guard import Breaker

D = Decimal
SLICED = ExecutionSettings(slice_notional=100.0, slice_pause_s=3.0)  # 400 of A and B: four slices


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def fault(symbol: str, at: int, kind: str = "reject", **more) -> dict:
    return {"kind": kind, "on": "create_order", "symbol": symbol, "at": at} | more


async def enter(rig: Rig) -> None:
    await rig.engine.execute(rig.enter())


def sent(rig: Rig) -> list[tuple[str, Decimal]]:
    return [(one.symbol, one.signed_amount) for one in rig.port.sent]


def held(rig: Rig) -> tuple[Decimal, Decimal]:
    return rig.world.held("A"), rig.world.held("B")


def test_each_slice_completes_both_legs_before_the_next(tmp_path):
    rig = play(tmp_path, enter, settings=SLICED)
    assert sent(rig) == [("A", D("0.5")), ("B", D(-1))] * 4
    assert rig.state() is PairState.OPEN
    assert len(rig.of(PairOpened)) == 1
    times = [event.intent.created_ms for event in rig.of(OrderFinished)]
    assert [later - time for time, later in pairwise(times)][1:] == [3_000, 0] * 3


def test_a_patient_exit_is_sliced_too_and_an_urgent_one_is_not(tmp_path):
    async def patient(rig: Rig) -> None:
        await round_trip(rig)

    async def urgent(rig: Rig) -> None:
        await enter(rig)
        await rig.engine.execute(rig.leave(reason="stop"))

    calm, hasty = (
        play(tmp_path / name, script, settings=SLICED) for name, script in folders(tmp_path, patient, urgent)
    )
    assert sent(calm)[8:] == [("A", D("-0.5")), ("B", D(1))] * 4
    assert sent(hasty)[8:] == [("A", D(-2)), ("B", D(4))]
    assert all(one.reduce_only for rig in (calm, hasty) for one in rig.port.sent[8:])
    assert calm.ledger.trades[0].exit_reason == "reversion"


def test_a_stop_that_meets_a_sliced_exit_has_the_rest_closed_at_once(tmp_path):
    async def script(rig: Rig) -> None:
        await enter(rig)
        patient = asyncio.ensure_future(rig.engine.execute(rig.leave()))
        await asyncio.sleep(1.0)
        await rig.engine.execute(rig.leave(reason="stop"))
        await patient

    rig = play(tmp_path, script, settings=SLICED)
    assert sent(rig)[8:] == [("A", D("-0.5")), ("B", D(1)), ("A", D("-1.5")), ("B", D(3))]
    assert rig.state() is PairState.FLAT


def test_a_stop_that_meets_a_sliced_entry_ends_it_and_the_next_one_leaves(tmp_path):
    async def script(rig: Rig) -> None:
        entering = asyncio.ensure_future(enter(rig))
        await asyncio.sleep(1.0)
        stop = rig.leave(reason="stop")
        await rig.engine.execute(stop)
        await entering
        await rig.engine.execute(stop)
        assert not rig.engine.urgency.has_no_time_for("A_B")

    rig = play(tmp_path, script, settings=SLICED)
    assert sent(rig) == [("A", D("0.5")), ("B", D(-1)), ("A", D("-0.5")), ("B", D(1))]
    assert rig.state() is PairState.FLAT


def folders(folder: Path, *scripts) -> list[tuple[str, object]]:
    for script in scripts:
        (folder / script.__name__).mkdir()
    return [(script.__name__, script) for script in scripts]


def test_a_small_pair_is_not_sliced(tmp_path):
    rig = play(tmp_path, enter, settings=replace(SLICED, slice_notional=400.0))
    assert sent(rig) == [("A", D(2)), ("B", D(-4))]


def test_a_first_leg_that_fills_too_little_ends_the_entry_with_what_is_hedged(tmp_path):
    faults = [fault("A", 3, "partial_fill", fill_ratio=0.4)]
    rig = play(tmp_path, enter, settings=SLICED, faults=faults)
    assert sent(rig)[4:] == [("A", D("0.5")), ("A", D("-0.2"))]
    assert (rig.state(), held(rig)) == (PairState.OPEN, (D(1), D(-2)))
    assert rig.port.sent[-1].reduce_only
    assert rig.alarms == ["A_B is entered no further (partial_fill:0.40): what is not hedged is closed, the rest stays"]


def test_a_first_leg_that_fills_too_little_at_once_leaves_nothing(tmp_path):
    rig = play(tmp_path, enter, settings=SLICED, faults=[fault("A", 1, "partial_fill", fill_ratio=0.4)])
    assert sent(rig) == [("A", D("0.5")), ("A", D("-0.2"))]
    assert rig.state() is PairState.FLAT
    assert [event.reason for event in rig.of(OrderFailed)] == ["unwound:partial_fill:0.40"]


def test_enough_of_a_slice_is_hedged_and_the_next_makes_up_for_the_rest(tmp_path):
    rig = play(tmp_path, enter, settings=SLICED, faults=[fault("A", 2, "partial_fill", fill_ratio=0.6)])
    assert sent(rig)[2:6] == [("A", D("0.5")), ("B", D("-0.6")), ("A", D("0.7")), ("B", D("-1.4"))]
    assert held(rig) == (D(2), D(-4))


def test_a_hedge_that_cannot_be_had_gives_back_only_its_own_slice(tmp_path):
    rig = play(tmp_path, enter, settings=SLICED, faults=[fault("B", 3, times=3)])
    assert sent(rig)[4:] == [("A", D("0.5")), *[("B", D(-1))] * 3, ("A", D("-0.5"))]
    assert (rig.state(), held(rig)) == (PairState.OPEN, (D(1), D(-2)))


def test_a_hedge_that_cannot_be_had_at_once_unwinds_everything(tmp_path):
    rig = play(tmp_path, enter, settings=SLICED, faults=[fault("B", 1, times=3)])
    assert (rig.state(), held(rig)) == (PairState.FLAT, (0, 0))


def test_an_excess_that_will_not_go_takes_the_whole_pair_with_it(tmp_path):
    faults = [fault("A", 3, "partial_fill", fill_ratio=0.4), fault("A", 4, times=4)]
    rig = play(tmp_path, enter, settings=SLICED, faults=faults)
    assert (rig.state(), held(rig)) == (PairState.FLAT, (0, 0))


def test_a_refused_slice_leaves_the_earlier_ones(tmp_path):
    rig = play(tmp_path, enter, settings=SLICED, faults=[fault("A", 3)])
    assert sent(rig)[4:] == [("A", D("0.5"))]
    assert (rig.state(), held(rig)) == (PairState.OPEN, (D(1), D(-2)))


@pytest.mark.parametrize("stop", ["breaker", "shutdown"])
def test_a_tripped_breaker_or_a_stop_ends_the_slices(stop, tmp_path):
    async def script(rig: Rig) -> None:
        def trip(request) -> None:
            if len(rig.port.sent) == 2:
                rig.guard.halt("test", rig.now) if stop == "breaker" else rig.engine.stop_adding()

        rig.port.before = trip
        await enter(rig)

    rig = play(tmp_path, script, settings=SLICED)
    assert sent(rig) == [("A", D("0.5")), ("B", D(-1))] * 2, "the slice under way is finished"
    assert rig.state() is PairState.OPEN


def test_an_exit_in_slices_hurries_when_the_breaker_trips(tmp_path):
    async def script(rig: Rig) -> None:
        await enter(rig)
        rig.port.before = lambda request: rig.guard.halt("test", rig.now)
        await rig.engine.execute(rig.leave())

    rig = play(tmp_path, script, settings=SLICED)
    assert sent(rig)[8:] == [("A", D("-0.5")), ("B", D(1)), ("A", D("-1.5")), ("B", D(3))]


def test_an_exit_slice_that_closes_one_leg_only_is_followed_by_the_whole_rest(tmp_path):
    rig = play(tmp_path, round_trip, settings=SLICED, faults=[fault("B", 5)])
    assert sent(rig)[8:] == [("A", D("-0.5")), ("B", D(1)), ("A", D("-1.5")), ("B", D(4))]
    assert rig.state() is PairState.FLAT


def test_a_single_symbol_is_sliced_alike(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter("A", {"A": D(2)}, statistics=None))

    rig = play(tmp_path, script, pairs=(Pair("A", "A", None),), settings=SLICED)
    assert sent(rig) == [("A", D(1))] * 2


# how many


def slices(order_legs, *, step="0.001", **terms) -> list[Decimal]:
    order = entry_order("A_B", order_legs, datetime(2024, 1, 1, tzinfo=UTC))
    rules = RULES | {"A": rule("A", step=step)}
    return Slicing(rules, ExecutionSettings(**terms)).targets(order, order.legs[0])


def test_targets_lie_on_the_step_and_end_with_the_whole():
    assert slices({"A": D(2), "B": D(-4)}, slice_notional=150.0) == [D("0.666"), D("1.333"), D(2)]
    assert slices({"A": D(-3), "B": D(6)}, slice_notional=200.0, step="0.5") == [D(-1), D(-2), D(-3)]


def test_no_slice_is_below_what_the_venue_takes_of_half_of_it():
    """20 quote units a leg, the venue takes 5: two slices at most, of which half is still 5."""
    assert len(slices({"A": D("0.2"), "B": D("-0.4")}, slice_notional=1.0)) == 2


# crashes between and inside slices


def crash_points(folder: Path, at: int | None, faults=()) -> tuple[int, Rig | None]:
    """A life that dies at the ``at``-th point, and the next one; how many points there were."""
    shutil.copy(folder / "template.sqlite", folder / "rig.journal.sqlite")

    async def main():
        world = open_world(folder, faults=faults)
        try:
            crash = CrashPlan(at)
            rig = start_rig(world, crash=crash, settings=SLICED)
            if not await live(rig, crash, round_trip(rig)):
                return len(crash.points), None
            again = start_rig(world, settings=SLICED)
            assert await again.recover() == ()
            await again.stop()
            assert_sound(again)
            assert is_hedged_or_flat(again)
            assert again.state() in (PairState.OPEN, PairState.FLAT)
            return len(crash.points), again
        finally:
            world.close()

    try:
        return run_virtual(main())
    except (AssertionError, Crash) as error:
        raise AssertionError(f"at {at}: {error}") from error
    finally:
        for file in folder.glob("rig.*"):
            file.unlink()


@pytest.mark.parametrize(
    "faults",
    [(), (fault("A", 3, "partial_fill", fill_ratio=0.4),), (fault("B", 3, times=3),)],
    ids=["ok", "trimmed", "hedge refused"],
)
def test_a_crash_anywhere_in_a_sliced_trade_leaves_a_hedged_pair_or_none(faults, tmp_path):
    empty_journal(tmp_path / "template.sqlite")
    points, _ = crash_points(tmp_path, None, faults)
    states = []
    for at in range(1, points + 1, 4 if faults else 2):
        _, rig = crash_points(tmp_path, at, faults)
        states.append(rig.state())
    assert points > 40
    assert {PairState.OPEN, PairState.FLAT} == set(states)
    print(f"slices: {points} crash points, 0 violations")


def test_a_crash_between_slices_keeps_what_is_hedged_and_adds_nothing(tmp_path):
    """Dies before the commit that begins the third slice."""

    async def main():
        world = open_world(tmp_path)
        try:
            rig = start_rig(world, settings=SLICED)
            entering = asyncio.ensure_future(enter(rig))
            await asyncio.sleep(4)
            entering.cancel()
            await rig.stop()
            rig.journal.die()
            again = start_rig(world, settings=SLICED)
            assert await again.recover() == ()
            await again.stop()
            return again, world.held("A"), world.held("B")
        finally:
            world.close()

    rig, a, b = run_virtual(main())
    assert (rig.state(), a, b) == (PairState.OPEN, D(1), D(-2))
    assert rig.port.sent == []
    assert rig.guard.breaker is Breaker.CLOSED
