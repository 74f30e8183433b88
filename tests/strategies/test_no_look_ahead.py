"""Cutting off the future changes no past decision and no past order: every registered rule, in the real strategies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixins.registry import ENTRY_RULES, EXIT_RULES
from pairs.words import HedgeSpec, Pair
from strategies.custom_strategy import CustomStrategy
from strategies.pair_strategy import PairStrategy
from tests.mixins.test_every_rule import LIVELY
from tests.strategies.harness import PAIR, SINGLE, EnterAlways, FakePairBroker, Spy, at, cointegrated, plan, run, spec

BARS = 260
LEGS = cointegrated(BARS, 4)
WARM = 100
HEDGES = ("fixed", "ols", "tls", "johansen", "kalman")


def rules_for(*markets: str) -> list[dict[str, Any]]:
    """Every registered entry with the first exit that serves the market, every exit with the first entry."""
    entries = [(name, rule) for name, rule in ENTRY_RULES.items() if rule.market in markets]
    exits = [(name, rule) for name, rule in EXIT_RULES.items() if rule.market in markets]
    combined = [(entry, exits[0]) for entry in entries] + [(entries[0], leave) for leave in exits[1:]]
    return [
        {"entry": spec(entry, **LIVELY[entry_name]), "exit": spec(leave, **LIVELY[exit_name])}
        for (entry_name, entry), (exit_name, leave) in combined
    ]


def named(rules: Any) -> str:
    return f"{rules['entry'].name}-{rules['exit'].name}" if isinstance(rules, dict) else str(rules)


PAIR_RULES, SINGLE_RULES = rules_for("pair", "any"), rules_for("single", "any")


def told(kind: type, pair: Pair, rules: dict[str, Any], legs: Any, **cerebro: Any) -> tuple[list[str], list[Any]]:
    """Every decision with the z it was made on, and every order, of one run over these bars."""
    spy, broker = Spy(), FakePairBroker()
    run(kind, plan(pair, **rules), legs, spy=spy, broker=broker, **cerebro)
    return [f"{seen} {seen.zscore!r} {seen.prices!r}" for seen in spy.decisions], broker.orders


def check(kind: type, pair: Pair, rules: dict[str, Any], cuts: Any) -> None:
    legs = LEGS[: len(pair.symbols)]
    decisions, orders = told(kind, pair, rules, legs)
    assert len(orders) > 1
    for cut in cuts:
        for runonce in (True, False):
            known = tuple(leg.slice(0, cut) for leg in legs)
            past, sent = told(kind, pair, rules, known, runonce=runonce, preload=runonce)
            assert past == decisions[:cut]
            assert sent == [order for order in orders if order.decided_at <= at(cut)]


@pytest.mark.parametrize("rules", PAIR_RULES, ids=named)
def test_pair_rules_decide_on_the_past_alone(rules):
    check(PairStrategy, PAIR, rules, (WARM, 157, BARS - 1))


@pytest.mark.parametrize("method", HEDGES)
def test_every_hedge_decides_on_the_past_alone(method):
    hedge = HedgeSpec(method, window=60, refit_every=10, ratio=1.0 if method == "fixed" else None)
    check(PairStrategy, Pair("A_B", "AUSDT", "BUSDT", hedge), PAIR_RULES[0], (WARM, 157, BARS - 1))


@pytest.mark.parametrize("rules", SINGLE_RULES, ids=named)
def test_single_rules_decide_on_the_past_alone(rules):
    check(CustomStrategy, SINGLE, rules, (WARM, 157, BARS - 1))


@given(st.sampled_from(PAIR_RULES + SINGLE_RULES), st.integers(WARM, BARS))
@settings(deadline=None, max_examples=15)
def test_wherever_the_future_is_cut_off_the_past_stays(rules, cut):
    if rules in PAIR_RULES:
        check(PairStrategy, PAIR, rules, (cut,))
    else:
        check(CustomStrategy, SINGLE, rules, (cut,))


def test_every_registered_rule_is_among_them():
    tried = {rules[which].name for rules in PAIR_RULES + SINGLE_RULES for which in ("entry", "exit")}
    assert tried == set(ENTRY_RULES) | set(EXIT_RULES)


class Oracle(EnterAlways):
    """Looks one bar ahead in the preloaded array: what the tests above must catch."""

    def decide(self):
        closes = np.array(self.view.data.close.array)
        ahead = closes[len(self.view.data) : len(self.view.data) + 1]
        answer = super().decide()
        return answer if len(ahead) and ahead[0] > closes[len(self.view.data) - 1] else type(answer)(None, 0.0, "no")


def test_a_rule_that_looks_ahead_is_caught():
    with pytest.raises(AssertionError):
        check(PairStrategy, PAIR, PAIR_RULES[0] | {"entry": spec(Oracle)}, (WARM, 101, 102, 103, 104))
