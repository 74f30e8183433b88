"""Decision tables of the z rules; every reason is reached."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixins.base import EntryAnswer, ExitMixin
from mixins.zscore import ZScoreEntryMixin, ZScoreEntryParams, ZScoreExitMixin, ZScoreExitParams
from pairs.costs import TradingCosts
from pairs.words import Direction, Pair, SpreadStatistics
from tests.mixins.harness import PAIR, STATISTICS, FakeView, position

LONG, SHORT = Direction.LONG, Direction.SHORT
CROSSED = {"zscore": 2.5, "previous_zscore": 1.5}
OWN_LEVELS = Pair("A_B", "A/USDT", "B/USDT", entry_z=3.0, stop_z=5.0)


def entry(params: dict | None = None, **view) -> EntryAnswer:
    return ZScoreEntryMixin(ZScoreEntryParams(**(params or {})), FakeView(**view)).decide()


def leave(params: dict | None = None, *, direction: Direction = SHORT, **view):
    rule = ZScoreExitMixin(ZScoreExitParams(**(params or {})), FakeView(position=position(direction), **view))
    answer = rule.decide()
    return answer.leave, answer.reason


@pytest.mark.parametrize(
    ("view", "direction", "reason"),
    [
        ({"zscore": 2.5, "previous_zscore": 1.5}, SHORT, "entry"),
        ({"zscore": -2.5, "previous_zscore": -1.5}, LONG, "entry"),
        ({"zscore": 2.0, "previous_zscore": 1.999}, SHORT, "entry"),
        ({"zscore": -2.0, "previous_zscore": -1.999}, LONG, "entry"),
        ({"zscore": 2.5, "previous_zscore": -3.0}, SHORT, "entry"),
        ({"zscore": math.nan, "previous_zscore": 1.5}, None, "not_ready"),
        ({"zscore": math.inf, "previous_zscore": 1.5}, None, "not_ready"),
        ({"statistics": None, **CROSSED}, None, "not_ready"),
        ({"zscore": 1.999, "previous_zscore": 1.5}, None, "below_entry"),
        ({"zscore": 0.0, "previous_zscore": 0.0}, None, "below_entry"),
        ({"zscore": 4.0, "previous_zscore": 1.5}, None, "beyond_stop"),
        ({"zscore": -4.0, "previous_zscore": -1.5}, None, "beyond_stop"),
        ({"zscore": 3.999, "previous_zscore": 1.5}, SHORT, "entry"),
        ({"zscore": 2.5, "previous_zscore": 2.0}, None, "no_fresh_crossing"),
        ({"zscore": -2.5, "previous_zscore": -2.0}, None, "no_fresh_crossing"),
        ({"zscore": 2.5, "previous_zscore": math.nan}, None, "no_fresh_crossing"),
        ({"statistics": replace(STATISTICS, hedge_ratio=0.0), **CROSSED}, None, "bad_hedge_ratio"),
        ({"statistics": replace(STATISTICS, hedge_ratio=-0.5), **CROSSED}, None, "bad_hedge_ratio"),
        ({"statistics": replace(STATISTICS, hedge_ratio=math.nan), **CROSSED}, None, "bad_hedge_ratio"),
        ({"statistics": replace(STATISTICS, hedge_ratio=math.inf), **CROSSED}, None, "bad_hedge_ratio"),
        ({"pair": OWN_LEVELS, **CROSSED}, None, "below_entry"),
        ({"pair": OWN_LEVELS, "zscore": 3.0, "previous_zscore": 2.5}, SHORT, "entry"),
    ],
)
def test_an_entry_gives_a_side_or_the_reason_against(view, direction, reason):
    answer = entry(**view)
    assert (answer.direction, answer.reason) == (direction, reason)


def test_an_entry_must_pay_for_its_round_trip():
    # Reversion of (2.5 - 0.5) * 0.02 = 0.04 against 2 * (1 + 0.8) * rate: break-even at a rate of 0.04 / 3.6.
    assert entry(costs=TradingCosts(fee_rate=0.99 * 0.04 / 3.6), **CROSSED).reason == "entry"
    assert entry(costs=TradingCosts(fee_rate=1.01 * 0.04 / 3.6), **CROSSED).reason == "edge_below_cost"


def test_the_wanted_edge_is_a_multiple_of_the_cost_and_zero_does_not_ask():
    costs = TradingCosts(fee_rate=0.6 * 0.04 / 3.6)
    assert entry({"e_min_edge": 1.6}, costs=costs, **CROSSED).reason == "entry"
    assert entry({"e_min_edge": 1.7}, costs=costs, **CROSSED).reason == "edge_below_cost"
    assert entry({"e_min_edge": 0.0}, costs=TradingCosts(fee_rate=1.0), **CROSSED).reason == "entry"


@pytest.mark.parametrize(("half_life", "bar_hours", "hours"), [(10.0, 4.0, 40.0), (None, 2.0, 48.0)])
def test_funding_is_expected_for_one_half_life_or_24_bars(half_life, bar_hours, hours):
    # Funding costs |1 - 0.8| * rate * hours / 8 against a reversion of 0.04.
    break_even = 0.04 / 0.2 / hours * 8
    held = {"half_life_bars": half_life, "bar_hours": bar_hours, **CROSSED}
    assert entry(costs=TradingCosts(funding_rate_8h=0.99 * break_even), **held).reason == "entry"
    assert entry(costs=TradingCosts(funding_rate_8h=1.01 * break_even), **held).reason == "edge_below_cost"


def test_an_unknown_price_never_pays():
    levels = replace(STATISTICS, prices="level")
    costs = TradingCosts(fee_rate=0.0001)
    assert entry(statistics=levels, price_a=math.nan, costs=costs, **CROSSED).reason == "edge_below_cost"


def test_strength_is_the_part_of_the_way_to_the_stop():
    assert entry(**CROSSED).strength == 2.5 / 4.0
    assert entry(stop_level=math.inf, **CROSSED).strength == 2.5 / 4.0  # twice the entry threshold
    assert entry(stop_level=math.inf, zscore=50.0, previous_zscore=0.0).strength == 1.0


def test_the_window_that_leaves_the_current_bar_out_needs_one_more_bar():
    exclusive = ZScoreEntryParams(e_window=50)
    assert ZScoreEntryMixin.warmup_bars(exclusive) == 51
    assert ZScoreEntryMixin.warmup_bars(replace(exclusive, e_statistics_window="inclusive")) == 50


@pytest.mark.parametrize(
    ("direction", "z", "expected"),
    [
        (SHORT, 4.0, (True, "stop")),
        (LONG, -4.0, (True, "stop")),
        (SHORT, 3.999, (False, "hold")),
        (LONG, -3.999, (False, "hold")),
        (SHORT, 0.5, (True, "reversion")),
        (LONG, -0.5, (True, "reversion")),
        (SHORT, -4.5, (True, "reversion")),
        (LONG, 4.5, (True, "reversion")),
        (SHORT, 0.501, (False, "hold")),
        (SHORT, math.nan, (False, "not_ready")),
        (LONG, math.inf, (False, "not_ready")),
        (SHORT, math.inf, (False, "not_ready")),
    ],
)
def test_an_exit_stops_reverts_or_holds(direction, z, expected):
    assert leave(direction=direction, frozen_zscore=z) == expected


@pytest.mark.parametrize(
    ("held", "half_life", "expected"),
    [(30, 10.0, True), (29, 10.0, False), (10_000, None, False), (31, 10.5, False), (32, 10.5, True)],
)
def test_an_exit_gives_up_after_some_half_lives(held, half_life, expected):
    answer = leave(frozen_zscore=1.5, bars_held=held, half_life_bars=half_life)
    assert answer == ((True, "half_life_timeout") if expected else (False, "hold"))


def test_the_timeout_can_be_switched_off():
    assert leave({"x_max_half_lives": 0.0}, frozen_zscore=1.5, bars_held=999, half_life_bars=1.0) == (False, "hold")


def test_a_stop_goes_before_reversion_and_both_before_the_timeout():
    late = {"bars_held": 99, "half_life_bars": 1.0}
    assert leave(frozen_zscore=4.5, **late) == (True, "stop")
    assert leave(frozen_zscore=0.1, **late) == (True, "reversion")
    assert leave({"x_exit_z": 5.0, "x_stop_z": 4.0}, frozen_zscore=4.5) == (True, "stop")


def test_exits_read_the_frozen_z_unless_told_to_roll():
    both = {"frozen_zscore": 4.5, "zscore": 0.1}
    assert leave(**both) == (True, "stop")
    assert leave({"x_statistics": "rolling"}, **both) == (True, "reversion")


def test_an_exit_without_a_position_has_nothing_to_leave():
    answer = ZScoreExitMixin(ZScoreExitParams(), FakeView(frozen_zscore=4.5)).decide()
    assert (answer.leave, answer.reason) == (False, "not_ready")


def test_a_pair_brings_its_own_stop_and_the_rule_its_cooldown():
    own = ZScoreExitMixin(ZScoreExitParams(x_cooldown_bars=7), FakeView(pair=OWN_LEVELS))
    assert (own.exit_level, own.stop_level, own.cooldown_bars) == (0.5, 5.0, 7)
    assert ZScoreExitMixin(ZScoreExitParams(), FakeView(pair=PAIR)).stop_level == 4.0


@pytest.mark.parametrize(("z", "calm"), [(0.5, True), (-0.5, True), (0.51, False), (math.nan, False)])
def test_calm_means_that_the_rolling_z_is_back(z, calm):
    assert ZScoreExitMixin(ZScoreExitParams(), FakeView(zscore=z, frozen_zscore=9.0)).is_calm() is calm


z_values = st.one_of(st.floats(-6, 6), st.sampled_from([math.nan, math.inf, -math.inf, 2.0, -2.0, 4.0, -4.0, 0.5]))


@given(z=z_values, previous=z_values, fee=st.floats(0, 0.02), half_life=st.one_of(st.none(), st.floats(0, 100)))
def test_entries_are_pure_and_mirror(z, previous, fee, half_life):
    shared = {"costs": TradingCosts(fee_rate=fee, funding_rate_8h=fee), "half_life_bars": half_life}
    answer = entry(zscore=z, previous_zscore=previous, **shared)
    mirrored = entry(zscore=-z, previous_zscore=-previous, **shared)
    assert answer == entry(zscore=z, previous_zscore=previous, **shared)
    assert (answer.reason, answer.strength) == (mirrored.reason, mirrored.strength)
    assert {answer.direction, mirrored.direction} in ({None}, {LONG, SHORT})
    assert 0.0 <= answer.strength <= 1.0
    assert (answer.direction is not None) == (answer.reason == "entry") == (answer.strength > 0)


@given(z=z_values, held=st.integers(0, 200), half_life=st.one_of(st.none(), st.floats(0.1, 100)))
def test_exits_are_pure_and_mirror(z, held, half_life):
    shared = {"bars_held": held, "half_life_bars": half_life}
    answer = leave(direction=SHORT, frozen_zscore=z, **shared)
    assert answer == leave(direction=SHORT, frozen_zscore=z, **shared)
    assert answer == leave(direction=LONG, frozen_zscore=-z, **shared)


@given(b=st.floats(allow_nan=True), deviation=st.floats(allow_nan=True))
def test_no_statistics_make_an_entry_raise(b, deviation):
    odd = SpreadStatistics(hedge_ratio=b, intercept=0.0, mean=0.0, std=deviation)
    answer = entry(statistics=odd, costs=TradingCosts(0.0005, 0.0001, 0.0001), **CROSSED)
    assert answer.direction is None or (b > 0 and deviation > 0)


@pytest.mark.parametrize(
    ("pair", "params", "level"),
    [
        (PAIR, {}, 4.0),
        (OWN_LEVELS, {}, 5.0),
        (PAIR, {"x_stop_z": 6.0}, 6.0),
        (PAIR, {"x_statistics": "rolling"}, math.inf),
    ],
)
def test_a_stop_by_frozen_statistics_can_be_watched_between_bars(pair, params, level):
    assert ZScoreExitMixin.frozen_stop(ZScoreExitParams(**params), pair) == level


def test_an_engine_that_is_left_alone_watches_the_stop_of_a_rolling_rule_too():
    assert ZScoreExitMixin.stop_alone(ZScoreExitParams(x_statistics="rolling"), OWN_LEVELS) == 5.0
    assert ExitMixin.stop_alone(None, PAIR) == math.inf
