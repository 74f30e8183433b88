"""Binance's endpoints by ccxt's names for them, USD-M futures and spot, and where they live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Names of ccxt's implicit methods. ``hosts``: every host that may be asked."""

    kind: str
    hosts: frozenset[str]
    prefix: str
    ping: str
    time: str
    klines: str
    klines_limit: int
    book_ticker: str
    create: str
    cancel: str
    fetch: str
    open_orders: str
    trades: str
    trades_window_ms: int
    account: str


USDM = Endpoints(
    kind="usdm",
    hosts=frozenset({"fapi.binance.com", "fstream.binance.com", "ws-fapi.binance.com", "api.binance.com"}),
    prefix="https://fapi.binance.com",
    ping="fapiPublicGetPing",
    time="fapiPublicGetTime",
    klines="fapiPublicGetKlines",
    klines_limit=1_500,
    book_ticker="fapiPublicGetTickerBookTicker",
    create="fapiPrivatePostOrder",
    cancel="fapiPrivateDeleteOrder",
    fetch="fapiPrivateGetOrder",
    open_orders="fapiPrivateGetOpenOrders",
    trades="fapiPrivateGetUserTrades",
    trades_window_ms=7 * 86_400_000,
    account="fapiPrivateV3GetAccount",
)
SPOT = Endpoints(
    kind="spot",
    hosts=frozenset({"api.binance.com", "stream.binance.com", "ws-api.binance.com"}),
    prefix="https://api.binance.com",
    ping="publicGetPing",
    time="publicGetTime",
    klines="publicGetKlines",
    klines_limit=1_000,
    book_ticker="publicGetTickerBookTicker",
    create="privatePostOrder",
    cancel="privateDeleteOrder",
    fetch="privateGetOrder",
    open_orders="privateGetOpenOrders",
    trades="privateGetMyTrades",
    trades_window_ms=86_400_000,
    account="privateGetAccount",
)
BY_EXCHANGE = {"binanceusdm": USDM, "binance": SPOT}


def local_urls(base: str) -> dict[str, Any]:
    """ccxt's addresses, all at one server without TLS. What is not named here must lead nowhere else either."""
    socket = base.replace("http", "ws", 1)
    urls: dict[str, Any] = {"public": f"{base}/api/v3", "private": f"{base}/api/v3", "v1": f"{base}/api/v1"}
    for suffix, version in (("", "v1"), ("V2", "v2"), ("V3", "v3")):
        urls |= {f"fapiPublic{suffix}": f"{base}/fapi/{version}", f"fapiPrivate{suffix}": f"{base}/fapi/{version}"}
    urls |= {"fapiData": f"{base}/futures/data", "sapi": f"{base}/sapi/v1"}
    apis = {"linear": f"{socket}/ws-fapi/v1", "spot": f"{socket}/ws-api/v3"}
    return urls | {"ws": {"linear": f"{socket}/ws", "spot": f"{socket}/ws", "ws-api": apis}}
