"""Seven cases by name: partial fills, ghost orders, a crowd of signals, a row of them, and all of it together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pairs.words import PairState
from tests.reliability.cells import FIRST, HEDGE
from tests.reliability.conftest import Desk
from tests.reliability.places import SETTLE_S, Place, judge, open_place, start_life
from tests.trading.execution.engine_rig import Rig
from tests.virtual_time import run_virtual
from trading.events import EntryRefused, PairClosed, PairOpened

D = Decimal
Script = Callable[[Place, Rig], Coroutine[Any, Any, None]]


def play(desk: Desk, script: Script, *faults: dict[str, Any]) -> Rig:
    """One life; whatever happened in it, no invariant is broken."""

    async def main() -> Rig:
        for file in desk.folder.glob("rig.*"):
            file.unlink()
        place = open_place(desk.folder, faults=[{"on": "create_order", **fault} for fault in faults])
        try:
            rig = start_life(place)
            place.may_trade = True
            rig.engine.note_liquidity(HEDGE, 2e6)
            rig.engine.note_liquidity(FIRST, 1e6)
            await script(place, rig)
            await asyncio.sleep(SETTLE_S)
            await rig.stop()
            judge(place)
            assert not place.violations, "\n".join(map(str, place.violations))
            return rig
        finally:
            await place.close()

    return run_virtual(main())


async def enter(place: Place, rig: Rig) -> None:
    await rig.engine.execute(place.expect(rig.enter()))


def held(rig: Rig) -> tuple[Decimal, Decimal]:
    return rig.ledger.quantity("A_B", FIRST), rig.ledger.quantity("A_B", HEDGE)


def test_case_1_sixty_per_cent_of_the_first_leg_take_sixty_per_cent_of_the_hedge(desk: Desk) -> None:
    rig = play(desk, enter, {"kind": "partial_fill", "symbol": FIRST, "at": 1, "fill_ratio": 0.6})
    assert held(rig) == (D("-2.4"), D("1.2"))
    assert rig.state() is PairState.OPEN


def test_case_2_ten_per_cent_are_given_back(desk: Desk) -> None:
    rig = play(desk, enter, {"kind": "partial_fill", "symbol": FIRST, "at": 1, "fill_ratio": 0.1})
    assert held(rig) == (0, 0)
    assert [request.symbol for request in rig.port.sent] == [FIRST, FIRST], "the hedge was never sent"
    assert rig.port.sent[1].reduce_only


@pytest.mark.parametrize("kind", ["timeout_after_execution", "late_execution", "backend_timeout"])
def test_case_3_a_ghost_order_is_found_and_the_pair_completed_with_it(kind: str, desk: Desk) -> None:
    rig = play(desk, enter, {"kind": kind, "symbol": FIRST, "at": 1})
    assert held(rig) == (D(-4), D(2))
    assert len(rig.port.sent) == 2


@pytest.mark.parametrize("kind", ["timeout_after_execution", "late_execution", "duplicate"])
def test_case_4_a_ghost_is_never_sent_again(kind: str, desk: Desk) -> None:
    rig = play(desk, enter, {"kind": kind, "symbol": HEDGE, "at": 1})
    assert held(rig) == (D(-4), D(2))
    assert [request.symbol for request in rig.port.sent] == [FIRST, HEDGE]


def test_case_5_of_five_signals_at_once_one_is_carried_out(desk: Desk) -> None:
    async def script(place: Place, rig: Rig) -> None:
        orders = [place.expect(replace(rig.enter(), ref=f"A_B:enter:{number}")) for number in range(5)]
        await asyncio.gather(*map(rig.engine.execute, orders))

    rig = play(desk, script)
    assert len(rig.of(PairOpened)) == 1 and len(rig.of(EntryRefused)) == 4
    assert held(rig) == (D(-4), D(2))


def test_case_6_five_signals_in_a_row_are_all_carried_out(desk: Desk) -> None:
    async def script(place: Place, rig: Rig) -> None:
        for _ in range(5):
            await enter(place, rig)
            rig.guard.release("A_B")
            await rig.engine.execute(rig.leave())
            rig.guard.release("A_B")
            await asyncio.sleep(3_600)

    rig = play(desk, script)
    assert len(rig.of(PairOpened)) == len(rig.of(PairClosed)) == len(rig.ledger.trades) == 5
    assert held(rig) == (0, 0)


def test_case_7_chaos_of_partial_fills_lost_answers_and_a_crowd(desk: Desk) -> None:
    async def script(place: Place, rig: Rig) -> None:
        for number in range(12):
            orders = [place.expect(replace(rig.enter(), ref=f"A_B:enter:{number}-{one}")) for one in range(5)]
            await asyncio.gather(*map(rig.engine.execute, orders))
            if rig.state() is PairState.OPEN:
                await rig.engine.execute(rig.leave())
            rig.guard.release("A_B")
            await asyncio.sleep(600)

    kinds = ("timeout_after_execution", "timeout_before_execution", "late_execution", "duplicate", "reject")
    chaos = [{"kind": kind, "rate": 0.15} for kind in kinds]
    rig = play(desk, script, *chaos, {"kind": "partial_fill", "rate": 0.3, "fill_ratio": 0.4})
    assert len(rig.of(EntryRefused)) == 48
    assert len(rig.ledger.trades) >= 6
    assert held(rig) == (0, 0)
