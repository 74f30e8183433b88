"""A market's rules from the exchange's filters, or from ccxt's unified ones."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ccxt_bt_bridge.errors import NotSupported
from ccxt_bt_bridge.market_rules import market_from

FILTERS = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0.002", "maxQty": "120", "stepSize": "0.00000000"},
    {"filterType": "NOTIONAL", "minNotional": "5"},
]
RAW = {
    "base": "BTC",
    "quote": "USDT",
    "taker": 0.0005,
    "maker": 0.0002,
    "info": {"status": "TRADING", "filters": FILTERS},
}
CONTRACTS = {
    "base": "BTC", "quote": "USDT", "contract": True, "contractSize": 0.01, "info": {}, "active": True,
    "precision": {"price": 0.1, "amount": 1}, "limits": {"amount": {"min": 1, "max": 5000}, "cost": {"min": None}},
}  # fmt: skip


def test_the_stricter_lot_counts_and_a_step_of_zero_does_not():
    market = market_from(RAW, kind="spot", symbol="BTCUSDT")
    assert (market.amount_step, market.min_amount, market.max_amount) == (
        Decimal("0.001"), Decimal("0.002"), Decimal(120)
    )  # fmt: skip
    assert (market.price_tick, market.min_notional) == (Decimal("0.10"), Decimal(5))
    assert (market.taker_fee, market.maker_fee) == (Decimal("0.0005"), Decimal("0.0002"))


def test_a_market_that_does_not_trade_is_not_open():
    halted = RAW | {"info": RAW["info"] | {"status": "BREAK"}}
    assert not market_from(halted, kind="spot", symbol="BTCUSDT").is_open


def test_contracts_are_counted_in_base_units():
    market = market_from(CONTRACTS, kind="usdm", symbol="BTC/USDT:USDT")
    assert (market.amount_step, market.min_amount, market.max_amount) == (
        Decimal("0.01"), Decimal("0.01"), Decimal(50)
    )  # fmt: skip


def test_without_steps_nothing_can_be_ordered():
    vague = CONTRACTS | {"precision": {"price": None, "amount": None}}
    with pytest.raises(NotSupported, match="states no price or amount step"):
        market_from(vague, kind="spot", symbol="X")
