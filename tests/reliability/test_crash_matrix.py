"""Dies at every commit, send, flight and answer of every operation, starts again, and must be whole.

Of the long lists of outcomes the tests play every third; ``make soak`` plays the whole matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.reliability.cells import CANCEL_OUTCOMES, OPERATIONS, ORDER_OUTCOMES, Cell, Played, cells, cells_twice
from tests.reliability.conftest import Desk

# An entry whose first leg comes to nothing never has a second: one such cell says as much as all of them.
HEDGED = (
    "ok",
    "partial_0.6",
    "timeout_after",
    "late",
    "backend_timeout",
    "duplicate",
    "overfill",
    "fill_before_ack",
    "query_lag",
)
SECONDS = ("ok", "partial_0.6", "reject", "timeout_before", "timeout_after", "late", "rate_limit")
EITHER = [(name, "ok") for name in ORDER_OUTCOMES] + [("ok", name) for name in ORDER_OUTCOMES if name != "ok"]
CANCELS = [(name, "ok") for name in CANCEL_OUTCOMES] + [("filled_before_cancel", name) for name in SECONDS[1:]]
STREAM = [("ok", "ok"), ("partial_0.6", "ok"), ("timeout_after", "reject")]
TWICE = {
    "enter": [("ok", "partial_0.6"), ("timeout_after", "reject")],
    "exit": [("ok", "timeout_after"), ("late", "reject")],
    "top_up": [("timeout_after", "ok")],
    "unwind_one": [("timeout_after", "ok")],
    "emergency_stop": [("timeout_after", "ok")],
    "cancel": [("filled_before_cancel", "timeout_after")],
    "closed_by_hand": [("timeout_after", "ok")],
}
ONCE = {
    "enter": [(one, other) for one in ORDER_OUTCOMES for other in (ORDER_OUTCOMES if one in HEDGED else ("ok",))],
    "exit": [(one, other) for one in ORDER_OUTCOMES for other in SECONDS],
    "top_up": EITHER,
    "unwind_one": EITHER,
    "unwind_both": EITHER[::2],
    "exit_in_parts": EITHER,
    "emergency_stop": [*EITHER[::2], ("reject", "late")],
    "cancel": CANCELS,
    "closed_by_hand": EITHER[::2],
    "deleveraged": EITHER[::2],
    "unheard": STREAM,
    "heard_twice": STREAM,
}
LONG, SHARE = 15, 6
TESTED = {name: pairs[::SHARE] if len(pairs) > LONG else pairs for name, pairs in ONCE.items()}
SHARDS = [(operation, shard) for operation in TESTED for shard in range(1 + len(TESTED[operation]) // 8)]


def assert_whole(played: Iterable[tuple[Cell, Played]], name: str, tell: Callable[..., None]) -> int:
    """Plays them all; says how many there were."""
    rows = list(played)
    broken = [f"{cell}: {violation}" for cell, one in rows for violation in one.violations]
    worst = max(one.worst_unhedged_s for _, one in rows)
    tell(name, cells=len(rows), violations=len(broken), worst_unhedged_s=worst)
    assert not broken, "\n".join(broken[:20])
    return len(rows)


@pytest.mark.parametrize(("operation", "shard"), SHARDS)
def test_a_crash_at_every_point_leaves_no_duplicate_no_lost_fill_and_no_naked_leg(
    operation: str, shard: int, desk: Desk, tell: Callable[..., None]
) -> None:
    shards = sum(one == operation for one, _ in SHARDS)
    pairs = TESTED[operation][shard::shards]
    played = (row for outcomes in pairs for row in cells(desk.folder, desk.template, operation, outcomes))
    assert assert_whole(played, "crash matrix", tell) >= 7 * len(pairs)


@pytest.mark.parametrize(("operation", "outcomes"), [(name, one) for name, pairs in TWICE.items() for one in pairs])
def test_a_second_crash_at_every_step_of_the_recovery_changes_nothing(
    operation: str, outcomes: tuple[str, str], desk: Desk, tell: Callable[..., None]
) -> None:
    played = cells_twice(desk.folder, desk.template, operation, outcomes)
    assert assert_whole(played, "crash matrix", tell) > 10


def test_the_matrix_knows_every_operation() -> None:
    assert set(ONCE) == set(OPERATIONS)
