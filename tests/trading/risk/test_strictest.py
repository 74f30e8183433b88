"""What several journals know of one guard, in any order."""

from __future__ import annotations

from typing import Any

import pytest

from trading.risk.state import RiskState, strictest

AT = "2024-01-0{}T00:00:00+00:00"
TRIPPED = {"breaker": "reduce_only", "breaker_reason": "max_drawdown", "breaker_since": AT.format(2)}
COOLING = {"breaker": "reduce_only", "breaker_reason": "unreachable", "breaker_until": AT.format(3)}
COOLING_LONGER = COOLING | {"breaker_until": AT.format(4)}
HALTED = {"breaker": "halted", "breaker_reason": "halted:by hand"}
FAILED, FAILED_LATER = (AT.format(1), True), (AT.format(2), False)


@pytest.mark.parametrize(
    ("mild", "strict"),
    [
        ({}, TRIPPED),
        (COOLING, TRIPPED),
        (COOLING, COOLING_LONGER),
        (TRIPPED, HALTED),
        ({}, {"probe": "*"}),
        ({"probe": "*"}, {"probe": "a:BTCUSDT"}),
        ({"peak_equity": 10.0, "equity": 9.0}, {"peak_equity": 20.0, "equity": 19.0}),
        ({"day": "2024-01-01", "trades_today": 9, "stops_today": {"A_B": 2}}, {"day": "2024-01-02", "trades_today": 1}),
        ({"day": "2024-01-02", "day_start_equity": 1.0}, {"day": "2024-01-02", "day_start_equity": 2.0}),
    ],
)
def test_nothing_gets_milder(mild: dict[str, Any], strict: dict[str, Any]):
    first, second = RiskState(**mild).snapshot(), RiskState(**strict).snapshot()
    assert strictest([first, second]) == strictest([second, first]) == RiskState(**strict)


def test_what_each_knows_of_pairs_is_known():
    one = RiskState(
        day="2024-01-02",
        trades_today=2,
        best_profit_pct={"A_B": 1.0, "C_D": 2.0},
        stops_today={"A_B": 2},
        quarantine={"A_B": AT.format(3)},
        failures=[FAILED_LATER],
        trips=[(AT.format(1), "max_drawdown")],
    )
    other = RiskState(
        day="2024-01-02",
        trades_today=3,
        best_profit_pct={"A_B": 3.0},
        stops_today={"A_B": 1, "C_D": 1},
        quarantine={"A_B": AT.format(2), "C_D": AT.format(2)},
        failures=[FAILED, FAILED_LATER],
        trips=[(AT.format(1), "max_drawdown")],
    )
    assert strictest([one.snapshot(), other.snapshot()]) == RiskState(
        day="2024-01-02",
        trades_today=3,
        best_profit_pct={"A_B": 3.0, "C_D": 2.0},
        stops_today={"A_B": 2, "C_D": 1},
        quarantine={"A_B": AT.format(3), "C_D": AT.format(2)},
        failures=[FAILED, FAILED_LATER],
        trips=[(AT.format(1), "max_drawdown")],
    )
