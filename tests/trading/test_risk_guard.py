from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pairs.words import Action, Approved, Direction, LegOrder, LegPosition, PairOrder, PairPosition, PairState, Refused
from trading.risk_guard import Breaker, RiskExit, RiskGuard, RiskLimits, TrailingStop

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
FREE = RiskLimits(
    max_positions=100, max_exposure=None, max_leverage=100.0, account_leverage=100.0, max_drawdown_pct=None,
    max_daily_loss_pct=None,
)  # fmt: skip


def order(pair: str = "A_B", gross: float = 1_000.0, action: Action = Action.ENTER) -> PairOrder:
    legs = (LegOrder("A", Decimal(1), gross / 2), LegOrder("B", Decimal(-1), gross / 2))
    return PairOrder(f"{pair}:ref", pair, action, Direction.LONG, legs, NOON, "entry")


def holding(pair: str = "A_B", gross: float = 1_000.0, state: PairState = PairState.OPEN) -> PairPosition:
    """Long one A and short one B at half the gross each."""
    price = Decimal(repr(gross / 2))
    legs = (LegPosition("A", Decimal(1), price), LegPosition("B", Decimal(-1), price))
    return PairPosition(pair, state, Direction.LONG, legs, NOON, -2.0, None, None, gross)


def guard_with(equity: float = 10_000.0, **limits) -> RiskGuard:
    return RiskGuard(replace(FREE, **limits), equity)


def reasons(guard: RiskGuard, wanted: PairOrder) -> tuple[str, ...]:
    verdict = guard.check(wanted)
    return verdict.reasons if isinstance(verdict, Refused) else ()


def mark(guard: RiskGuard, equity: float, positions=None, prices=None, *, hours: float = 0.0) -> list[RiskExit]:
    return guard.on_bar(NOON + timedelta(hours=hours), equity, positions or {}, prices or {})


# entries, each limit by its name and exactly at its edge


@pytest.mark.parametrize(
    ("limits", "gross", "reason"),
    [
        ({"max_exposure": 0.5}, 5_000.0, "max_exposure"),
        ({"max_leverage": 2.0}, 20_000.0, "max_leverage"),
        ({"account_leverage": 1.5}, 15_000.0, "initial_margin"),
    ],
)
def test_gross_may_come_up_to_the_limit_and_not_past_it(limits, gross, reason):
    assert reasons(guard_with(**limits), order(gross=gross)) == ()
    assert reasons(guard_with(**limits), order(gross=gross + 0.02)) == (reason,)


def test_the_last_place_may_be_taken_and_no_more():
    guard = guard_with(max_positions=2)
    assert [reasons(guard, order(pair)) for pair in ("A_B", "C_D", "E_F")] == [(), (), ("max_positions",)]


def test_what_is_in_flight_counts_as_filled():
    guard = guard_with(max_exposure=0.3)
    assert reasons(guard, order("A_B", 2_000.0)) == ()
    assert reasons(guard, order("C_D", 1_001.0)) == ("max_exposure",)
    mark(guard, 10_000.0)  # a bar passes and nothing has filled yet: still reserved
    assert reasons(guard, order("C_D", 1_001.0)) == ("max_exposure",)
    guard.release("A_B")
    assert reasons(guard, order("C_D", 1_001.0)) == ()


def test_a_pair_that_fills_counts_once_and_one_half_filled_in_full():
    guard = guard_with()
    guard.check(order("A_B", 2_000.0))
    mark(guard, 10_000.0, {"A_B": holding(gross=500.0, state=PairState.HEDGING)})
    assert guard.gross_exposure == 2_000.0
    mark(guard, 10_000.0, {"A_B": holding(gross=1_990.0)})
    assert guard.gross_exposure == 1_990.0
    mark(guard, 10_000.0)
    assert guard.gross_exposure == 0.0


def test_a_pair_is_not_entered_twice():
    guard = guard_with()
    guard.check(order())
    assert reasons(guard, order()) == ("already_in_position",)


def test_daily_trades_count_what_was_approved_today():
    guard = guard_with(max_daily_trades=2)
    mark(guard, 10_000.0)
    assert [reasons(guard, order(pair)) for pair in ("A_B", "C_D", "E_F")] == [(), (), ("max_daily_trades",)]
    mark(guard, 10_000.0, hours=12)  # the bar that closes at midnight belongs to the new day
    assert reasons(guard, order("E_F")) == ()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"max_daily_loss": 50.0}, "max_daily_loss"), ({"max_daily_loss_pct": 0.5}, "max_daily_loss_pct")],
)
def test_a_daily_loss_refuses_entries_from_exactly_the_limit_on(limits, reason):
    guard = guard_with(**limits)
    mark(guard, 10_000.0)
    mark(guard, 9_950.01, hours=1)
    assert reasons(guard, order()) == ()
    guard.release("A_B")
    mark(guard, 9_950.0, hours=2)
    assert reasons(guard, order()) == (reason,)
    assert guard.state.trips == [((NOON + timedelta(hours=2)).isoformat(), reason)]
    mark(guard, 9_940.0, hours=3)
    assert len(guard.state.trips) == 1, "told once a day"
    mark(guard, 9_940.0, hours=13)
    assert reasons(guard, order()) == (), "a new day"


