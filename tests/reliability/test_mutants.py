"""The proofs bite: every deliberate fault in the engine is noticed, and so is an engine as one writes it first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reliability import naive
from tests.reliability.cells import ORDER_OUTCOMES, Cell
from tests.reliability.checks import CHECKS
from tests.reliability.conftest import Desk
from tests.reliability.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("name", CHECKS)
def test_the_engine_as_it_is_passes_every_check(name: str, desk: Desk) -> None:
    assert CHECKS[name](desk) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_in_the_engine_is_noticed(
    mutant: Mutant, desk: Desk, monkeypatch: pytest.MonkeyPatch, tell: Callable[..., None]
) -> None:
    mutant.apply(monkeypatch)
    found = CHECKS[mutant.caught_by](desk)
    tell("mutants", caught=int(bool(found)), missed=int(not found))
    assert found, f"{mutant.name} passes unnoticed by: {mutant.caught_by}"


def test_there_are_at_least_twenty_and_each_check_has_its_use() -> None:
    assert len(MUTANTS) >= 20
    assert {mutant.caught_by for mutant in MUTANTS} == set(CHECKS)


@pytest.mark.parametrize("operation", ["enter", "exit"])
def test_the_naive_engine_fails(operation: str, desk: Desk, tell: Callable[..., None]) -> None:
    cells = broken = 0
    for outcome in ORDER_OUTCOMES:
        points, _ = naive.play(desk.folder, Cell(operation, (outcome, "ok")))
        for first in range(1, points + 1):
            _, wrong = naive.play(desk.folder, Cell(operation, (outcome, "ok"), first))
            cells, broken = cells + 1, broken + bool(wrong)
    tell("the naive engine, as a control", cells=cells, broken=broken)
    assert broken > cells / 3
