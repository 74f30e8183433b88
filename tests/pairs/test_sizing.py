"""Sizing: the right amount, never more than the limits, and nothing at all when in doubt."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs.sizing import (
    METHODS,
    NEUTRALITIES,
    PRICES,
    SizingInputs,
    SizingSpec,
    fraction_of_gross,
    gross_notional,
    split_gross,
)

ANY = st.floats(width=64)
MAYBE = st.none() | ANY
POSITIVE = st.floats(1e-6, 1e9)
EQUITY = 10_000.0


def test_fixed_is_the_users_word_exactly():
    assert gross_notional(SizingSpec(position_size=0.3), SizingInputs(EQUITY)) == 0.3 * EQUITY


def test_fixed_is_not_held_to_ten_per_cent_a_pair_but_to_the_leverage():
    assert gross_notional(SizingSpec(position_size=1.5), SizingInputs(EQUITY)) == 15_000.0
    assert gross_notional(SizingSpec(position_size=5.0), SizingInputs(EQUITY)) == 20_000.0


def test_risk_loses_the_risk_per_trade_when_the_stop_is_hit():
    spec = SizingSpec("risk", risk_per_trade=0.002)

    gross = gross_notional(spec, SizingInputs(EQUITY, stop_distance=0.04))

    assert gross * 0.04 == pytest.approx(0.002 * EQUITY)


def test_volatility_gives_every_pair_the_same_swing():
    spec = SizingSpec("volatility", target_volatility=0.0002)

    calm, wild = (gross_notional(spec, SizingInputs(EQUITY, spread_volatility=v)) for v in (0.004, 0.008))

    assert calm * 0.004 == pytest.approx(wild * 0.008) == pytest.approx(0.0002 * EQUITY)


def test_kelly_is_the_fraction_that_grows_fastest_shrunk():
    """Against the definition: the fraction f that maximises the mean log growth of a small symmetric bet."""
    up, down = 0.021, -0.019
    mean, deviation = (up + down) / 2.0, (up - down) / 2.0
    exact = -mean / (up * down)  # where the derivative of log(1 + f up) + log(1 + f down) is zero
    spec = SizingSpec("kelly", kelly_shrink=0.02, kelly_cap=1.0, max_pair_fraction=1.0)

    gross = gross_notional(spec, SizingInputs(EQUITY, expected_return=mean, return_volatility=deviation))

    assert gross == pytest.approx(0.02 * exact * EQUITY, rel=0.01)


def test_kelly_is_capped():
    spec = SizingSpec("kelly", kelly_cap=0.07)

    assert gross_notional(spec, SizingInputs(EQUITY, expected_return=0.01, return_volatility=0.01)) == 0.07 * EQUITY


@pytest.mark.parametrize("edge", [0.0, -0.01])
def test_kelly_without_an_edge_stays_out(edge):
    assert gross_notional(SizingSpec("kelly"), SizingInputs(EQUITY, expected_return=edge, return_volatility=0.01)) == 0


@pytest.mark.parametrize(
    ("method", "inputs"),
    [
        ("risk", {"stop_distance": 1e-9}),
        ("volatility", {"spread_volatility": 1e-9}),
        ("kelly", {"expected_return": 0.1, "return_volatility": 0.01}),
    ],
)
def test_every_method_but_fixed_is_held_to_ten_per_cent_a_pair(method, inputs):
    assert gross_notional(SizingSpec(method), SizingInputs(EQUITY, **inputs)) == 0.1 * EQUITY


@pytest.mark.parametrize("method", ["risk", "volatility", "kelly"])
def test_a_method_without_its_input_sizes_nothing(method):
    assert gross_notional(SizingSpec(method), SizingInputs(EQUITY)) == 0.0


def test_a_weak_signal_is_smaller_on_request_also_at_a_limit():
    asked, unasked = SizingSpec("risk", scale_by_strength=True), SizingSpec("risk")
    weak = SizingInputs(EQUITY, strength=0.25, stop_distance=0.001)

    assert gross_notional(asked, weak) == 250.0
    assert gross_notional(unasked, weak) == 1000.0


@pytest.mark.parametrize(
    ("strength", "gross"), [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (1.0, 1000.0), (7.0, 1000.0)]
)
def test_strength_is_taken_between_nothing_and_one(strength, gross):
    assert gross_notional(SizingSpec(scale_by_strength=True), SizingInputs(EQUITY, strength=strength)) == gross


@given(
    st.builds(
        SizingSpec,
        method=st.sampled_from(METHODS),
        position_size=ANY,
        risk_per_trade=ANY,
        target_volatility=ANY,
        kelly_shrink=ANY,
        kelly_cap=ANY,
        scale_by_strength=st.booleans(),
        max_pair_fraction=ANY,
        max_leverage=ANY,
    ),
    st.builds(
        SizingInputs,
        equity=ANY,
        strength=ANY,
        stop_distance=MAYBE,
        spread_volatility=MAYBE,
        expected_return=MAYBE,
        return_volatility=MAYBE,
    ),
)
@settings(deadline=None, max_examples=300)
def test_no_float_makes_a_gross_that_is_negative_unknown_or_over_its_limits(spec, inputs):
    gross = gross_notional(spec, inputs)

    assert math.isfinite(gross) and gross >= 0.0
    if gross:
        assert gross <= spec.max_leverage * inputs.equity
        assert spec.method == "fixed" or gross <= spec.max_pair_fraction * inputs.equity


@given(ANY, ANY, ANY, ANY, st.sampled_from(PRICES), st.sampled_from(NEUTRALITIES))
@settings(deadline=None, max_examples=300)
def test_no_float_makes_a_leg_that_is_negative_unknown_or_alone(gross, beta, price_a, price_b, prices, neutrality):
    legs = split_gross(gross, beta, price_a, price_b, prices=prices, neutrality=neutrality)

    assert all(math.isfinite(quantity) and quantity >= 0.0 for quantity in legs)
    assert (legs[0] > 0.0) == (legs[1] > 0.0)


@given(POSITIVE, st.floats(1e-3, 1e3), POSITIVE, POSITIVE, st.sampled_from(PRICES), st.sampled_from(NEUTRALITIES))
@settings(deadline=None, max_examples=100)
def test_the_legs_add_up_to_the_gross(gross, beta, price_a, price_b, prices, neutrality):
    quantity_a, quantity_b = split_gross(gross, beta, price_a, price_b, prices=prices, neutrality=neutrality)

    assert quantity_a * price_a + quantity_b * price_b == pytest.approx(gross, rel=1e-12)


@given(POSITIVE, st.floats(1e-3, 1e3), POSITIVE, POSITIVE)
@settings(deadline=None, max_examples=100)
def test_each_neutrality_keeps_its_own_ratio(gross, beta, price_a, price_b):
    def split(prices, neutrality):
        return split_gross(gross, beta, price_a, price_b, prices=prices, neutrality=neutrality)

    log_a, log_b = split("log", "beta")
    assert log_b * price_b == pytest.approx(beta * log_a * price_a, rel=1e-12)
    level_a, level_b = split("level", "beta")
    assert level_b == pytest.approx(beta * level_a, rel=1e-12)
    dollar_a, dollar_b = split("log", "dollar")
    assert dollar_a * price_a == pytest.approx(dollar_b * price_b, rel=1e-12)
    assert split("level", "dollar") == (dollar_a, dollar_b)


def test_a_negative_ratio_is_a_size_like_its_opposite():
    """Quantities are unsigned; which side leg B takes is the caller's to say."""
    legs = [split_gross(1000.0, beta, 10.0, 5.0, prices="log", neutrality="beta") for beta in (0.7, -0.7)]

    assert legs[0] == legs[1]


