"""What a person reads of a run as it goes."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console

from pairs.words import PairOrder
from tests.trading.execution.engine_rig import entry_order
from trading.events import Alarm, EntryRefused, Event
from trading.risk.state import BreakerTripped, LimitReached, PairQuarantined
from trading.risk_guard import Breaker
from trading.status_display import StatusDisplay

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Alarm(NOON, "look", critical=True), "ALARM: look"),
        (BreakerTripped(NOON, Breaker.REDUCE_ONLY, "max_drawdown"),
         "risk: the breaker is reduce_only (max_drawdown) until a person re-arms it"),
        (LimitReached(NOON, "max_daily_loss"), "risk: max_daily_loss is reached: no more entries"),
        (PairQuarantined(NOON, "A_B", 2, NOON), "risk: no more entries of A_B until 2024-03-05 12:00: stops today 2"),
    ],
)  # fmt: skip
def test_what_risk_does_is_a_line_of_its_own(event: Event, line: str) -> None:
    out = io.StringIO()
    StatusDisplay(Console(file=out)).on_event(event)
    assert out.getvalue() == f"2024-03-05 12:00  {line}\n"


def test_a_refusal_is_told_when_its_reasons_are_new() -> None:
    out = io.StringIO()
    display = StatusDisplay(Console(file=out))
    for reasons in (("max_exposure",), ("max_exposure",), ("no_quote:B",)):
        display.on_event(EntryRefused(NOON, entry(), reasons))
    assert out.getvalue().splitlines() == [
        "2024-03-05 12:00  A_B not entered: max_exposure",
        "2024-03-05 12:00  A_B not entered: no_quote:B",
    ]


def entry() -> PairOrder:
    return entry_order("A_B", {"A": Decimal(1), "B": Decimal(-2)}, NOON, prices={"A": 1.0, "B": 1.0})
