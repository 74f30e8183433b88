"""From an answer to two legs on the venue's steps, or the reason why not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixins.base import EntryAnswer
from pairs.costs import TradingCosts
from pairs.sizing import METHODS, NEUTRALITIES, SizingSpec, gross_notional
from pairs.words import Direction, SpreadStatistics
from strategies.sizing import MAX_HEDGE_ERROR, _inputs, entry_legs
from tests.mixins.harness import FakeView
from tests.strategies.harness import PAIR, SINGLE, market, plan

LONG, SHORT = EntryAnswer(Direction.LONG, 1.0, "entry"), EntryAnswer(Direction.SHORT, 1.0, "entry")
STATISTICS = SpreadStatistics(hedge_ratio=0.5, intercept=0.0, mean=0.0, std=0.02)


@dataclass
class View(FakeView):
    volatility: float = 0.01

    def change_volatility(self) -> float:
        return self.volatility


def view(**changes: Any) -> View:
    return View(**({"pair": PAIR, "statistics": STATISTICS, "zscore": -2.0, "price_b": 50.0} | changes))


def single_view(**changes: Any) -> View:
    return view(pair=SINGLE, statistics=None, zscore=math.nan, price_b=math.nan, **changes)


def legs_of(answer: EntryAnswer = LONG, equity: float = 10_000.0, **changes: Any) -> tuple:
    seen = changes.pop("view", None) or view()
    return entry_legs(plan(seen.pair, **changes), seen, answer, equity)


def markets(step_a: str = "0.0001", step_b: str = "0.0001", **rules: str) -> dict[str, Any]:
    return {"AUSDT": market("AUSDT", step=step_a, **rules), "BUSDT": market("BUSDT", step=step_b, **rules)}


def test_beta_neutral_legs_split_the_gross_by_the_hedge_ratio():
    (a, b), reason = legs_of()
    assert reason is None
    assert (a.symbol, b.symbol, a.reference_price, b.reference_price) == ("AUSDT", "BUSDT", 100.0, 50.0)
    assert float(a.quantity) * 100.0 == pytest.approx(666.66, abs=0.02)
    assert float(b.quantity) * 50.0 == pytest.approx(-333.33, abs=0.02)


def test_dollar_neutral_legs_are_equal_in_money():
    (a, b), _ = legs_of(sizing=SizingSpec(neutrality="dollar"))
    assert (a.quantity, b.quantity) == (Decimal(5), Decimal(-10))


def test_a_hedge_in_levels_is_a_ratio_of_quantities():
    levels = SpreadStatistics(hedge_ratio=0.5, intercept=0.0, mean=0.0, std=2.0, prices="level")
    (a, b), _ = legs_of(view=view(statistics=levels))
    assert (a.quantity, b.quantity) == (Decimal(8), Decimal(-4))


def test_a_short_pair_is_the_long_one_turned_round():
    (long_a, long_b), _ = legs_of(LONG)
    (short_a, short_b), _ = legs_of(SHORT)
    assert (short_a.quantity, short_b.quantity) == (-long_a.quantity, -long_b.quantity)


def test_one_symbol_gets_the_whole_gross_on_one_leg():
    (leg,), reason = legs_of(view=single_view())
    assert (leg.quantity, reason) == (Decimal(10), None)


def test_quantities_lie_on_the_venues_steps_and_the_finer_leg_follows_the_coarser():
    (a, b), reason = legs_of(markets=markets("1", "0.001"), sizing=SizingSpec(neutrality="dollar", position_size=0.15))
    assert reason is None
    assert (a.quantity, b.quantity) == (Decimal(7), Decimal(-14))


def test_a_leg_that_rounds_to_whole_steps_loses_none_of_them_on_the_way():
    """Scaled down and up again, 1 may become 0.999…: the leg would be a step short, here the whole of it."""
    for hundredths in range(101, 200):
        size = SizingSpec(neutrality="dollar", position_size=2 * hundredths / 10_000.0)
        (a, b), reason = legs_of(markets=markets("1", "0.0001"), sizing=size)
        assert (a.quantity, reason) == (Decimal(1), None)
        assert float(b.quantity) == pytest.approx(-2.0, abs=2e-4)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (markets(min_notional="700"), "below_minimum:AUSDT"),
        (markets(min_notional="334"), "below_minimum:BUSDT"),
        (markets(min_amount="6.67"), "below_minimum:AUSDT"),
        (markets("10", "10"), "below_minimum:AUSDT"),
    ],
)
def test_a_leg_under_the_venues_minimum_refuses_the_pair(rules, reason):
    assert legs_of(markets=rules) == ((), reason)


def test_steps_that_are_too_coarse_for_the_ratio_refuse_the_pair():
    size = SizingSpec(position_size=0.31)
    assert legs_of(markets=markets("4", "4"), sizing=size)[1] is None
    assert legs_of(markets=markets("4", "7"), sizing=size) == ((), "rounding_breaks_hedge")


@pytest.mark.parametrize(
    ("sizing", "gross"),
    [
        (SizingSpec(position_size=0.2), 2000.0),
        (SizingSpec("risk", risk_per_trade=0.001), 375.0),
        (SizingSpec("volatility", target_volatility=0.0002), 300.0),
        (SizingSpec("kelly", kelly_shrink=0.0005), 562.5),
    ],
    ids=lambda value: getattr(value, "method", ""),
)
def test_every_method_sizes_by_its_own_measure(sizing, gross):
    """β = 0.5: a spread that moves is 2/3 as much of the gross; from z = 2 it is 0.04 to the stop, 0.03 to the exit."""
    (a, b), reason = legs_of(sizing=sizing)
    assert reason is None
    assert sum(abs(float(leg.quantity)) * leg.reference_price for leg in (a, b)) == pytest.approx(gross, rel=1e-3)


def test_costs_come_off_the_expected_return_and_can_leave_nothing_to_bet_on():
    kelly = SizingSpec("kelly")
    assert legs_of(sizing=kelly)[1] is None
    dear = view(costs=TradingCosts(fee_rate=0.02))
    assert legs_of(view=dear, sizing=kelly) == ((), "size_is_zero")


def test_the_nearer_of_the_two_stops_is_what_risk_is_measured_by():
    risk = SizingSpec("risk", risk_per_trade=0.0001)
    (tight, _), _ = legs_of(sizing=risk, stop_distance=0.01)
    (loose, _), _ = legs_of(sizing=risk, stop_distance=0.5)
    (only_z, _), _ = legs_of(sizing=risk)
    assert tight.quantity > loose.quantity == only_z.quantity


def test_a_weak_signal_is_smaller_on_request():
    weak = EntryAnswer(Direction.LONG, 0.25, "entry")
    (full, _), _ = legs_of(weak)
    (scaled, _), _ = legs_of(weak, sizing=SizingSpec(scale_by_strength=True))
    assert float(scaled.quantity / full.quantity) == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("equity", [0.0, -5.0, math.nan])
def test_without_equity_there_is_nothing_to_size(equity):
    assert legs_of(equity=equity) == ((), "size_is_zero")


@pytest.mark.parametrize("ratio", [0.0, math.nan, math.inf])
def test_a_hedge_that_is_unknown_is_no_order_and_no_crash(ratio):
    unknown = SpreadStatistics(ratio, 0.0, 0.0, 0.02)
    assert legs_of(view=view(statistics=unknown)) == ((), "size_is_zero")


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, 5e-324])
def test_a_price_that_is_unusable_is_no_order_and_no_crash(price):
    assert legs_of(view=view(price_a=price)) == ((), "size_is_zero")
    assert legs_of(view=single_view(price_a=price)) == ((), "size_is_zero")


numbers = st.one_of(
    st.floats(1e-6, 1e6),
    st.sampled_from([0.0, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1e308, 1e-12]),
)
steps = st.sampled_from(["0.00001", "0.001", "0.1", "1", "7", "1000"])


@given(
    st.sampled_from(METHODS),
    st.sampled_from(NEUTRALITIES),
    st.sampled_from(["log", "level"]),
    st.tuples(steps, steps),
    st.tuples(numbers, numbers, numbers, numbers, numbers),
    st.sampled_from([LONG, SHORT, EntryAnswer(Direction.LONG, math.nan, "entry")]),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None, max_examples=400)
def test_whatever_comes_in_the_answer_is_a_hedged_pair_or_a_reason(
    method, neutrality, prices, step, values, answer, is_single, by_strength
):
    price_a, price_b, ratio, std, equity = values
    statistics = None if is_single else SpreadStatistics(ratio, 0.0, 0.0, std, prices)
    pair = SINGLE if is_single else PAIR
    seen = view(pair=pair, statistics=statistics, price_a=price_a, price_b=price_b, volatility=std)
    made = plan(pair, sizing=SizingSpec(method, neutrality, scale_by_strength=by_strength), markets=markets(*step))
    legs, reason = entry_legs(made, seen, answer, equity)
    assert bool(legs) != bool(reason)
    if not legs:
        return
    wanted = gross_notional(made.sizing, _inputs(made, seen, answer, equity))
    gross = sum(abs(float(leg.quantity)) * leg.reference_price for leg in legs)
    assert 0.0 < gross <= wanted * (1.0 + 1e-9)
    assert len(legs) == len(pair.symbols)
    for leg in legs:
        rules = made.markets[leg.symbol]
        assert (leg.quantity / rules.amount_step).to_integral_value() * rules.amount_step == leg.quantity
        assert rules.shortfall(leg.quantity, Decimal(repr(leg.reference_price))) is None
    assert legs[0].quantity * answer.direction.sign > 0
    if not is_single:
        assert legs[1].quantity * legs[0].quantity < 0
        notionals = [abs(float(leg.quantity)) * leg.reference_price for leg in legs]
        weight = {"dollar": 1.0, "log": abs(ratio), "level": abs(ratio) * price_b / price_a}
        exact = weight["dollar" if neutrality == "dollar" else prices]
        assert notionals[0] * exact / notionals[1] == pytest.approx(1.0, abs=MAX_HEDGE_ERROR * 1.06)