@pytest.mark.parametrize("prices", PRICES)
def test_fraction_of_gross_is_the_profit_of_the_legs(prices):
    """A spread that moves by a little, leg A alone moving, earns quantity times price change of A."""
    beta, price_a, price_b, move = 0.6, 100.0, 30.0, 1e-6
    quantity_a, _ = split_gross(1000.0, beta, price_a, price_b, prices=prices, neutrality="beta")
    moved = price_a * math.exp(move) if prices == "log" else price_a + move

    fraction = fraction_of_gross(move, beta, price_a, price_b, prices=prices)

    assert fraction == pytest.approx(quantity_a * (moved - price_a) / 1000.0, rel=1e-5)


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_fraction_of_gross_without_a_hedge_is_unknown(bad):
    assert math.isnan(fraction_of_gross(0.1, bad, 100.0, 10.0, prices="log"))


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="sizing method out of fixed, risk, kelly, volatility, found 'martingale'"):
        SizingSpec("martingale")
    with pytest.raises(ValueError, match="neutrality out of beta, dollar, found 'gamma'"):
        SizingSpec(neutrality="gamma")
    with pytest.raises(ValueError, match="neutrality out of"):
        split_gross(1.0, 1.0, 1.0, 1.0, prices="log", neutrality="gamma")
    with pytest.raises(ValueError, match="prices out of log, level, found 'ratio'"):
        split_gross(1.0, 1.0, 1.0, 1.0, prices="ratio", neutrality="beta")
    with pytest.raises(ValueError, match="prices out of"):
        fraction_of_gross(1.0, 1.0, 1.0, 1.0, prices="ratio")