def test_the_day_begins_at_what_the_last_bar_of_yesterday_left():
    guard = guard_with(max_daily_loss=50.0)
    mark(guard, 10_000.0)
    mark(guard, 10_000.0, hours=11)
    mark(guard, 9_940.0, hours=12)  # fell during the first hour of the new day
    assert guard.daily_loss == 60.0
    assert reasons(guard, order()) == ("max_daily_loss",)


def test_the_day_and_its_loss_survive_a_restart():
    limits = {"max_daily_loss": 50.0, "max_daily_trades": 1}
    guard = guard_with(**limits)
    mark(guard, 10_000.0)
    guard.check(order())
    mark(guard, 9_960.0, hours=1)
    again = guard_with(**limits)
    again.restore(json.loads(json.dumps(guard.snapshot())))
    assert again.state == guard.state
    mark(again, 9_945.0, hours=2)
    assert reasons(again, order("C_D")) == ("max_daily_trades", "max_daily_loss")
    mark(again, 9_945.0, hours=12)
    assert reasons(again, order("C_D")) == ()


def test_every_reason_is_told_at_once():
    guard = guard_with(max_positions=1, max_exposure=0.1, max_daily_trades=1)
    guard.check(order("C_D", 900.0))
    assert reasons(guard, order("A_B", 200.0)) == ("max_positions", "max_exposure", "max_daily_trades")


def test_an_exit_always_passes():
    guard = guard_with(max_positions=1, max_exposure=0.0001)
    guard.halt("a test", NOON)
    wanted = order(action=Action.EXIT)
    assert guard.check(wanted) == Approved(wanted)
    assert guard.state.trades_today == 0


# what cannot be computed never passes


@pytest.mark.parametrize("gross", [math.nan, math.inf])
def test_an_order_without_a_size_is_refused(gross):
    assert "equity_unknown" in reasons(guard_with(), order(gross=gross))


@pytest.mark.parametrize("equity", [0.0, -5.0, math.nan])
def test_nothing_is_entered_without_equity(equity):
    guard = guard_with()
    guard.state.equity = equity
    assert "equity_unknown" in reasons(guard, order())


@pytest.mark.parametrize("equity", [math.nan, math.inf, -math.inf])
def test_equity_that_is_not_a_number_halts(equity):
    guard = guard_with()
    mark(guard, 10_000.0)
    assert mark(guard, equity, {"A_B": holding()}, hours=1) == []
    assert (guard.breaker, guard.state.breaker_reason) == (Breaker.HALTED, "equity_unknown")
    mark(guard, 10_000.0, hours=2)
    assert reasons(guard, order()) == ("breaker_halted:equity_unknown",)


def test_a_position_without_a_usable_price_blocks_entries():
    guard = guard_with()
    mark(guard, 10_000.0, {"A_B": holding()}, {"A": math.nan})
    assert "equity_unknown" in reasons(guard, order("C_D"))


# the breaker


def test_a_drawdown_latches_from_exactly_the_limit_on():
    guard = guard_with(max_drawdown_pct=20.0)
    mark(guard, 12_500.0)
    mark(guard, 10_001.0, hours=1)
    assert guard.breaker is Breaker.CLOSED
    mark(guard, 10_000.0, hours=2)
    assert (guard.breaker, guard.state.breaker_reason) == (Breaker.REDUCE_ONLY, "max_drawdown")
    mark(guard, 13_000.0, hours=40)
    assert reasons(guard, order()) == ("breaker_reduce_only:max_drawdown",), "a new day and a new high do not re-arm it"
    guard.rearm()
    assert reasons(guard, order()) == ()


def test_the_peak_survives_a_restart():
    guard = guard_with(max_drawdown_pct=20.0)
    mark(guard, 12_500.0)
    again = guard_with(max_drawdown_pct=20.0)
    again.restore(guard.snapshot())
    mark(again, 10_000.0, hours=1)
    assert again.breaker is Breaker.REDUCE_ONLY


def test_a_backtest_may_rearm_the_next_day_and_measures_from_there():
    guard = guard_with(max_drawdown_pct=20.0, rearm_daily=True)
    mark(guard, 10_000.0)
    mark(guard, 8_000.0, hours=1)
    assert guard.breaker is Breaker.REDUCE_ONLY
    mark(guard, 8_000.0, hours=12)
    assert (guard.breaker, guard.drawdown_pct) == (Breaker.CLOSED, 0.0)
    assert [reason for _, reason in guard.state.trips] == ["max_drawdown"]


