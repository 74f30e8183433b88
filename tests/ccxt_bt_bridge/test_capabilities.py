"""What an exchange lacks is said in words, before anything is started."""

from __future__ import annotations

import ccxt.pro
import pytest

from ccxt_bt_bridge.capabilities import report_on
from ccxt_bt_bridge.errors import NotSupported


def test_binance_is_proven_and_lacks_nothing_but_shorting_on_spot():
    futures, spot = report_on("binanceusdm"), report_on("binance")
    assert (futures.kind, futures.is_proven, futures.can_trade, futures.missing) == ("usdm", True, True, ())
    assert (spot.kind, spot.is_proven, spot.can_trade) == ("spot", True, True)
    assert [lack.what for lack in spot.missing] == ["shorting"]
    assert str(futures) == "binanceusdm (usdm): proven over the wire\n  lacks nothing the bridge needs"


def test_of_another_exchange_its_data_can_be_used_and_its_orders_are_refused():
    report = report_on("bybit")
    assert report.can_feed and not report.can_trade
    text = str(report)
    assert "not proven with the bridge" in text
    assert "candles are polled by REST" in text
    assert "an order that may exist could be sent twice" in text
    assert text.endswith("orders are refused; its data can be used")


@pytest.mark.parametrize("exchange_id", ccxt.pro.exchanges[::6])
def test_every_exchange_of_ccxt_has_a_report(exchange_id):
    report = report_on(exchange_id)
    assert str(report).startswith(f"{exchange_id} ({report.kind}): ")


def test_an_exchange_that_ccxt_lacks_is_a_sentence():
    with pytest.raises(NotSupported, match=r"ccxt has no exchange 'mtgox' with streams; it has .*…"):
        report_on("mtgox")
