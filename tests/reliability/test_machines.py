"""Hypothesis against the ledger, the life of orders, and the guard. The soak plays more of the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reliability.machines import MACHINES, STEPS, run

EXAMPLES = 60


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_the_model_and_the_real_thing_agree_at_every_step(machine, tell: Callable[..., None]) -> None:
    run(machine, examples=EXAMPLES)
    tell("stateful models", machines=1, examples=EXAMPLES, steps_at_most=EXAMPLES * STEPS)
