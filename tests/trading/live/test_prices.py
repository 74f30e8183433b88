"""Which prices between bars are believed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ccxt_bt_bridge.words import Quote
from trading.live.prices import TOGETHER_MS, LivePrices


class Case:
    """Prices of A, ten per cent at most from one to the next."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.prices = LivePrices(max_jump_pct=10.0, tell=self.told.append)

    def admit(self, price: object, time_ms: int, symbol: str = "A") -> bool:
        return self.prices.admit(Quote(symbol, Decimal(str(price)), time_ms))

    @property
    def price(self) -> float | None:
        known = self.prices.together(["A"])
        return None if known is None else known["A"]


@pytest.fixture
def case() -> Case:
    case = Case()
    assert case.admit(100, 1_000)
    return case


def test_an_ordinary_price_is_believed_at_once(case):
    assert case.admit(109, 1_001) and case.price == 109.0
    assert case.told == []


@pytest.mark.parametrize("price", ["1000", "10", "NaN", "Infinity", "-Infinity", "0", "-100"])
def test_a_lone_jump_and_what_is_no_price_change_nothing_and_are_told(case, price):
    assert not case.admit(price, 2_000)
    assert case.price == 100.0
    assert len(case.told) == 1 and "A" in case.told[0]
    assert case.admit(101, 3_000) and case.price == 101.0


def test_a_jump_is_believed_when_a_later_price_is_near_it(case):
    assert not case.admit(150, 2_000)
    assert case.admit(152, 2_250) and case.price == 152.0


def test_the_same_moment_confirms_nothing(case):
    assert not case.admit(150, 2_000)
    assert not case.admit(150, 2_000)
    assert case.price == 100.0


def test_a_second_jump_elsewhere_confirms_nothing_and_may_be_confirmed_itself(case):
    assert not case.admit(150, 2_000)
    assert not case.admit(300, 2_250)
    assert not case.admit(150, 2_500)
    assert len(case.told) == 1
    assert case.admit(151, 2_750)


@pytest.mark.parametrize("price", ["NaN", "0"])
def test_what_is_no_number_is_confirmed_by_nothing(case, price):
    assert not case.admit(price, 2_000) and not case.admit(price, 3_000)
    assert case.price == 100.0


def test_an_older_price_is_left_out(case):
    assert not case.admit(101, 999)
    assert case.price == 100.0


def test_the_first_price_is_compared_with_the_last_close(case):
    case.prices.note_close("B", 50.0)
    assert not case.admit(500, 1_000, "B")
    assert case.admit(51, 1_001, "B")


def test_legs_are_together_only_at_one_moment(case):
    assert case.prices.together(["A", "B"]) is None
    assert case.admit(50, 1_000 + TOGETHER_MS, "B")
    assert case.prices.together(["A", "B"]) == {"A": 100.0, "B": 50.0}
    assert case.admit(50, 1_001 + TOGETHER_MS, "B")
    assert case.prices.together(["A", "B"]) is None
