"""What holds for each registered rule, whatever it looks at."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace

import numpy as np
import pytest

from mixins import base, exits, lines, params, registry, rsi_entries, supertrend, zscore
from mixins.params import parameters
from mixins.registry import ENTRY_RULES, EXIT_RULES
from pairs.words import Direction
from tests.mixins.harness import Bars, bars_from_closes, random_bars, run

RULES = {**ENTRY_RULES, **EXIT_RULES}
LIVELY = {
    "ZScoreEntryMixin": {"e_entry_z": 1.0},
    "ZScoreExitMixin": {"x_exit_z": 0.3, "x_stop_z": 3.0},
    "RSIBBEntryMixin": {"e_rsi_oversold": 45.0, "e_bb_dev": 1.0},
    "RSIBBVolumeEntryMixin": {"e_rsi_oversold": 45.0, "e_bb_dev": 1.0, "e_vol_factor": 0.8},
    "RSIIchimokuEntryMixin": {"e_rsi_oversold": 45.0, "e_rsi_lookback": 20, "e_senkou": 30, "e_senkou_lead": 10},
    "RSIVolumeSupertrendEntryMixin": {"e_rsi_oversold": 45.0, "e_vol_factor": 0.8},
    "RSIBBExitMixin": {"x_rsi_overbought": 55.0, "x_bb_period": 15},
    "ATRExitMixin": {"x_atr_multiplier": 1.5},
    "TrailingStopExitMixin": {"x_trail_pct": 4.0},
    "TimeBasedExitMixin": {"x_max_bars": 100},
    "FixedRatioExitMixin": {"x_take_profit_pct": 3.0, "x_stop_loss_pct": 2.0},
}
A, B = random_bars(260, seed=21), random_bars(260, seed=22)
ENTRY = 70
both_modes = pytest.mark.parametrize("runonce", [True, False], ids=["runonce", "next"])
every_rule = pytest.mark.parametrize("name", RULES)


def answers(name: str, a: Bars, b: Bars, *, runonce: bool = True, direction=Direction.LONG, **given) -> dict:
    rule = RULES[name]
    chosen = rule.Params(**(given or LIVELY[name]))
    return run(rule, chosen, a, other=b, runonce=runonce, direction=direction, entry_bar=min(ENTRY, len(a) - 2)).answers


@both_modes
@every_rule
def test_cutting_off_the_future_changes_no_past_answer(name, runonce):
    for direction in (Direction.LONG, Direction.SHORT):
        whole = answers(name, A, B, runonce=runonce, direction=direction)
        assert len({answer.reason for answer in whole.values()}) > 1
        for end in (ENTRY + 5, 131, 200, 259):
            cut = answers(name, A.cut(0, end), B.cut(0, end), runonce=runonce, direction=direction)
            assert cut == {bar: answer for bar, answer in whole.items() if bar < end}
            assert max(cut) == end - 1


@both_modes
@every_rule
def test_another_future_changes_no_past_answer(name, runonce):
    changed = Bars(
        *(np.concatenate((getattr(A, part)[:150], 3 * getattr(A, part)[150:])) for part in A.__annotations__)
    )
    before, after = answers(name, A, B, runonce=runonce), answers(name, changed, B, runonce=runonce)
    assert all(before[bar] == after[bar] for bar in before if bar < 150)


@every_rule
def test_both_of_backtraders_modes_give_the_same_answers(name):
    for direction in (Direction.LONG, Direction.SHORT):
        at_once = answers(name, A, B, runonce=True, direction=direction)
        assert at_once == answers(name, A, B, runonce=False, direction=direction)


@every_rule
def test_the_same_bars_give_the_same_answers(name):
    assert answers(name, A, B) == answers(name, A, B)


def hard_markets() -> dict[str, Bars]:
    closes = A.close.copy()
    closes[[3, 50, 51, 52, 120]] = np.nan
    holes = replace(bars_from_closes(closes), volume=np.where(np.isnan(closes), np.nan, 5.0))
    still = bars_from_closes(np.full(200, 0.1), wick=0.0, volume=np.zeros(200))
    return {
        "holes": holes,
        "nothing moves": still,
        "only up": bars_from_closes(np.linspace(1.0, 400.0, 200)),
        "only down": bars_from_closes(np.linspace(400.0, 1.0, 200)),
        "all unknown": bars_from_closes(np.full(150, np.nan)),
        "zero prices": bars_from_closes(np.zeros(120) + 1e-12, wick=0.0),
        "huge prices": bars_from_closes(1e15 * A.close),
    }


@both_modes
@every_rule
@pytest.mark.parametrize("market", hard_markets())
def test_no_market_makes_a_rule_raise(name, market, runonce):
    bars = hard_markets()[market]
    for direction in (Direction.LONG, Direction.SHORT):
        found = answers(name, bars, bars, runonce=runonce, direction=direction)
        assert found and all(answer.reason for answer in found.values())
        if market == "all unknown" and name != "TimeBasedExitMixin":
            assert {answer.reason for answer in found.values()} == {"not_ready"}


def extremes(each) -> tuple:
    limits = each.bounds
    if limits.choices is not None:
        return limits.choices
    lowest = limits.minimum if limits.minimum is not None else limits.above + 1e-9
    return (each.kind(lowest), each.kind(limits.maximum))


@every_rule
def test_every_value_inside_the_bounds_can_be_built_and_asked_on_short_data(name):
    for bars in (90, 2):
        for each in parameters(RULES[name].Params):
            for value in extremes(each):
                found = answers(name, A.cut(0, bars), B.cut(0, bars), runonce=False, **{each.name: value})
                assert len(found) > 0


@both_modes
@every_rule
def test_preloaded_data_may_be_as_short_as_the_warm_up_that_the_rule_tells(name, runonce):
    rule = RULES[name]
    bars = max(2, rule.warmup_bars(rule.Params(**LIVELY[name])))
    found = answers(name, A.cut(0, bars), B.cut(0, bars), runonce=runonce)
    assert max(found) == bars - 1


@every_rule
def test_every_rule_says_what_it_reads_and_what_it_decides(name):
    text = inspect.getdoc(RULES[name])
    assert text and "*Reads:*" in text
    assert {"decide", "warmup_bars"} & set(vars(RULES[name]))


@pytest.mark.parametrize("module", [base, exits, lines, params, registry, rsi_entries, supertrend, zscore])
def test_rules_import_neither_brokers_nor_configs_nor_the_clock(module):
    tree = ast.parse(inspect.getsource(module))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in names}
    allowed = {"__future__", "backtrader", "collections", "dataclasses", "datetime", "math", "mixins", "numpy", "pairs"}
    assert roots <= allowed | {"typing"} | ({"importlib", "os", "sys"} if module is registry else set())
