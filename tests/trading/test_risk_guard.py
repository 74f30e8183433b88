from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from datetime import timedelta

import pytest

from pairs.words import Action, Approved, PairState
from tests.trading.risk.asking import FREE, NOON, at, guard_with, holding, mark, order, reasons, stopped
from trading.risk.state import BreakerTripped, LimitReached, PairQuarantined
from trading.risk_guard import Breaker, RiskExit, RiskGuard, RiskLimits, TrailingStop

# entries, each limit by its name and exactly at its edge


@pytest.mark.parametrize(
    ("limits", "gross", "reason"),
    [
        ({"max_exposure": 0.5}, 5_000.0, "max_exposure"),
        ({"max_leverage": 2.0}, 20_000.0, "max_leverage"),
        ({"account_leverage": 1.5}, 15_000.0, "initial_margin"),
        ({"max_pair_exposure": 0.2}, 2_000.0, "max_pair_exposure"),
        ({"min_liquidation_distance_pct": 49.5}, 20_000.0, "min_liquidation_distance_pct"),
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


def test_an_entry_of_which_nothing_was_sent_is_none_of_todays_trades():
    guard = guard_with(max_daily_trades=1)
    assert reasons(guard, order("A_B")) == ()
    guard.withdraw("A_B")
    assert reasons(guard, order("C_D")) == ()
    assert reasons(guard, order("A_B")) == ("max_daily_trades",)


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
    against = reasons(guard_with(max_exposure=1.0, max_pair_exposure=1.0), order(gross=gross))
    assert {"equity_unknown", "max_exposure", "max_pair_exposure"} <= set(against)


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


def test_the_days_loss_begins_anew_at_midnight_and_the_drawdown_does_not():
    limits = {"max_daily_loss": 60.0, "max_drawdown_pct": 1.0}
    guard, again = guard_with(**limits), guard_with(1.0, **limits)
    for hours, equity in ((10, 10_000.0), (11, 9_950.0), (12, 9_941.0)):
        mark(guard, equity, hours=hours)
    again.restore(json.loads(json.dumps(guard.snapshot())))
    assert (again.daily_loss, again.breaker) == (9.0, Breaker.CLOSED)
    mark(again, 9_900.0, hours=13)
    assert (again.daily_loss, again.state.breaker_reason) == (50.0, "max_drawdown")


# a check that breaks


class BrokenLimits:
    def __getattr__(self, name: str) -> float:
        raise ZeroDivisionError(name)


def test_a_check_that_raises_halts_and_refuses():
    guard = guard_with()
    guard.limits = BrokenLimits()
    assert reasons(guard, order()) == ("risk_check_failed",)
    assert (guard.breaker, guard.state.breaker_reason) == (Breaker.HALTED, "risk_check_failed:ZeroDivisionError")


def test_a_bar_whose_risk_cannot_be_computed_halts():
    guard = guard_with()
    assert mark(guard, 10_000.0, {"A_B": None}) == []
    assert guard.breaker is Breaker.HALTED


@pytest.mark.parametrize(
    ("notice", "sentence"),
    [
        (BreakerTripped(NOON, Breaker.HALTED, "a test"), "the breaker is halted (a test) until a person re-arms it"),
        (BreakerTripped(NOON, Breaker.REDUCE_ONLY, "unreachable", NOON),
         "the breaker is reduce_only (unreachable) until 2024-03-05 12:00"),
        (LimitReached(NOON, "max_daily_loss"), "max_daily_loss is reached: no more entries"),
        (LimitReached(NOON, "max_exposure", "A_B"), "max_exposure is reached: no more entries of A_B"),
        (PairQuarantined(NOON, "A_B", 2, NOON),
         "no more entries of A_B until 2024-03-05 12:00: stops today 2"),
    ],
)  # fmt: skip
def test_what_is_told_reads_as_a_sentence(notice, sentence):
    assert str(notice) == sentence


def test_a_listener_that_raises_changes_nothing():
    guard, told = guard_with(), []
    guard.add_listener(lambda notice: 1 / 0)
    guard.add_listener(told.append)
    guard.halt("a test", NOON)
    assert told == [BreakerTripped(NOON, Breaker.HALTED, "a test")]


def test_a_clock_that_steps_back_begins_no_day():
    guard = guard_with(max_daily_trades=1)
    mark(guard, 10_000.0)
    guard.check(order())
    mark(guard, 9_000.0, hours=-24)
    assert guard.state.day == "2024-03-05"
    assert reasons(guard, at(order("C_D"), -24)) == ("max_daily_trades",)


def test_an_order_of_a_new_day_does_not_wait_for_its_first_bar():
    guard = guard_with(max_daily_trades=1, max_daily_loss=50.0)
    mark(guard, 10_000.0)
    guard.check(order())
    mark(guard, 9_900.0, hours=11)
    assert reasons(guard, at(order("C_D"), 12.5)) == ()
    assert guard.state.day_start_equity == 9_900.0


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


def test_looking_at_one_pair_between_bars_forgets_nothing_of_the_others():
    guard = guard_with(trailing_stop=TrailingStop(3.0, 2.0))
    both = {"A_B": holding(), "C_D": holding("C_D")}
    mark(guard, 10_000.0, both, {"A": 540.0})
    assert guard.pair_stops({"C_D": both["C_D"]}, {"A": 540.0}) == []
    assert guard.pair_stops({"A_B": both["A_B"]}, {"A": 519.0}) == [RiskExit("A_B", "trailing_stop")]


def test_a_pair_that_left_and_came_back_between_two_bars_begins_anew():
    guard = guard_with(trailing_stop=TrailingStop(3.0, 2.0))
    mark(guard, 10_000.0, {"A_B": holding()}, {"A": 540.0})
    guard.pair_left("A_B", "reversion", NOON)
    assert mark(guard, 10_000.0, {"A_B": holding()}, {"A": 519.0}, hours=1) == []


def test_a_price_that_is_no_number_neither_stops_nor_hides_the_best():
    guard = guard_with(trailing_stop=TrailingStop(3.0, 2.0))
    mark(guard, 10_000.0, {"A_B": holding()}, {"A": math.nan})
    mark(guard, 10_000.0, {"A_B": holding()}, {"A": 540.0}, hours=1)
    assert mark(guard, 10_000.0, {"A_B": holding()}, {"A": 519.0}, hours=2) == [RiskExit("A_B", "trailing_stop")]


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


def test_usage_has_a_number_for_everything():
    guard = RiskGuard(
        RiskLimits(max_pair_exposure=0.5, min_liquidation_distance_pct=10.0, max_stops_per_pair=2, stop_loss_pct=5.0),
        10_000.0,
    )
    flat = {name: used for name, used, _ in guard.usage()}
    assert flat["min_liquidation_distance_pct"] == 1e6 and flat["max_pair_exposure"] == 0.0
    mark(guard, 10_000.0, {"A_B": holding(gross=2_000.0)}, {"A": 980.0, "B": 1_000.0})
    stopped(guard, "C_D")
    used = {name: used for name, used, _ in guard.usage()}
    assert used["max_pair_exposure"] == 0.198
    assert used["stop_loss_pct"] == 1.0
    assert used["max_stops_per_pair"] == 1.0
    assert used["min_liquidation_distance_pct"] == pytest.approx(100 * 10_000 / 1_980 - 0.5)
    mark(guard, -1.0, {"A_B": holding(gross=2_000.0)}, hours=1)
    json.dumps(guard.usage(), allow_nan=False)


# used alone


def ask(guard: RiskGuard, **terms) -> dict:
    return asyncio.run(guard.check_all_risks(**({"symbol": "BTCUSDT", "quantity": 0.1, "price": 50_000.0} | terms)))


def test_alone_it_answers_by_symbol():
    guard, told = RiskGuard(max_positions=1, max_drawdown_pct=10.0, daily_loss_limit_pct=2.0), []
    guard.add_listener(told.append)
    assert ask(guard) == {"passed": True, "violations": []}
    assert ask(guard) == {"passed": True, "violations": []}, "a question reserves nothing"
    assert ask(guard, quantity=0.21) == {"passed": False, "violations": ["max_exposure", "initial_margin"]}
    assert [notice.reason for notice in told] == ["max_exposure", "initial_margin"]
    assert {notice.pair_id for notice in told} == {"BTCUSDT"}
    guard.on_bar(NOON, 10_000.0, {"BTCUSDT": holding("BTCUSDT", 2_000.0)}, {})
    assert ask(guard)["passed"], "what is held may be added to"
    assert ask(guard, symbol="ETHUSDT", quantity=1, price=100.0)["violations"] == ["max_positions"]


@pytest.mark.parametrize(
    ("equity", "violations"),
    [(9_800.0, ["max_daily_loss_pct"]), (9_000.0, ["breaker_reduce_only:max_drawdown", "max_daily_loss_pct"])],
)
def test_alone_it_knows_the_days_loss_and_the_drawdown(equity, violations):
    guard = RiskGuard(max_positions=5, max_drawdown_pct=10.0, daily_loss_limit_pct=2.0)
    mark(guard, 10_000.0)
    mark(guard, equity, hours=1)
    assert ask(guard, quantity=0.01)["violations"] == violations
    status = guard.get_risk_status()
    assert status["current_drawdown_pct"] == status["daily_loss_pct"] == pytest.approx((10_000.0 - equity) / 100.0)
    assert status["risk_violations"][-1] == "max_daily_loss_pct"
    json.dumps(status, allow_nan=False)


@pytest.mark.parametrize(
    "terms",
    [
        {"quantity": math.nan},
        {"quantity": 0},
        {"quantity": "1"},
        {"price": math.inf},
        {"price": None},
        {"price": "50000"},
        {"quantity": 1e6, "price": -5e6},
    ],
)
def test_alone_nonsense_does_not_pass(terms):
    guard = RiskGuard()
    answer = ask(guard, **terms)
    assert not answer["passed"] and "a size and a positive price were wanted" in answer["violations"][0]
    assert guard.breaker is Breaker.CLOSED


@pytest.mark.parametrize(
    "limits",
    [
        {"max_drawdown_pct": "10"},
        {"max_drawdown_pct": -5.0},
        {"daily_loss_limit_pct": math.nan},
        {"max_positions": None},
        {"max_positions": True},
        {"max_leverage": math.nan},
        {"max_exposure": math.inf},
        {"account_leverage": 0.0},
        {"trailing_stop": 2.0},
    ],
)
def test_a_limit_that_is_none_is_an_error(limits):
    with pytest.raises(ValueError, match="was wanted"):
        RiskGuard(**limits)
    with pytest.raises(ValueError, match="trailing_pct -1.0"):
        TrailingStop(1.0, -1.0)


def test_alone_a_limit_that_does_not_exist_is_an_error():
    with pytest.raises(TypeError, match="max_postions"):
        RiskGuard(max_postions=5)
