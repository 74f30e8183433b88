"""Cells of the crash matrix: an operation, what becomes of two of its calls, and where each life dies."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ccxt_bt_bridge.words import OrderRequest
from pairs.words import PairState
from tests.reliability.judging import judge
from tests.reliability.places import SETTLE_S, Place, Violation, live, open_place, recover_life, start_life
from tests.trading.execution.engine_rig import CrashPlan, Rig
from tests.virtual_time import run_virtual
from trading.execution.settings import ExecutionSettings

D = Decimal
FIRST, HEDGE = "B", "A"  # B is the less liquid one here, and goes first
HALT_S = 30.0
SETTINGS = ExecutionSettings(first_leg_timeout_s=20.0)

ORDER_OUTCOMES: dict[str, dict[str, Any]] = {
    "ok": {},
    "partial_0.6": {"kind": "partial_fill", "fill_ratio": 0.6},
    "partial_0.1": {"kind": "partial_fill", "fill_ratio": 0.1},
    "reject": {"kind": "reject"},
    "no_balance": {"kind": "balance_too_small"},
    "timeout_before": {"kind": "timeout_before_execution"},
    "timeout_after": {"kind": "timeout_after_execution"},
    "late": {"kind": "late_execution"},
    "backend_timeout": {"kind": "backend_timeout"},
    "duplicate": {"kind": "duplicate"},
    "overloaded": {"kind": "overloaded"},
    "clock_off": {"kind": "clock_off"},
    "overfill": {"kind": "overfill", "factor": 1.04},
    "fill_before_ack": {"kind": "fill_before_ack"},
    "query_lag": {"kind": "query_lag"},
    "rate_limit": {"kind": "rate_limit"},
}
CANCEL_OUTCOMES: dict[str, dict[str, Any]] = {
    "ok": {},
    "reject": {"kind": "reject"},
    "timeout_before": {"kind": "timeout_before_execution"},
    "timeout_after": {"kind": "timeout_after_execution"},
    "late": {"kind": "late_execution"},
    "filled_before_cancel": {"kind": "filled_before_cancel"},
    "backend_timeout": {"kind": "backend_timeout"},
}
PARTIAL, LITTLE = ORDER_OUTCOMES["partial_0.6"], ORDER_OUTCOMES["partial_0.1"]


@dataclass(frozen=True, slots=True)
class Call:
    """The ``at``-th call of ``on`` for a symbol."""

    symbol: str
    at: int
    on: str = "create_order"

    def struck_by(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        return {"on": self.on, "symbol": self.symbol, "at": self.at, **fault}


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done, what always goes wrong in it, and the two calls whose outcomes are varied.

    ``loses``: what share of the first leg somebody else closes, and what the id of that order begins with.
    """

    always: tuple[dict[str, Any], ...]
    first: Call
    second: Call
    leaves: bool = False
    stops: bool = False
    loses: tuple[str, str] | None = None
    first_rests: bool = False

    @property
    def goes_on(self) -> bool:
        """After the entry."""
        return self.leaves or self.stops or self.loses is not None

    def faults(self, outcomes: tuple[str, str]) -> list[dict[str, Any]]:
        calls = zip((self.first, self.second), outcomes, strict=True)
        given = ((call, outcomes_of(call)[name]) for call, name in calls)
        return [*self.always, *(call.struck_by(fault) for call, fault in given if fault)]


def outcomes_of(call: Call) -> Mapping[str, Mapping[str, Any]]:
    return CANCEL_OUTCOMES if call.on == "cancel_order" else ORDER_OUTCOMES


