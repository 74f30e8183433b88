"""An order is read with suspicion: what does not validate is no order, whatever it is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccxt_bt_bridge.order_rows import fits, order_event, order_report, stop_event, stop_report
from ccxt_bt_bridge.words import OrderReport, OrderStatus, Side
from tests.ccxt_bt_bridge.sessions import buy

ROW = {
    "orderId": 7, "symbol": "BTCUSDT", "status": "PARTIALLY_FILLED", "clientOrderId": "one", "side": "BUY",
    "origQty": "0.02", "executedQty": "0.01", "avgPrice": "50000.5", "updateTime": 1_700_000_000_000,
}  # fmt: skip
SPOT = {key: value for key, value in ROW.items() if key != "avgPrice"} | {"cummulativeQuoteQty": "500"}
words = st.sampled_from(["", "x", "BUY", "FILLED", "0", "-1", "1e999", "NaN", "0.5", "7"])
junk = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words, st.just([1]))


def test_a_row_of_either_market_becomes_a_report():
    futures, spot = order_report(ROW, "BTC/USDT:USDT"), order_report(SPOT, "BTC/USDT")
    assert futures == OrderReport(
        "one", "7", "BTC/USDT:USDT", Side.BUY, OrderStatus.OPEN, Decimal("0.02"), Decimal("0.01"), Decimal("50000.5"),
        1_700_000_000_000,
    )  # fmt: skip
    assert spot.average == Decimal(50_000)


def test_the_cancellation_of_a_spot_order_names_the_order_it_cancelled():
    row = SPOT | {"status": "CANCELED", "origClientOrderId": "one", "clientOrderId": "the cancellation's own"}
    assert order_report(row, "BTCUSDT").client_order_id == "one"
    event = {
        "c": "its own",
        "C": "one",
        "x": "CANCELED",
        "X": "CANCELED",
        "i": 7,
        "S": "BUY",
        "q": "1",
        "z": "0",
        "Z": "0",
    }
    assert order_event(event, "BTCUSDT").client_order_id == "one"
    assert order_event(event | {"x": "NEW", "X": "NEW", "C": ""}, "BTCUSDT").client_order_id == "its own"


@pytest.mark.parametrize("field", ["orderId", "status", "clientOrderId", "side", "origQty", "executedQty"])
def test_a_row_without_one_of_these_is_no_order(field):
    with pytest.raises(ValueError):
        order_report({key: value for key, value in ROW.items() if key != field}, "BTCUSDT")


@given(st.dictionaries(st.sampled_from(sorted(ROW)), junk))
def test_whatever_is_in_a_row_it_is_refused_or_makes_sense(changes):
    try:
        report = order_report(ROW | changes, "BTCUSDT")
    except (ValueError, TypeError, ArithmeticError):
        return
    assert 0 <= report.filled <= report.amount and report.amount.is_finite()
    assert report.order_id and report.client_order_id
    assert report.average is None or report.average > 0


@given(junk)
def test_what_is_no_row_is_no_order(answer):
    with pytest.raises(ValueError):
        order_report(answer, "BTCUSDT")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (buy("one", amount="0.02"), None),
        (buy("two", amount="0.02"), "another client order id"),
        (buy("one", amount="0.03"), "an amount of 0.02"),
    ],
)
def test_an_answer_is_compared_with_what_was_sent(request_, said):
    reason = fits(order_report(ROW, "BTCUSDT"), ROW, request_, "BTCUSDT")
    assert reason is None if said is None else said in reason


def test_a_stop_is_read_from_its_own_rows():
    row = {"algoId": 9, "clientAlgoId": "s", "algoStatus": "NEW", "side": "SELL", "quantity": "0.5", "updateTime": 5}
    report = stop_report(row, "BTCUSDT")
    assert (report.client_order_id, report.order_id, report.status) == ("s", "9", OrderStatus.OPEN)
    event = {"aid": 9, "caid": "s", "X": "CANCELED", "S": "SELL", "q": "0.5", "aq": "0.00000", "ap": "0.00000"}
    assert stop_event(event, "BTCUSDT").status is OrderStatus.CANCELED
    with pytest.raises(ValueError, match="unknown status"):
        stop_report(row | {"algoStatus": "DREAMING"}, "BTCUSDT")
