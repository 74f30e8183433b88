"""How an order is written for each market, digit by digit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccxt_bt_bridge.binance_endpoints import SPOT, USDM
from ccxt_bt_bridge.order_requests import create_call, text
from tests.ccxt_bt_bridge.sessions import buy, sell

COMMON = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
OURS = {"newClientOrderId": "c"}
LIMIT = {"price": "50000.1", "timeInForce": "GTC"}
PRICE, TRIGGER = Decimal("50000.1"), Decimal("51000")
STOP = {"algoType": "CONDITIONAL", "clientAlgoId": "c", "triggerPrice": "51000", "workingType": "CONTRACT_PRICE"}


@pytest.mark.parametrize(
    ("fields", "usdm", "spot"),
    [
        ({}, {"type": "MARKET"}, {"type": "MARKET"}),
        ({"type": "limit", "price": PRICE}, {"type": "LIMIT", **LIMIT}, {"type": "LIMIT", **LIMIT}),
        (
            {"type": "limit", "price": PRICE, "time_in_force": "IOC"},
            {"type": "LIMIT", **LIMIT, "timeInForce": "IOC"},
            {"type": "LIMIT", **LIMIT, "timeInForce": "IOC"},
        ),
        (
            {"type": "limit", "price": PRICE, "time_in_force": "PO"},
            {"type": "LIMIT", **LIMIT, "timeInForce": "GTX"},
            {"type": "LIMIT_MAKER", "price": "50000.1"},
        ),
    ],
)
def test_plain_orders(fields, usdm, spot):
    request = buy("c", **fields)
    assert create_call(USDM, request, "BTCUSDT").params == COMMON | OURS | {"newOrderRespType": "RESULT"} | usdm
    assert create_call(SPOT, request, "BTCUSDT").params == COMMON | OURS | {"newOrderRespType": "FULL"} | spot


@pytest.mark.parametrize(
    ("fields", "usdm", "spot"),
    [
        ({"type": "stop"}, {"type": "STOP_MARKET"}, {"type": "STOP_LOSS"}),
        ({"type": "stop_limit", "price": PRICE}, {"type": "STOP", **LIMIT}, {"type": "STOP_LOSS_LIMIT", **LIMIT}),
    ],
)
def test_stops_have_a_place_of_their_own_on_futures(fields, usdm, spot):
    request = buy("c", trigger_price=TRIGGER, **fields)
    on_futures, on_spot = create_call(USDM, request, "BTCUSDT"), create_call(SPOT, request, "BTCUSDT")
    assert (on_futures.method, on_futures.is_stop) == ("fapiPrivatePostAlgoOrder", True)
    assert on_futures.params == COMMON | STOP | usdm
    assert (on_spot.method, on_spot.is_stop) == ("privatePostOrder", False)
    assert on_spot.params == COMMON | OURS | {"stopPrice": "51000", "newOrderRespType": "FULL"} | spot


def test_reduce_only_is_said_on_futures_and_unknown_on_spot():
    assert create_call(USDM, sell("c", reduce_only=True), "BTCUSDT").params["reduceOnly"] == "true"
    assert "reduceOnly" not in create_call(SPOT, sell("c", reduce_only=True), "BTCUSDT").params


@given(st.decimals(min_value=0, max_value=10**12, places=8))
def test_a_number_is_written_exactly_and_without_an_exponent(value):
    written = text(value)
    assert Decimal(written) == value
    assert "e" not in written.lower() and not (("." in written) and written.endswith(("0", ".")))


def test_a_tiny_number_has_no_exponent():
    assert (text(Decimal("1E-8")), text(Decimal("1E+3")), text(Decimal("100"))) == ("0.00000001", "1000", "100")