REJECTED = ORDER_OUTCOMES["reject"]
OPERATIONS = {
    "enter": Operation((), Call(FIRST, 1), Call(HEDGE, 1)),
    "exit": Operation((), Call(FIRST, 2), Call(HEDGE, 2), leaves=True),
    "top_up": Operation((Call(HEDGE, 1).struck_by(PARTIAL),), Call(HEDGE, 2), Call(HEDGE, 3)),
    "unwind_one": Operation((Call(FIRST, 1).struck_by(LITTLE),), Call(FIRST, 2), Call(FIRST, 3)),
    "unwind_both": Operation(
        (Call(HEDGE, 1).struck_by(LITTLE), *(Call(HEDGE, at).struck_by(REJECTED) for at in (2, 3))),
        Call(FIRST, 2),
        Call(HEDGE, 4),
    ),
    "exit_in_parts": Operation((Call(FIRST, 2).struck_by(PARTIAL),), Call(HEDGE, 2), Call(FIRST, 3), leaves=True),
    "emergency_stop": Operation((), Call(FIRST, 2), Call(HEDGE, 2), stops=True),
    "cancel": Operation((), Call(FIRST, 1, "cancel_order"), Call(HEDGE, 1), first_rests=True),
    "closed_by_hand": Operation((), Call(FIRST, 2), Call(HEDGE, 2), loses=("0.5", "by-hand-")),
    "deleveraged": Operation((), Call(HEDGE, 2), Call(HEDGE, 3), loses=("1", "adl_autoclose-")),
    "unheard": Operation(({"kind": "event_lost", "rate": 1.0},), Call(FIRST, 2), Call(HEDGE, 2), leaves=True),
    "heard_twice": Operation(({"kind": "event_twice", "rate": 1.0},), Call(FIRST, 2), Call(HEDGE, 2), leaves=True),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """Where it dies: at point ``first`` of the operation and ``second`` of the recovery. None: it lives on."""

    operation: str
    outcomes: tuple[str, str]
    first: int | None = None
    second: int | None = None

    @property
    def dead_s(self) -> float:
        """How long it stays dead: by turns it is back before its last words have arrived."""
        return 0.0 if (self.first or 0) % 2 else 5.0


@dataclass(frozen=True, slots=True)
class Played:
    """``points``: how many places to die at the last life that could die had, ``entry_points`` those of the entry."""

    points: int
    entry_points: int
    violations: tuple[Violation, ...]
    worst_unhedged_s: float


def play(folder: Path, template: Path, cell: Cell) -> Played:
    """``template``: an empty journal that the cell begins with."""
    shutil.copy(template, folder / "rig.journal.sqlite")
    try:
        return run_virtual(_play(folder, cell))
    finally:
        for file in folder.glob("rig.*"):
            file.unlink()


async def _play(folder: Path, cell: Cell) -> Played:
    operation = OPERATIONS[cell.operation]
    place = open_place(folder, faults=operation.faults(cell.outcomes))
    try:
        crash = CrashPlan(cell.first)
        rig = start_life(place, crash, settings=SETTINGS)
        place.may_trade = True
        entry: list[int] = []
        died = await live(rig, crash, _trade(rig, operation, lambda: entry.append(len(crash.points))))
        points = len(crash.points)
        if died:
            again = CrashPlan(cell.second)
            died = (await recover_life(place, again, dead_s=cell.dead_s, settings=SETTINGS))[1]
            points = len(again.points)
        if died:
            await recover_life(place, CrashPlan(), dead_s=1.0, settings=SETTINGS)
        await asyncio.sleep(SETTLE_S)
        judge(place)
        return Played(points, entry[0] if entry else points, tuple(place.violations), place.unhedged.worst_s)
    finally:
        await place.close()


async def _trade(rig: Rig, operation: Operation, entered) -> None:
    """Enter, and leave, lose a leg or stop where the operation says so."""
    rig.engine.note_liquidity(HEDGE, 2e6)
    rig.engine.note_liquidity(FIRST, 1e6)
    if operation.first_rests:
        rig.port.before = lambda request: _halt_once(rig.world, request)
    await rig.engine.execute(rig.world.expect(rig.enter()))
    entered()
    if operation.leaves:
        await rig.engine.execute(rig.leave())
    if operation.loses:
        share, prefix = operation.loses
        rig.world.take_away(rig.engine.book.entry("A_B").ref, FIRST, share, prefix=prefix)
        while rig.state() is PairState.OPEN or not rig.engine.is_idle:
            await asyncio.sleep(1.0)
    if operation.stops:
        await rig.kill_switch.trigger("tested", "a person")


def _halt_once(place: Place, request: OrderRequest) -> None:
    """The symbol is halted for a while when the order comes, so that it rests."""
    if request.symbol == FIRST and place.sent.total() == 0:
        place.exchange.tape.halt(FIRST, place.exchange.market_ms + 1)
        asyncio.get_running_loop().call_later(HALT_S, _resume, place)


def _resume(place: Place) -> None:
    place.exchange.tape.halt(FIRST, 0)
    place.exchange.venue.match_at_prices(place.exchange.clock.now_ms())


def cells(folder: Path, template: Path, operation: str, outcomes: tuple[str, str]) -> Iterator[tuple[Cell, Played]]:
    """Every point at which the operation may die; those of an entry before an exit are the entry's own cells."""
    whole = Cell(operation, outcomes)
    played = play(folder, template, whole)
    yield whole, played
    goes_on = OPERATIONS[operation].goes_on
    begin = played.entry_points + 1 if goes_on else 1
    for first in range(begin, played.points + 1):
        cell = Cell(operation, outcomes, first)
        yield cell, play(folder, template, cell)


def cells_twice(
    folder: Path, template: Path, operation: str, outcomes: tuple[str, str]
) -> Iterator[tuple[Cell, Played]]:
    """Every second point of every recovery, by turns."""
    for once, played in cells(folder, template, operation, outcomes):
        if once.first is not None:
            for second in range(1 + once.first % 2, played.points + 1, 2):
                cell = Cell(operation, outcomes, once.first, second)
                yield cell, play(folder, template, cell)
