from __future__ import annotations

from decimal import Decimal

import pytest

from brokers.market_rules import markets_for


def test_ticks_and_steps_follow_the_price():
    markets = markets_for(["BTC/USDT", "XRPUSDT"], {"BTCUSDT": 60_000.0, "XRP/USDT": 0.6})
    assert list(markets) == ["BTCUSDT", "XRPUSDT"]
    btc, xrp = markets.values()
    assert (btc.price_tick, btc.amount_step) == (Decimal("0.1"), Decimal("0.001"))
    assert (xrp.price_tick, xrp.amount_step) == (Decimal("0.00001"), Decimal(1))
    assert btc.min_notional == xrp.min_notional == 5 and btc.quote == "USDT" and btc.kind == "usdm"


@pytest.mark.parametrize("price", [70_000.0, 500.0, 30.0, 2.0, 0.05, 0.00001])
def test_a_step_is_worth_less_than_a_hundred(price):
    market = markets_for(["X"], {"X": price})["X"]
    assert float(market.amount_step) * price < 100 and float(market.price_tick) / price < 0.011


def test_the_config_overrides_and_the_minimum_follows_the_step():
    info = {"BTC/USDT:USDT": {"amount_step": 0.01, "min_notional": "100"}}
    btc = markets_for(["BTCUSDT"], {"BTCUSDT": 60_000.0}, info)["BTCUSDT"]
    assert btc.amount_step == btc.min_amount == Decimal("0.01") and btc.min_notional == 100


def test_unknown_fields_and_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="unknown field 'tick'.*price_tick"):
        markets_for(["X"], {"X": 1.0}, {"X": {"tick": 1}})
    for value in (0, -1, "NaN"):
        with pytest.raises(ValueError, match="amount_step.*positive"):
            markets_for(["X"], {"X": 1.0}, {"X": {"amount_step": value}})
