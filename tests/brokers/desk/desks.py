"""Desks and clients to test with: the real ccxt client, a small market, nothing that leaves the machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt.pro

from brokers.desk.desk import Desk
from brokers.mock_market import MockMarket
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
PATIENCE_S = 20.0


def minutes(count: int = 300) -> MarketSource:
    """One-minute bars of two symbols, without gaps."""
    market = MockMarket(7, count, "1m", symbols=["BTCUSDT", "ETHUSDT"], gaps_per_1000=0.0)
    return MarketSource(market.series())


@asynccontextmanager
async def open_desk(
    source: MarketSource | None = None,
    *,
    dialects: Mapping[str, int] | None = None,
    speed: float = 1.0,
    wait_for_client: bool = False,
    server: Mapping[str, Any] | None = None,
    **terms: Any,
) -> AsyncIterator[Desk]:
    """Ten thousand, fifty bars of history; the market stands until ``desk.walk()``."""
    store = ExchangeStore(None, fingerprint="desk")
    terms = {"warmup_bars": 50, "initial_balance": Decimal(10_000), "slippage_bps": Decimal(0)} | terms
    desk = Desk(
        source or minutes(),
        store,
        ports=dialects or {"binanceusdm": 0},
        speed=speed,
        wait_for_client=wait_for_client,
        terms=terms,
        server_terms={"tick_s": 0.05} | dict(server or {}),
    )
    async with desk:
        yield desk


def halt(desk: Desk, symbol: str) -> None:
    """From now on nothing trades in this symbol, though it is listed."""
    markets = desk.exchange.venue.markets
    markets[symbol] = replace(markets[symbol], is_open=False)


def usdm_urls(base: str) -> dict[str, Any]:
    socket = base.replace("http", "ws", 1)
    plain = {f"fapi{kind}{suffix}": f"{base}/fapi/{version}" for kind in ("Public", "Private")
             for suffix, version in (("", "v1"), ("V2", "v2"), ("V3", "v3"))}  # fmt: skip
    sockets = {"linear": f"{socket}/ws", "ws-api": {"linear": f"{socket}/ws-fapi/v1"}}
    return {**plain, "sapi": f"{base}/sapi/v1", "ws": sockets}


@asynccontextmanager
async def usdm_client(base: str, **config: Any) -> AsyncIterator[ccxt.pro.binanceusdm]:
    options = {"fetchCurrencies": False, "fetchMargins": False, "warnOnFetchOpenOrdersWithoutSymbol": False}
    settings = {"apiKey": "desk-key", "secret": "desk-secret", "enableRateLimit": False, "options": options}
    client = ccxt.pro.binanceusdm({**settings, "urls": {"api": usdm_urls(base)}, **config})
    try:
        yield client
    finally:
        await client.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, up to ``PATIENCE_S``."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def soon(work: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(work, PATIENCE_S)
