"""The one-symbol entries against indicators computed apart, in both of Backtrader's modes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mixins.registry import ENTRY_RULES
from pairs.words import Direction
from tests.mixins import reference
from tests.mixins.harness import Bars, bars_from_closes, random_bars, run

BARS = random_bars(500, seed=4)
both_modes = pytest.mark.parametrize("runonce", [True, False], ids=["runonce", "next"])


def lowest(values: np.ndarray, period: int) -> np.ndarray:
    """The lowest known value of the last ``period``, this one included."""
    return np.array([np.fmin.reduce(values[max(0, i - period + 1) : i + 1]) for i in range(len(values))])


def judge(index: np.ndarray, oversold: float, checks: list[tuple[np.ndarray, str]], known: list[np.ndarray]):
    """Per bar (reason, strength): not_ready, then the index, then the first check that fails."""
    for i in range(len(index)):
        if not all(math.isfinite(values[i]) for values in (index, *known)):
            yield "not_ready", 0.0
        elif index[i] > oversold:
            yield "rsi_not_oversold", 0.0
        else:
            failed = [reason for passed, reason in checks if not passed[i]]
            yield (failed[0], 0.0) if failed else ("entry", 0.5 + 0.5 * (oversold - index[i]) / oversold)


def expected_bb(bars: Bars, p):
    index, (lower, _) = (
        reference.rsi(bars.close, p.e_rsi_period),
        reference.bollinger(bars.close, p.e_bb_period, p.e_bb_dev),
    )
    return index, [(bars.close <= lower, "above_lower_band")], [lower]


def volume_check(bars: Bars, p):
    usual = reference.rolling(bars.volume, p.e_vol_period, np.mean)
    return (bars.volume > p.e_vol_factor * usual, "volume_too_low"), usual


def expected_bb_volume(bars: Bars, p):
    index, checks, known = expected_bb(bars, p)
    check, usual = volume_check(bars, p)
    return index, [*checks, check], [*known, usual]


def expected_ichimoku(bars: Bars, p):
    lines = reference.ichimoku(bars, p.e_tenkan, p.e_kijun, p.e_senkou, p.e_senkou_lead)
    tenkan, kijun, fast, slow = lines
    checks = [(bars.close > np.maximum(fast, slow), "below_cloud"), (tenkan > kijun, "tenkan_below_kijun")]
    return lowest(reference.rsi(bars.close, p.e_rsi_period), p.e_rsi_lookback), checks, list(lines)


def expected_supertrend(bars: Bars, p):
    _, direction = reference.supertrend(bars, p.e_st_period, p.e_st_multiplier)
    check, usual = volume_check(bars, p)
    index = lowest(reference.rsi(bars.close, p.e_rsi_period), p.e_rsi_lookback)
    return index, [(direction > 0, "supertrend_down"), check], [direction, usual]


CASES = {
    "RSIBBEntryMixin": (expected_bb, {"e_rsi_oversold": 40.0, "e_bb_period": 15, "e_bb_dev": 1.5}),
    "RSIBBVolumeEntryMixin": (
        expected_bb_volume,
        {"e_rsi_period": 10, "e_rsi_oversold": 40.0, "e_bb_dev": 1.2, "e_vol_period": 25, "e_vol_factor": 1.1},
    ),
    "RSIIchimokuEntryMixin": (
        expected_ichimoku,
        {
            "e_rsi_oversold": 40.0,
            "e_rsi_lookback": 40,
            "e_tenkan": 5,
            "e_kijun": 12,
            "e_senkou": 20,
            "e_senkou_lead": 9,
        },
    ),
    "RSIVolumeSupertrendEntryMixin": (
        expected_supertrend,
        {"e_rsi_period": 9, "e_rsi_oversold": 35.0, "e_rsi_lookback": 15, "e_st_period": 8, "e_st_multiplier": 2.0},
    ),
}


@both_modes
@pytest.mark.parametrize("name", CASES)
def test_an_entry_decides_as_its_definition_computed_apart(name, runonce):
    rule = ENTRY_RULES[name]
    expectation, given = CASES[name]
    params = rule.Params(**given)
    index, checks, known = expectation(BARS, params)
    expected = list(judge(index, params.e_rsi_oversold, checks, known))
    answers = list(run(rule, params, BARS, runonce=runonce).answers.values())

    assert [answer.reason for answer in answers] == [reason for reason, _ in expected]
    np.testing.assert_allclose(
        [answer.strength for answer in answers], [strength for _, strength in expected], rtol=1e-9
    )
    assert {answer.direction for answer in answers if answer.reason == "entry"} == {Direction.LONG}
    assert {answer.direction for answer in answers if answer.reason != "entry"} == {None}
    assert {answer.reason for answer in answers} == {"not_ready", "rsi_not_oversold", "entry"} | {r for _, r in checks}


@both_modes
@pytest.mark.parametrize("name", CASES)
def test_the_first_answer_comes_after_the_warm_up_that_the_rule_tells(name, runonce):
    rule = ENTRY_RULES[name]
    for given in ({}, CASES[name][1], {"e_rsi_period": 60}):
        params = rule.Params(**given)
        asked = run(rule, params, BARS.cut(0, 120), runonce=runonce)
        ready = [bar for bar, answer in asked.answers.items() if answer.reason != "not_ready"]
        assert ready[0] + 1 == rule.warmup_bars(params) == asked.first_next


@both_modes
@pytest.mark.parametrize("name", ["RSIBBVolumeEntryMixin", "RSIVolumeSupertrendEntryMixin"])
def test_a_market_without_volume_never_passes_a_volume_rule(name, runonce):
    silent = bars_from_closes(BARS.close, volume=np.zeros(len(BARS)))
    rule = ENTRY_RULES[name]
    reasons = {
        answer.reason for answer in run(rule, rule.Params(**CASES[name][1]), silent, runonce=runonce).answers.values()
    }
    assert "volume_too_low" in reasons and "entry" not in reasons


def test_a_market_that_only_falls_is_as_oversold_as_can_be():
    rule = ENTRY_RULES["RSIBBEntryMixin"]
    closes = np.concatenate((np.full(30, 100.0), [99.0, 95.0, 80.0]))
    last = run(rule, rule.Params(), bars_from_closes(closes)).answers[32]
    assert (last.direction, last.reason, last.strength) == (Direction.LONG, "entry", 1.0)
