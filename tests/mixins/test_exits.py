"""The exits that read prices: decision tables, indicators computed apart, and what a restart must not change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mixins.exits import (
    ATRExitMixin,
    FixedRatioExitMixin,
    RSIBBExitMixin,
    TimeBasedExitMixin,
    TrailingStopExitMixin,
)
from pairs.words import Direction, Pair
from tests.mixins import reference
from tests.mixins.harness import FakeView, bars_from_closes, position, random_bars, run

LONG, SHORT = Direction.LONG, Direction.SHORT
BARS = random_bars(300, seed=8)
ENTRY = 60
both_modes = pytest.mark.parametrize("runonce", [True, False], ids=["runonce", "next"])
both_sides = pytest.mark.parametrize("direction", [LONG, SHORT], ids=["long", "short"])


def reasons(rule, params, bars=BARS, **how) -> list[str]:
    how.setdefault("entry_bar", ENTRY)
    answers = run(rule, params, bars, **how).answers.values()
    assert all(answer.leave == (answer.reason not in ("hold", "not_ready")) for answer in answers)
    return [answer.reason for answer in answers]


@both_modes
@both_sides
@pytest.mark.parametrize("bb_period", [0, 1, 25])
def test_rsi_and_bands_end_a_trade_where_their_definition_says(runonce, direction, bb_period):
    params = RSIBBExitMixin.Params(x_rsi_period=10, x_rsi_overbought=62.0, x_bb_period=bb_period, x_bb_dev=1.1)
    index = reference.rsi(BARS.close, 10)
    lower, upper = reference.bollinger(BARS.close, 25, 1.1)
    extreme = index >= 62.0 if direction is LONG else index <= 38.0
    outside = (BARS.close >= upper if direction is LONG else BARS.close <= lower) & (bb_period == 25)
    expected = np.where(extreme, "rsi_reversal", np.where(outside, "band_touch", "hold"))[ENTRY + 1 :]
    assert reasons(RSIBBExitMixin, params, direction=direction, runonce=runonce) == list(expected)
    assert {"hold", "rsi_reversal"} | ({"band_touch"} if bb_period == 25 else set()) == set(expected)


@both_modes
@both_sides
def test_the_atr_stop_trails_and_never_loosens(runonce, direction):
    params = ATRExitMixin.Params(x_atr_period=10, x_atr_multiplier=2.0)
    sign, ranges = direction.sign, reference.atr(BARS, 10)
    best, stop, expected = BARS.open[ENTRY + 1], -math.inf, []
    stop = sign * best - 2.0 * ranges[ENTRY]
    for bar in range(ENTRY + 1, len(BARS)):
        best = max(best, BARS.close[bar]) if direction is LONG else min(best, BARS.close[bar])
        stop = max(stop, sign * best - 2.0 * ranges[bar])
        expected.append("atr_stop" if sign * BARS.close[bar] <= stop else "hold")
    assert reasons(ATRExitMixin, params, direction=direction, runonce=runonce) == expected
    assert set(expected) == {"hold", "atr_stop"}


@pytest.mark.parametrize(("close", "reason"), [(98.1, "hold"), (97.9, "atr_stop")])
def test_the_atr_stop_stands_from_the_bar_of_the_decision_on(close, reason):
    calm_then_wild = bars_from_closes([100.0, 100.0, 100.0, close])
    calm_then_wild.low[3] = 80.0
    params = ATRExitMixin.Params(x_atr_period=1, x_atr_multiplier=2.0)  # 100 - 2 * 1 before the range widens to 20
    assert reasons(ATRExitMixin, params, calm_then_wild, entry_bar=2) == [reason]


@both_modes
@both_sides
def test_a_trailing_stop_gives_back_no_more_than_its_per_cent(runonce, direction):
    best, expected = BARS.open[ENTRY + 1], []
    for close in BARS.close[ENTRY + 1 :]:
        best = max(best, close) if direction is LONG else min(best, close)
        lost_pct = 100.0 * direction.sign * (best - close) / best
        expected.append("trailing_stop" if lost_pct >= 6.0 else "hold")
    params = TrailingStopExitMixin.Params(x_trail_pct=6.0)
    assert reasons(TrailingStopExitMixin, params, direction=direction, runonce=runonce) == expected
    assert set(expected) == {"hold", "trailing_stop"}


@pytest.mark.parametrize(
    ("direction", "closes", "expected"),
    [
        (LONG, [100, 100, 104, 110, 99.1, 99.0], ["hold", "hold", "hold", "hold", "trailing_stop"]),
        (SHORT, [100, 100, 96, 90, 98.9, 99.0], ["hold", "hold", "hold", "hold", "trailing_stop"]),
        (LONG, [100, 90.1, 90.0], ["hold", "trailing_stop"]),
        (SHORT, [100, 109.9, 110.0], ["hold", "trailing_stop"]),
    ],
)
def test_a_trailing_stop_starts_at_the_entry_price(direction, closes, expected):
    params = TrailingStopExitMixin.Params(x_trail_pct=10.0)
    found = reasons(TrailingStopExitMixin, params, bars_from_closes(closes), direction=direction, entry_bar=0)
    assert found == expected


def test_prices_from_before_the_entry_do_not_trail():
    closes = [100.0, 500.0, 500.0, 500.0, 100.0]
    bars = bars_from_closes(closes)
    bars.open[4] = 100.0
    params = TrailingStopExitMixin.Params(x_trail_pct=10.0)
    assert reasons(TrailingStopExitMixin, params, bars, entry_bar=3) == ["hold"]


RULES = [
    (RSIBBExitMixin, RSIBBExitMixin.Params(x_bb_period=20)),
    (ATRExitMixin, ATRExitMixin.Params(x_atr_multiplier=2.0)),
    (TrailingStopExitMixin, TrailingStopExitMixin.Params(x_trail_pct=6.0)),
    (TimeBasedExitMixin, TimeBasedExitMixin.Params(x_max_bars=90)),
    (FixedRatioExitMixin, FixedRatioExitMixin.Params(x_take_profit_pct=6.0, x_stop_loss_pct=3.0)),
]
every_exit = pytest.mark.parametrize(("rule", "params"), RULES, ids=[rule.__name__ for rule, _ in RULES])


@both_modes
@both_sides
@every_exit
def test_a_rule_born_in_the_middle_of_a_trade_answers_as_one_that_saw_it_all(rule, params, direction, runonce):
    how = {"direction": direction, "runonce": runonce, "other": random_bars(300, seed=9)}
    whole = reasons(rule, params, **how)
    assert reasons(rule, params, ask_from=ENTRY + 50, **how) == whole[49:]
    assert len(set(whole)) > 1


@both_sides
def test_a_restart_with_little_history_trails_what_it_has(direction):
    params = TrailingStopExitMixin.Params(x_trail_pct=6.0)
    bars = bars_from_closes([100.0, 101.0, 102.0, 99.0, 98.0, 97.0])
    view = {"bars_held": 500, "entry_bar": 0, "direction": direction}
    answers = run(LongHeldTrailingStop, params, bars, **{k: view[k] for k in ("entry_bar", "direction")}).answers
    assert [answer.reason for answer in answers.values()] == ["hold"] * 5


class LongHeldTrailingStop(TrailingStopExitMixin):
    """Sees a position held for longer than the history goes back."""

    def __init__(self, params, view):
        super().__init__(params, LongHeld(view))


class LongHeld:
    bars_held = 500

    def __init__(self, view):
        self._view = view

    def __getattr__(self, name):
        return getattr(self._view, name)


@both_modes
@pytest.mark.parametrize(("rule", "params"), [RULES[0], RULES[1]], ids=["RSIBBExitMixin", "ATRExitMixin"])
def test_a_short_in_the_mirror_is_a_long(rule, params, runonce):
    about = 128.0  # a power of two, so that mirroring loses no bit that matters
    bars = BARS.cut(0, 250)
    mirrored = bars.mirrored(about)
    long = reasons(rule, params, bars, direction=LONG, runonce=runonce)
    assert reasons(rule, params, mirrored, direction=SHORT, runonce=runonce) == long
    assert len(set(long)) > 1


@pytest.mark.parametrize(("held", "reason"), [(1, "hold"), (47, "hold"), (48, "time"), (49, "time")])
def test_time_is_up_after_so_many_bars(held, reason):
    answer = TimeBasedExitMixin(TimeBasedExitMixin.Params(), FakeView(bars_held=held)).decide()
    assert (answer.leave, answer.reason) == (reason == "time", reason)


def ratio(view: dict, **params) -> str:
    return FixedRatioExitMixin(FixedRatioExitMixin.Params(**params), FakeView(**view)).decide().reason


@pytest.mark.parametrize(
    ("direction", "price_a", "price_b", "reason"),
    [
        # 2 at 100 against 2 at 50: a notional of 300, so that 30 is ten per cent and 15 is five.
        (LONG, 115.0, 50.0, "take_profit"),
        (LONG, 114.9, 50.0, "hold"),
        (LONG, 100.0, 35.0, "take_profit"),
        (LONG, 92.5, 50.0, "stop_loss"),
        (LONG, 92.6, 50.0, "hold"),
        (LONG, 110.0, 60.0, "hold"),
        (SHORT, 85.0, 50.0, "take_profit"),
        (SHORT, 107.5, 50.0, "stop_loss"),
        (SHORT, 100.0, 42.5, "stop_loss"),
        (LONG, math.nan, 50.0, "not_ready"),
        (LONG, 115.0, math.nan, "not_ready"),
    ],
)
def test_a_fixed_ratio_counts_both_legs_of_a_pair(direction, price_a, price_b, reason):
    assert ratio({"position": position(direction), "price_a": price_a, "price_b": price_b}) == reason


@pytest.mark.parametrize(
    ("direction", "price", "reason"),
    [
        (LONG, 110.0, "take_profit"),
        (LONG, 95.0, "stop_loss"),
        (LONG, 109.9, "hold"),
        (SHORT, 90.0, "take_profit"),
        (SHORT, 105.0, "stop_loss"),
        (SHORT, 104.9, "hold"),
    ],
)
def test_a_fixed_ratio_serves_one_symbol(direction, price, reason):
    one = {"pair": Pair("A", "A/USDT", None), "price_b": math.nan, "price_a": price}
    assert ratio(one | {"position": position(direction, prices=(100.0,))}) == reason


def test_either_side_of_a_fixed_ratio_can_be_switched_off():
    held = {"position": position(LONG)}
    assert ratio(held | {"price_a": 500.0}, x_take_profit_pct=0.0) == "hold"
    assert ratio(held | {"price_a": 1.0}, x_stop_loss_pct=0.0) == "hold"
    assert ratio(held, x_take_profit_pct=0.0, x_stop_loss_pct=0.0) == "hold"


def test_a_fixed_ratio_of_nothing_is_unknown():
    assert ratio({}) == "not_ready"
    assert ratio({"position": replace(position(LONG), gross_notional=0.0)}) == "not_ready"
    assert ratio({"position": replace(position(LONG), gross_notional=math.nan)}) == "not_ready"


@both_modes
@pytest.mark.parametrize(("rule", "params"), RULES[:3], ids=["RSIBBExitMixin", "ATRExitMixin", "TrailingStopExitMixin"])
def test_an_unknown_close_holds(rule, params, runonce):
    closes = BARS.close.copy()
    closes[ENTRY + 5] = math.nan
    assert reasons(rule, params, bars_from_closes(closes), runonce=runonce)[4] == "not_ready"


@both_modes
@pytest.mark.parametrize(
    ("rule", "params"),
    [
        (RSIBBExitMixin, RSIBBExitMixin.Params()),
        (RSIBBExitMixin, RSIBBExitMixin.Params(x_bb_period=40)),
        (ATRExitMixin, ATRExitMixin.Params(x_atr_period=25)),
    ],
)
def test_an_exit_is_ready_after_the_warm_up_that_it_tells(rule, params, runonce):
    flat = bars_from_closes(np.linspace(100.0, 100.5, 60), wick=5.0)
    asked = run(rule, params, flat, runonce=runonce)
    ready = [bar for bar, answer in asked.answers.items() if answer.reason != "not_ready"]
    assert asked.first_next == rule.warmup_bars(params)
    assert ready[0] + 1 <= rule.warmup_bars(params) or params == RSIBBExitMixin.Params()
