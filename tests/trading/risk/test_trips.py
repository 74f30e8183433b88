"""What takes pairs out and keeps them out: nearness to liquidation, stops, failed orders, an exchange out of reach."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from pairs.words import PairState
from tests.trading.risk.asking import NOON, at, failed, guard_with, holding, mark, order, reasons, stopped
from trading.risk.state import BreakerTripped, PairQuarantined
from trading.risk_guard import Breaker, RiskExit, RiskGuard

# distance to liquidation: 100 x equity / gross - the maintenance margin of 0.5 %


def test_the_largest_pairs_are_left_whole_until_the_rest_stands_far_enough_off():
    guard = guard_with(min_liquidation_distance_pct=49.5)
    positions = {"A_B": holding("A_B", 6_000.0), "C_D": holding("C_D", 9_000.0), "E_F": holding("E_F", 5_000.0)}
    assert mark(guard, 10_000.0, positions) == []
    assert mark(guard, 9_999.0, positions, hours=1) == [RiskExit("C_D", "liquidation_distance")]
    far, near = RiskExit("C_D", "liquidation_distance"), RiskExit("A_B", "liquidation_distance")
    assert mark(guard, 5_000.0, positions, hours=2) == [far, near]
    assert guard.breaker is Breaker.CLOSED


def test_a_pair_that_is_being_left_is_not_left_again_nor_another_in_its_place():
    guard = guard_with(min_liquidation_distance_pct=49.5)
    leaving = holding("C_D", 9_000.0, PairState.EXITING)
    assert mark(guard, 5_600.0, {"A_B": holding("A_B", 6_000.0), "C_D": leaving, "E_F": holding("E_F", 5_000.0)}) == []


def test_a_pair_stopped_on_the_same_bar_counts_as_gone():
    guard = guard_with(min_liquidation_distance_pct=49.5, stop_loss_pct=1.0)
    positions = {"A_B": replace(holding("A_B", 6_000.0), gross_notional=100.0), "C_D": holding("C_D", 9_000.0)}
    exits = mark(guard, 5_000.0, positions, {"A": 2_990.0, "B": 3_000.0})
    assert exits == [RiskExit("A_B", "stop_loss")]


def test_a_pair_under_way_stands_in_the_way_of_others_but_cannot_be_left():
    guard = guard_with(min_liquidation_distance_pct=49.5)
    guard.check(order("C_D", 9_000.0))
    positions = {"A_B": holding("A_B", 6_000.0), "C_D": holding("C_D", 10.0, PairState.HEDGING)}
    assert mark(guard, 7_400.0, positions) == [RiskExit("A_B", "liquidation_distance")]


def test_what_the_account_says_of_itself_counts_where_it_is_worse():
    guard = guard_with(min_liquidation_distance_pct=49.5)
    positions = {"A_B": holding("A_B", 6_000.0), "C_D": holding("C_D", 5_000.0)}
    assert mark(guard, 10_000.0, positions) == []
    guard.note_margin(9_000.0, 3_555.0)  # somebody else's positions use a part of it: 49.5 % are left
    assert mark(guard, 10_000.0, positions) == []
    guard.note_margin(9_000.0, 3_556.0)
    assert reasons(guard, order("E_F", 1.0)) == ("min_liquidation_distance_pct",)
    assert mark(guard, 10_000.0, positions) == [RiskExit("A_B", "liquidation_distance")]
    guard.note_margin(9_000.0, 100.0)
    assert mark(guard, 10_000.0, positions) == []


# what a resume must not overlook


def test_what_every_bar_finds_again_is_one_demand_and_what_is_told_again_another():
    guard = guard_with(max_drawdown_pct=10.0)
    mark(guard, 10_000.0)
    mark(guard, 8_000.0, hours=1)
    seen = guard.halts
    mark(guard, 8_000.0, hours=2)
    assert guard.halts == seen
    for again in (1, 2):
        guard.halt("ledger_mismatch", NOON + timedelta(hours=3))
        assert guard.halts == seen + again
    guard.rearm()
    mark(guard, 7_000.0, hours=4)
    assert guard.halts == seen + 3


# quarantine: the second stop within a UTC day


@pytest.mark.parametrize("reason", ["stop", "stop_z", "stop_loss", "stop_loss_z", "trailing_stop", "liquidation"])
def test_a_pair_that_was_stopped_too_often_is_quarantined_until_the_day_ends(reason):
    guard, told = guard_with(max_stops_per_pair=2), []
    guard.add_listener(told.append)
    mark(guard, 10_000.0)
    stopped(guard, reason=reason)
    assert reasons(guard, at(order(), 1)) == ()
    stopped(guard, reason=reason, hours=1)
    midnight = NOON + timedelta(hours=12)
    assert told == [PairQuarantined(NOON + timedelta(hours=1), "A_B", 2, midnight)]
    mark(guard, 10_000.0, hours=2)
    assert reasons(guard, at(order(), 11)) == ("quarantined",)
    assert reasons(guard, at(order("C_D"), 11)) == (), "the others trade"
    assert reasons(guard, at(order(), 12)) == ()


@pytest.mark.parametrize("reason", ["reversion", "take_profit", "timeout", "unwound:hedge_failed", "shutdown"])
def test_other_ways_out_are_no_stops(reason):
    guard = guard_with(max_stops_per_pair=1)
    stopped(guard, reason=reason)
    assert reasons(guard, order()) == ()


def test_stops_of_two_days_are_not_added_up():
    guard = guard_with(max_stops_per_pair=2)
    mark(guard, 10_000.0)
    stopped(guard, hours=11)
    mark(guard, 10_000.0, hours=12)
    stopped(guard, hours=13)
    assert reasons(guard, at(order(), 14)) == ()


def test_a_quarantine_of_hours_outlasts_the_day_and_the_process():
    limits = {"max_stops_per_pair": 1, "quarantine_hours": 20.0}
    guard = guard_with(**limits)
    mark(guard, 10_000.0)
    stopped(guard)
    again = guard_with(**limits)
    again.restore(json.loads(json.dumps(guard.snapshot())))
    mark(again, 10_000.0, hours=12)
    assert reasons(again, at(order(), 19.9)) == ("quarantined",)
    assert reasons(again, at(order(), 20)) == ()


# failed orders


@pytest.mark.parametrize("reason", ["-2019 Margin is insufficient", "unwound:hedge_failed", "rejected"])
def test_failures_in_a_row_stop_entries_until_a_person_looks(reason):
    guard, told = guard_with(max_failed_orders=3), []
    guard.add_listener(told.append)
    for hour in range(3):
        assert guard.breaker is Breaker.CLOSED
        failed(guard, reason, hours=hour)
    assert told == [BreakerTripped(NOON + timedelta(hours=2), Breaker.REDUCE_ONLY, "failed_orders")]
    mark(guard, 10_000.0, hours=500)
    assert reasons(guard, at(order(), 500)) == ("breaker_reduce_only:failed_orders",)
    guard.rearm()
    assert reasons(guard, order()) == ()


def test_one_refusal_among_orders_that_got_lost_is_for_a_person():
    guard = guard_with(max_failed_orders=3)
    for reason in ("local not sent: banned", "-2019 no", "absent"):
        failed(guard, reason)
    assert (guard.state.breaker_reason, guard.state.breaker_until) == ("failed_orders", "")


def test_an_entry_that_opens_ends_the_row():
    guard = guard_with(max_failed_orders=2)
    failed(guard, "-2019 no")
    guard.entry_opened()
    failed(guard, "-2019 no")
    assert guard.breaker is Breaker.CLOSED


def test_failures_long_ago_do_not_count():
    guard = guard_with(max_failed_orders=2, failed_orders_hours=6.0)
    failed(guard, "-2019 no")
    failed(guard, "-2019 no", hours=6)
    assert guard.breaker is Breaker.CLOSED
    failed(guard, "-2019 no", hours=11.9)
    assert guard.breaker is Breaker.REDUCE_ONLY


def test_the_row_survives_a_restart():
    guard, again = guard_with(max_failed_orders=2), guard_with(max_failed_orders=2)
    failed(guard, "-2019 no")
    again.restore(json.loads(json.dumps(guard.snapshot())))
    failed(again, "-2019 no")
    assert again.state.breaker_reason == "failed_orders"


# transport: a cool-down, then one pair tries


def unreachable(**limits) -> RiskGuard:
    guard = guard_with(max_failed_orders=2, cooldown_s=3_600.0, **limits)
    failed(guard, "local not sent: banned")
    failed(guard, "absent")
    return guard


def test_orders_that_never_got_there_cool_down_and_one_pair_tries_first():
    guard = unreachable()
    assert reasons(guard, at(order(), 0.9)) == ("breaker_reduce_only:unreachable",)
    assert reasons(guard, at(order("A_B"), 1)) == ()
    assert reasons(guard, at(order("C_D"), 1)) == ("breaker_half_open",)
    guard.entry_opened()
    assert reasons(guard, at(order("C_D"), 1)) == ()


def test_a_trial_that_does_not_get_through_cools_down_anew():
    guard = unreachable()
    assert reasons(guard, at(order(), 1)) == ()
    failed(guard, "local not sent: banned", hours=1)
    assert reasons(guard, at(order(), 1.9)) == ("breaker_reduce_only:unreachable",)
    assert reasons(guard, at(order(), 2)) == ()


def test_a_trial_that_was_never_made_leaves_the_place_to_another():
    guard = unreachable()
    assert reasons(guard, at(order(), 1)) == ()
    guard.release("A_B")
    assert reasons(guard, at(order("C_D"), 1)) == ()


def test_money_latches_what_transport_would_have_let_go():
    guard = unreachable(max_drawdown_pct=20.0)
    mark(guard, 8_000.0)
    mark(guard, 8_000.0, hours=100)
    assert reasons(guard, at(order(), 100)) == ("breaker_reduce_only:max_drawdown",)
    guard.cool_down("unreachable", NOON, 1.0)
    mark(guard, 8_000.0, hours=200)
    assert guard.state.breaker_reason == "max_drawdown", "a milder cause changes nothing"
