"""Caps hold even if every order that is under way fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairs.words import Approved, PairState
from tests.trading.risk.positions import NOON, entry, holding
from trading.risk.exposure import Exposure
from trading.risk_guard import RiskGuard, RiskLimits

EQUITY = 10_000.0
PRICES = {"A": 100.0, "B": 50.0, "C": 20.0}
PAIRS = {"A_B": ("A", "B"), "A_C": ("A", "C"), "B_C": ("B", "C"), "C_A": ("C", "A")}
LIMITS = RiskLimits(
    max_positions=3, max_exposure=0.8, max_pair_exposure=0.5, max_drawdown_pct=None, max_daily_loss_pct=None,
    min_liquidation_distance_pct=120.0,
)  # fmt: skip


@dataclass
class Books:
    """What the exchange may hold: per pair the order, and the share of each leg that has filled."""

    guard: RiskGuard = field(default_factory=lambda: RiskGuard(LIMITS, EQUITY))
    legs: dict[str, dict[str, float]] = field(default_factory=dict)
    shares: dict[str, list[float]] = field(default_factory=dict)
    states: dict[str, PairState] = field(default_factory=dict)
    hours: int = 0

    def ask(self, pair: str, notionals: tuple[float, float]) -> None:
        first, second = PAIRS[pair]
        legs = {first: notionals[0] / PRICES[first], second: -notionals[1] / PRICES[second]}
        if isinstance(self.guard.check(entry(pair, legs, PRICES)), Approved):
            assert pair not in self.legs, "entered twice"
            self.legs[pair], self.shares[pair], self.states[pair] = legs, [0.0, 0.0], PairState.ENTERING

    def fill(self, pair: str, shares: tuple[float, float]) -> None:
        if self.states.get(pair) is PairState.ENTERING:
            self.shares[pair] = [max(*both) for both in zip(self.shares[pair], shares, strict=True)]

    def become(self, pair: str, state: PairState) -> None:
        """An entry that opened orders no more than it holds."""
        if pair in self.legs:
            self.states[pair] = state
            if state is PairState.OPEN:
                self.legs[pair], self.shares[pair] = self.held(pair), [1.0, 1.0]

    def forget(self, pair: str) -> None:
        """Nothing of it fills any more."""
        if self.legs.pop(pair, None):
            self.guard.release(pair)
            del self.shares[pair], self.states[pair]

    def leave(self, pair: str) -> None:
        if self.legs.pop(pair, None):
            self.guard.pair_left(pair, "reversion", NOON)
            del self.shares[pair], self.states[pair]

    def mark(self) -> None:
        self.hours += 1
        self.guard.on_bar(NOON + timedelta(minutes=self.hours), EQUITY, self.positions(), PRICES)

    def positions(self) -> dict:
        return {pair: holding(pair, self.held(pair), PRICES, self.states[pair]) for pair in self.legs}

    def held(self, pair: str) -> dict[str, float]:
        return {
            symbol: amount * share
            for (symbol, amount), share in zip(self.legs[pair].items(), self.shares[pair], strict=True)
        }

    def worst_case(self, pair: str) -> float:
        """Everything that was ordered and may still fill, or has."""
        return sum(abs(amount) * PRICES[symbol] for symbol, amount in self.legs[pair].items())


def steps() -> st.SearchStrategy[tuple]:
    pair, share = st.sampled_from(sorted(PAIRS)), st.floats(0.0, 1.0)
    notional = st.floats(1.0, 5_000.0)
    return st.one_of(
        st.tuples(st.just("ask"), pair, st.tuples(notional, notional)),
        st.tuples(st.just("fill"), pair, st.tuples(share, share)),
        st.tuples(st.just("become"), pair, st.sampled_from([PairState.HEDGING, PairState.OPEN, PairState.EXITING])),
        st.tuples(st.just("forget"), pair),
        st.tuples(st.just("leave"), pair),
        st.just(("mark",)),
    )


@given(st.lists(steps(), max_size=40))
def test_no_cap_is_ever_passed_whatever_fills_of_what_was_approved(script: list[tuple]) -> None:
    books = Books()
    for name, *arguments in script:
        getattr(books, name)(*arguments)
        worst = [books.worst_case(pair) for pair in books.legs]
        assert len(worst) <= 3
        assert sum(worst) <= 0.8 * EQUITY + 1e-6
        assert max(worst, default=0.0) <= 0.5 * EQUITY + 1e-6
        assert sum(worst) * 120.5 <= 100.0 * EQUITY + 1e-3, "the distance to liquidation"
        assert books.guard.gross_exposure >= sum(worst) - 1e-6
        by_symbol = books.guard.exposure.by_symbol()
        assert sum(by_symbol.values()) == pytest.approx(books.guard.gross_exposure)


@given(st.lists(steps(), max_size=40))
def test_nothing_stays_reserved_of_pairs_that_are_gone(script: list[tuple]) -> None:
    books = Books()
    for name, *arguments in script:
        getattr(books, name)(*arguments)
    for pair in list(books.legs):
        books.leave(pair)
    books.mark()
    assert (books.guard.gross_exposure, books.guard.exposure.pairs) == (0.0, frozenset())


def test_a_leg_that_filled_and_one_on_its_way_count_together() -> None:
    exposure, wanted = Exposure(), {"A": 2.0, "B": -4.0}
    exposure.reserve(entry("A_B", wanted, PRICES))
    exposure.mark({"A_B": holding("A_B", {"A": 2.0, "B": 0.0}, PRICES, PairState.HEDGING)}, {"A": 110.0, "B": 50.0})
    assert exposure.by_symbol() == {"A": 220.0, "B": 200.0}


def test_what_two_pairs_hold_against_each_other_is_not_netted() -> None:
    exposure = Exposure()
    exposure.reserve(entry("A_B", {"A": 2.0, "B": -4.0}, PRICES))
    exposure.reserve(entry("C_A", {"C": 10.0, "A": -2.0}, PRICES))
    assert exposure.by_symbol() == {"A": 400.0, "B": 200.0, "C": 200.0}
    assert exposure.gross == 800.0


def test_a_pair_that_opened_and_left_between_two_bars_is_gone_at_the_next() -> None:
    guard = RiskGuard(LIMITS, EQUITY)
    guard.check(entry("A_B", {"A": 2.0, "B": -4.0}, PRICES))
    guard.pair_left("A_B", "stop_loss", NOON)
    guard.on_bar(NOON, EQUITY, {}, PRICES)
    assert guard.gross_exposure == 0.0


def test_an_adopted_pair_counts_in_full_before_the_first_bar() -> None:
    guard = RiskGuard(LIMITS, EQUITY)
    guard.adopt(entry("A_B", {"A": 40.0, "B": -79.0}, PRICES))
    verdict = guard.check(entry("A_C", {"A": 1.0, "C": -5.0}, PRICES))
    assert not isinstance(verdict, Approved) and "max_exposure" in verdict.reasons