def test_a_halt_is_never_rearmed_by_a_new_day():
    guard = guard_with(rearm_daily=True)
    mark(guard, 10_000.0)
    guard.halt("ledger_mismatch", NOON)
    mark(guard, 10_000.0, hours=12)
    assert guard.breaker is Breaker.HALTED


def test_the_breaker_never_gets_milder_by_itself():
    guard = guard_with(max_drawdown_pct=20.0)
    guard.halt("a test", NOON)
    mark(guard, 100.0)
    assert guard.state.breaker_reason == "a test"


def test_a_margin_call_leaves_every_open_pair_and_takes_no_more():
    guard = guard_with(maintenance_margin_pct=50.0)
    positions = {"A_B": holding(gross=1_000.0), "C_D": holding("C_D", state=PairState.EXITING)}
    assert mark(guard, 1_000.01, positions) == []
    assert mark(guard, 1_000.0, positions, hours=1) == [RiskExit("A_B", "margin_call")]
    assert reasons(guard, order("E_F"))[0] == "breaker_reduce_only:margin_call"


# a pair's own stops, in per cent of its gross at entry (1,000)


@pytest.mark.parametrize(
    ("limits", "price", "reason"),
    [
        ({"stop_loss_pct": 5.0}, 450.0, "stop_loss"),
        ({"take_profit_pct": 5.0}, 550.0, "take_profit"),
    ],
)
def test_a_pair_is_left_exactly_at_its_stop(limits, price, reason):
    positions, toward = {"A_B": holding()}, 0.01 if price < 500.0 else -0.01
    guard = guard_with(**limits)
    assert mark(guard, 10_000.0, positions, {"A": price + toward}) == []
    assert mark(guard, 10_000.0, positions, {"A": price}, hours=1) == [RiskExit("A_B", reason)]


def test_a_trailing_stop_waits_for_its_activation_and_follows_the_best():
    guard = guard_with(trailing_stop=TrailingStop(activation_pct=3.0, trailing_pct=2.0))
    path = [(529.0, []), (500.0, []), (540.0, []), (521.0, []), (520.0, [RiskExit("A_B", "trailing_stop")])]
    for hour, (price, wanted) in enumerate(path):
        assert mark(guard, 10_000.0, {"A_B": holding()}, {"A": price}, hours=hour) == wanted, price


def test_the_best_profit_survives_a_restart_and_is_forgotten_with_the_pair():
    limits = {"trailing_stop": TrailingStop(3.0, 2.0)}
    guard = guard_with(**limits)
    mark(guard, 10_000.0, {"A_B": holding()}, {"A": 540.0})
    again = guard_with(**limits)
    again.restore(json.loads(json.dumps(guard.snapshot())))
    assert mark(again, 10_000.0, {"A_B": holding()}, {"A": 519.0}, hours=1) == [RiskExit("A_B", "trailing_stop")]
    mark(again, 10_000.0, hours=2)
    assert mark(again, 10_000.0, {"A_B": holding()}, {"A": 519.0}, hours=3) == []


def test_a_pair_under_way_is_not_stopped_twice():
    guard = guard_with(stop_loss_pct=1.0)
    positions = {"A_B": holding(state=PairState.EXITING)}
    assert mark(guard, 10_000.0, positions, {"A": 1.0}) == []


def test_usage_names_every_limit_in_force():
    limits = RiskLimits(max_daily_loss=50.0, max_daily_trades=4)
    guard = RiskGuard(limits, 10_000.0)
    mark(guard, 10_000.0)
    guard.check(order(gross=2_500.0))
    mark(guard, 9_900.0, {"A_B": holding(gross=2_500.0)}, hours=1)
    assert dict((name, (used, limit)) for name, used, limit in guard.usage()) == {
        "max_positions": (1.0, 5.0),
        "max_exposure": (2_500.0 / 9_900.0, 1.0),
        "max_leverage": (2_500.0 / 9_900.0, 2.0),
        "initial_margin": (2_500.0 / 9_900.0, 1.0),
        "max_drawdown_pct": (pytest.approx(1.0), 10.0),
        "max_daily_loss": (100.0, 50.0),
        "max_daily_loss_pct": (1.0, 2.0),
        "max_daily_trades": (1.0, 4.0),
        "max_failed_orders": (0.0, 5.0),
    }
    assert {name for name, *_ in RiskGuard(replace(FREE, max_leverage=2.0), 1.0).usage()} == {
        "max_positions", "max_leverage", "initial_margin", "max_failed_orders",
    }  # fmt: skip
