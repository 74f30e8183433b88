"""The unmodified ccxt.pro client walks the USD-M endpoints and streams of the exchange on the desk."""

from __future__ import annotations

import asyncio

import ccxt
import pytest

from tests.brokers.desk.desks import BTC, ETH, open_desk, soon, until, usdm_client


def test_the_client_loads_markets_and_reads_everything_public() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            markets = await client.load_markets()
            assert markets[BTC]["limits"]["cost"]["min"] == 5.0
            assert markets[BTC]["precision"] == {"amount": 0.001, "price": 0.1, "base": 1e-8, "quote": 1e-8}
            rows = await client.fetch_ohlcv(BTC, "1m", limit=3)
            assert rows[-1][0] == desk.exchange.market_ms and rows[-1][5] == 0.0  # the forming one
            assert [row[0] for row in rows] == [desk.exchange.market_ms - ago * 60_000 for ago in (2, 1, 0)]
            assert (await client.fetch_ticker(BTC))["last"] == rows[-1][1]
            book = (await client.fetch_bids_asks([BTC]))[BTC]
            assert book["bid"] < rows[-1][1] < book["ask"]
            assert (await client.fetch_funding_rate(BTC))["markPrice"] == rows[-2][4]
            assert abs(await client.fetch_time() - desk.clock.now_ms()) < 5_000

    asyncio.run(walk())


def test_klines_are_paged_by_open_time_oldest_first() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            first = desk.exchange.market_ms - 10 * 60_000
            rows = await client.fetch_ohlcv(BTC, "1m", since=first, limit=4)
            assert [row[0] for row in rows] == [first + at * 60_000 for at in range(4)]
            with pytest.raises(ccxt.ExchangeError, match="-1120"):
                await client.fetch_ohlcv(BTC, "1h")

    asyncio.run(walk())


def test_an_order_is_answered_streamed_and_found_again() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            await client.load_markets()
            watched = (client.watch_orders, client.watch_balance, client.watch_positions, client.watch_my_trades)
            watches = [asyncio.create_task(watch()) for watch in watched]
            await until(lambda: len(desk.server.user.listeners) == 1)
            order = await client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "first"})
            assert (order["status"], order["filled"], order["clientOrderId"]) == ("closed", 0.01, "first")
            orders, balance, positions, trades = [await soon(watch) for watch in watches]
            assert orders[0]["clientOrderId"] == "first"
            assert balance["USDT"]["total"] < 10_000
            assert (positions[0]["contracts"], positions[0]["side"]) == (0.01, "long")
            assert trades[0]["fee"]["cost"] > 0
            found = await client.fetch_order(None, BTC, {"clientOrderId": "first"})
            assert found["id"] == order["id"] and found["average"] == order["average"]
            assert (await client.fetch_my_trades(BTC))[0]["order"] == order["id"]
            assert (await client.fetch_positions([BTC]))[0]["contracts"] == 0.01
            assert await client.fetch_open_orders() == []
            with pytest.raises(ccxt.OrderNotFound):
                await client.fetch_order("99", BTC)
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order(order["id"], BTC)

    asyncio.run(walk())


def test_closed_and_forming_klines_are_streamed_and_no_bar_is_missed_from_the_first_subscription_on() -> None:
    async def walk() -> None:
        async with open_desk(speed=600.0, wait_for_client=True) as desk, usdm_client(desk.url) as client:
            closed: dict[str, list[int]] = {BTC: [], ETH: []}
            handle = client.handle_ohlcv

            def tapped(socket, message) -> None:
                if message["k"]["x"]:
                    closed[client.safe_symbol(message["s"], None, None, "swap")].append(message["k"]["t"])
                handle(socket, message)

            client.handle_ohlcv = tapped
            await client.load_markets()
            started, walking = desk.exchange.market_ms, desk.walk()
            await asyncio.sleep(0.05)
            assert not walking.done() and desk.exchange.market_ms == started  # nobody has subscribed
            await soon(client.watch_ohlcv_for_symbols([[BTC, "1m"], [ETH, "1m"]]))
            await until(lambda: len(closed[BTC]) >= 5 and len(closed[ETH]) >= 5)
            for opens in closed.values():
                assert opens == [started + at * 60_000 for at in range(len(opens))]

    asyncio.run(walk())


def test_the_other_public_streams_speak() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            tape = desk.exchange.venue.tape
            price, mark = float(tape.price("BTCUSDT") or 0), float(tape.mark("BTCUSDT") or 0)
            assert (await soon(client.watch_ticker(BTC)))["last"] == price
            assert (await soon(client.watch_trades(BTC)))[0]["price"] == price
            assert (await soon(client.watch_mark_price(BTC)))["markPrice"] == mark
            assert (await soon(client.watch_bids_asks([BTC])))[BTC]["bid"] < price

    asyncio.run(walk())
