"""The unmodified ccxt.pro client walks the spot endpoints and streams of the exchange on the desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.brokers.desk.desks import open_desk, soon, until, usdm_client
from tests.brokers.desk.markets import spot_rules

BTC = "BTC/USDT"


@asynccontextmanager
async def spot_client(base: str) -> AsyncIterator[Any]:
    socket = base.replace("http", "ws", 1)
    options = {
        "fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": ["spot"]}, "defaultType": "spot",
        "warnOnFetchOpenOrdersWithoutSymbol": False,
    }  # fmt: skip
    urls = {
        "public": f"{base}/api/v3",
        "private": f"{base}/api/v3",
        "sapi": f"{base}/sapi/v1",
        "ws": {"spot": f"{socket}/ws", "ws-api": {"spot": f"{socket}/ws-api/v3"}},
    }
    keys = {"apiKey": "desk-key", "secret": "desk-secret", "enableRateLimit": False}
    client = ccxt.pro.binance({**keys, "options": options, "urls": {"api": urls}})
    try:
        yield client
    finally:
        await client.close()


def spot_desk(**more: Any) -> Any:
    return open_desk(dialects={"binance": 0}, markets=spot_rules(), **more)


def test_the_client_reads_everything_public() -> None:
    async def walk() -> None:
        async with spot_desk() as desk, spot_client(desk.url) as client:
            markets = await client.load_markets()
            assert markets[BTC]["spot"] and markets[BTC]["limits"]["cost"]["min"] == 5.0
            rows = await client.fetch_ohlcv(BTC, "1m", limit=3)
            assert rows[-1][0] == desk.exchange.market_ms
            assert (await client.fetch_ticker(BTC))["last"] == rows[-1][1]
            assert (await client.fetch_bids_asks([BTC]))[BTC]["bid"] < rows[-1][1]
            for watched in (client.watch_ticker(BTC), client.watch_trades(BTC), client.watch_ohlcv(BTC, "1m")):
                assert await soon(watched)

    asyncio.run(walk())


def test_an_order_is_answered_streamed_and_found_again() -> None:
    async def walk() -> None:
        async with spot_desk() as desk, spot_client(desk.url) as client:
            await client.load_markets()
            watched = (client.watch_orders, client.watch_balance, client.watch_my_trades)
            watches = [asyncio.create_task(watch()) for watch in watched]
            await until(lambda: len(desk.server.user.listeners) >= 1)
            order = await client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "first"})
            assert (order["status"], order["filled"], order["clientOrderId"]) == ("closed", 0.01, "first")
            assert order["trades"][0]["fee"]["cost"] > 0
            orders, balance, trades = [await soon(watch) for watch in watches]
            assert orders[0]["clientOrderId"] == "first" and trades[0]["amount"] == 0.01
            assert 0 < balance["BTC"]["total"] <= 0.01
            assert (await client.fetch_balance())["BTC"]["total"] == balance["BTC"]["total"]
            assert (await client.fetch_order(None, BTC, {"clientOrderId": "first"}))["id"] == order["id"]
            assert (await client.fetch_my_trades(BTC))[0]["order"] == order["id"]
            assert await client.fetch_open_orders() == []
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order(order["id"], BTC)
            with pytest.raises(ccxt.OrderNotFound):
                await client.fetch_order("99", BTC)

    asyncio.run(walk())


def test_resting_orders_lock_what_they_would_spend_until_they_are_cancelled() -> None:
    async def walk() -> None:
        async with spot_desk() as desk, spot_client(desk.url) as client:
            await client.load_markets()
            watching, balance = (asyncio.create_task(one()) for one in (client.watch_orders, client.watch_balance))
            await until(lambda: len(desk.server.user.listeners) == 1)
            price = float(desk.exchange.venue.tape.price("BTCUSDT"))
            low = float(client.price_to_precision(BTC, price * 0.9))
            limit = await client.create_order(BTC, "limit", "buy", 0.01, low, {"clientOrderId": "low"})
            assert (await soon(watching))[0]["status"] == "open"
            assert (await client.fetch_balance())["USDT"]["used"] == pytest.approx(0.01 * low)
            assert (await soon(balance))["USDT"]["used"] == pytest.approx(0.01 * low)
            balance = asyncio.create_task(client.watch_balance())
            await client.cancel_order("", BTC, {"clientOrderId": "low"})
            assert (await soon(balance))["USDT"]["used"] == 0.0
            assert (await client.fetch_order(limit["id"], BTC))["status"] == "canceled"
            assert (await client.fetch_balance())["USDT"]["used"] == 0.0
            maker = await client.create_order(BTC, "limit", "buy", 0.01, low, {"postOnly": True})
            assert maker["type"] == "limit" and maker["postOnly"]
            await client.cancel_all_orders(BTC)
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_all_orders(BTC)

    asyncio.run(walk())


def test_a_stop_of_what_is_held_rests_in_sight_and_nothing_is_sold_short() -> None:
    async def walk() -> None:
        async with spot_desk() as desk, spot_client(desk.url) as client:
            price = float(desk.exchange.venue.tape.price("BTCUSDT"))
            with pytest.raises(ccxt.ExchangeError, match="-2010"):
                await client.create_order(BTC, "market", "sell", 0.01)
            await client.create_order(BTC, "market", "buy", 0.02)
            stop = await client.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": round(price * 0.9)})
            assert [one["id"] for one in await client.fetch_open_orders(BTC)] == [stop["id"]]
            assert (await client.fetch_order(stop["id"], BTC))["triggerPrice"] == round(price * 0.9)
            with pytest.raises(ccxt.ExchangeError, match="-1013"):
                await client.create_order("ETH/USDT", "market", "buy", 0.001)

    asyncio.run(walk())


def test_orders_go_over_the_websocket_api_too() -> None:
    async def walk() -> None:
        async with spot_desk() as desk, spot_client(desk.url) as client:
            order = await soon(client.create_order_ws(BTC, "market", "buy", 0.01, None, {"clientOrderId": "fast"}))
            assert (order["clientOrderId"], order["status"]) == ("fast", "closed")
            assert (await soon(client.fetch_order_ws(order["id"], BTC)))["filled"] == 0.01
            told = await soon(client.fetch_balance_ws())
            assert {row["asset"] for row in told["info"]["balances"]} == {"USDT", "BTC"}

    asyncio.run(walk())


def test_two_dialects_over_one_exchange_show_one_account() -> None:
    async def walk() -> None:
        async with open_desk(dialects={"binanceusdm": 0, "binance": 0}) as desk:
            second = f"http://127.0.0.1:{desk.ports[1]}"
            async with usdm_client(desk.url) as futures, spot_client(second) as spot:
                await futures.create_order("BTC/USDT:USDT", "market", "buy", 0.01)
                held, cash = await spot.fetch_balance(), await futures.fetch_balance()
                assert held["BTC"]["total"] == 0.01
                assert held["USDT"]["total"] == float(cash["info"]["totalWalletBalance"])
                assert [one["side"] for one in await spot.fetch_my_trades(BTC)] == ["buy"]

    asyncio.run(walk())
