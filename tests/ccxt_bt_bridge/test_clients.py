"""What we override in ccxt is there, by that name and with those parameters: an upgrade that moves it fails here."""

from __future__ import annotations

import inspect

import ccxt
import ccxt.pro
import pytest
from ccxt.async_support.base.ws.client import Client

from ccxt_bt_bridge.binance_endpoints import BY_EXCHANGE, local_urls
from ccxt_bt_bridge.clients import BinanceClient, BridgeClient, SpotClient, UsdmClient, client_class
from ccxt_bt_bridge.order_requests import CANCEL_STOP, CREATE_STOP, FETCH_STOP, OPEN_STOPS

OURS = {"break_streams", "forget_listen_key", "_hear", "__init__"}


def overridden(cls: type) -> list[str]:
    return [name for name, value in vars(cls).items() if inspect.isfunction(value) and name not in OURS]


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("ours", [BridgeClient, BinanceClient])
@pytest.mark.parametrize("theirs", [ccxt.pro.binanceusdm, ccxt.pro.binance])
def test_every_method_that_we_override_exists_with_that_signature(ours, theirs):
    for name in overridden(ours):
        assert parameters(getattr(ours, name)) == parameters(getattr(theirs, name)), name
        is_async = inspect.iscoroutinefunction(getattr(theirs, name))
        assert inspect.iscoroutinefunction(getattr(ours, name)) == is_async, name


@pytest.mark.parametrize("theirs", [ccxt.pro.binanceusdm, ccxt.pro.binance])
def test_every_method_that_we_call_exists(theirs):
    called = ("watch_orders", "watch_multiple", "get_ws_url", "request_id", "load_markets", "set_markets_from_exchange")
    assert all(callable(getattr(theirs, name)) for name in (*called, "milliseconds", "enable_demo_trading"))
    assert {"on_error", "subscriptions"} <= set(dir(Client))


@pytest.mark.parametrize("exchange_id", BY_EXCHANGE)
def test_every_endpoint_is_a_method_of_the_client(exchange_id):
    endpoints, client = BY_EXCHANGE[exchange_id], client_class(exchange_id)({})
    names = ("ping", "time", "klines", "book_ticker", "create", "cancel", "fetch", "open_orders", "trades", "account")
    stops = (CREATE_STOP, CANCEL_STOP, FETCH_STOP, OPEN_STOPS)
    more = ("fapiPrivateGetIncome", "fapiPrivateV3GetPositionRisk", "fapiPublicGetFundingRate", *stops)
    account = ("fapiPrivateGetPositionSideDual", "fapiPrivateGetSymbolConfig", "sapiGetAccountApiRestrictions")
    assert all(hasattr(client, getattr(endpoints, name)) for name in names)
    assert all(hasattr(client, name) for name in (*more, *account))


@pytest.mark.parametrize("cls", [UsdmClient, SpotClient])
def test_the_error_tables_are_the_true_ones_at_any_address(cls):
    client = cls({})
    table = client.get_exceptions_by_url("http://127.0.0.1:8080/fapi/v1/order", "exact")
    assert table == client.get_exceptions_by_url(cls.error_prefix, "exact") != {}


def test_local_addresses_replace_every_one_that_we_use():
    urls = local_urls("http://127.0.0.1:1")
    for exchange_id in BY_EXCHANGE:
        api = client_class(exchange_id)({"urls": {"api": urls}}).urls["api"]
        used = [value for name, value in api.items() if name.startswith(("fapi", "public", "private", "sapi"))]
        ours = [value for value in used if not value.endswith(("sapi/v2", "sapi/v3", "sapi/v4"))]
        assert all(value.startswith("http://127.0.0.1:1/") for value in ours)
        assert api["ws"]["spot"] == api["ws"]["linear"] == "ws://127.0.0.1:1/ws"


def test_an_exchange_that_ccxt_has_not_is_a_key_error():
    with pytest.raises(KeyError):
        client_class("mtgox")
    assert issubclass(client_class("bybit"), ccxt.pro.bybit)
