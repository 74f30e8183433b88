from __future__ import annotations

from decimal import Decimal

import pytest

from brokers.fills import fee, market_fill_price


@pytest.mark.parametrize(("sign", "price"), [(1, "50015.00000000"), (-1, "49985.00000000")])
def test_slippage_is_against_the_taker(sign, price):
    assert market_fill_price(Decimal(50_000), sign, Decimal(3)) == Decimal(price)


def test_prices_and_fees_have_eight_decimals_and_halves_go_up():
    assert str(market_fill_price(Decimal("0.00001235"), 1, Decimal(100))) == "0.00001247"
    assert fee(Decimal(1), Decimal("0.00000001"), Decimal("0.5")) == Decimal("0.00000001")


def test_the_fee_does_not_depend_on_the_side():
    assert fee(Decimal("-0.5"), Decimal(200), Decimal("0.0005")) == fee(Decimal("0.5"), Decimal(200), Decimal("0.0005"))
    assert fee(Decimal("0.5"), Decimal(200), Decimal("0.0005")) == Decimal("0.05")
