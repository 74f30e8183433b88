"""Conditional and batch orders, settings and the WebSocket API of the USD-M dialect, by the real client."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import numpy as np
import pytest

from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.series import BarSeries
from tests.brokers.desk.desks import BTC, ETH, open_desk, soon, until, usdm_client

START_MS = 1_704_067_200_000
STOPPED = {"trigger": True}


def falling(prices: list[float]) -> MarketSource:
    """One-minute bars of BTC that open at each price and close at the next."""
    opened, close = np.array(prices[:-1]), np.array(prices[1:])
    times = START_MS + 60_000 * np.arange(1, len(prices), dtype=np.int64)
    columns = (opened, np.maximum(opened, close), np.minimum(opened, close), close, np.full(len(close), 10.0))
    return MarketSource({"BTCUSDT": BarSeries("BTCUSDT", 60_000, times, *columns)})


def tap(client: Any) -> list[dict[str, Any]]:
    """Every order event as it comes: the client's own queue drops some."""
    heard: list[dict[str, Any]] = []
    handle = client.handle_order_update

    def tapped(socket: Any, message: dict[str, Any]) -> None:
        heard.append(message)
        handle(socket, message)

    client.handle_order_update = tapped
    return heard


def steps(heard: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["e"], one["o"]["X"]) for one in heard]


def test_a_stop_waits_apart_triggers_and_ends_as_an_ordinary_order() -> None:
    async def walk() -> None:
        market = falling([100.0] * 6 + [90.0, 80.0] + [80.0] * 30)
        async with open_desk(market, speed=600.0, warmup_bars=3) as desk, usdm_client(desk.url) as client:
            await client.create_order(BTC, "market", "buy", 1.0)
            heard = tap(client)
            watching = asyncio.create_task(client.watch_orders())
            await until(lambda: len(desk.server.user.listeners) == 1)
            stop = await client.create_order(
                BTC, "market", "sell", 1.0, None, {"stopLossPrice": 95.0, "reduceOnly": True, "clientOrderId": "guard"}
            )
            assert (stop["clientOrderId"], stop["triggerPrice"], stop["status"]) == ("guard", 95.0, "open")
            with pytest.raises(ccxt.OrderNotFound):
                await client.fetch_order(None, BTC, {"clientOrderId": "guard"})
            assert await client.fetch_open_orders(BTC) == []
            assert [one["id"] for one in await client.fetch_open_orders(BTC, None, None, STOPPED)] == [stop["id"]]
            desk.walk()
            await until(lambda: ("ALGO_UPDATE", "FINISHED") in steps(heard))
            assert steps(heard) == [
                ("ALGO_UPDATE", "NEW"),
                ("ALGO_UPDATE", "TRIGGERED"),
                ("ORDER_TRADE_UPDATE", "NEW"),
                ("ORDER_TRADE_UPDATE", "FILLED"),
                ("ALGO_UPDATE", "FINISHED"),
            ]
            done = await client.fetch_order(None, BTC, {"clientOrderId": "guard"})
            assert (done["status"], done["average"]) == ("closed", 95.0)
            assert (await client.fetch_order(None, BTC, {**STOPPED, "clientOrderId": "guard"}))["id"] == stop["id"]
            assert await client.fetch_positions([BTC]) == []
            await soon(watching)

    asyncio.run(walk())


def test_a_stop_is_cancelled_where_it_waits_and_nowhere_else() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            heard = tap(client)
            watching = asyncio.create_task(client.watch_orders())
            await until(lambda: len(desk.server.user.listeners) == 1)
            price = float(desk.exchange.venue.tape.price("BTCUSDT"))
            more = {"triggerPrice": round(price * 0.9), "clientOrderId": "guard"}
            stop = await client.create_order(BTC, "limit", "sell", 0.01, round(price * 0.89), more)
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order("", BTC, {"clientOrderId": "guard"})
            named = {"clientAlgoId": "guard"}
            assert str((await client.fapiprivate_get_algoorder(named))["algoId"]) == stop["id"]  # no symbol needed
            assert (await client.fapiprivate_delete_algoorder(named))["code"] == "200"
            await until(lambda: steps(heard) == [("ALGO_UPDATE", "NEW"), ("ALGO_UPDATE", "CANCELED")])
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order(stop["id"], BTC, STOPPED)
            for code, ask in (
                ("-2013", client.fapiprivate_get_algoorder),
                ("-2011", client.fapiprivate_delete_algoorder),
            ):
                with pytest.raises(ccxt.OrderNotFound, match=code):
                    await ask({"clientAlgoId": "nobody"})
            await soon(watching)

    asyncio.run(walk())


def test_limit_orders_rest_are_listed_and_cancelled_one_by_one_or_together() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            await client.load_markets()
            heard = tap(client)
            watching = asyncio.create_task(client.watch_orders())
            await until(lambda: len(desk.server.user.listeners) == 1)
            price = float(desk.exchange.venue.tape.price("BTCUSDT"))
            low = client.price_to_precision(BTC, price * 0.9)
            for number in range(3):
                order = await client.create_order(BTC, "limit", "buy", 0.01, low, {"clientOrderId": f"o{number}"})
                assert order["status"] == "open"
            assert len(await client.fetch_open_orders()) == 3
            await client.cancel_order("", BTC, {"clientOrderId": "o1"})
            assert (await client.fetch_order(None, BTC, {"clientOrderId": "o1"}))["status"] == "canceled"
            await client.cancel_all_orders(BTC)
            assert await client.fetch_open_orders(BTC) == []
            await until(lambda: [status for _, status in steps(heard)] == ["NEW"] * 3 + ["CANCELED"] * 3)
            with pytest.raises(ccxt.ExchangeError, match="-5022"):
                await client.create_order(BTC, "limit", "buy", 0.01, round(price * 1.1), {"postOnly": True})
            await soon(watching)

    asyncio.run(walk())


def test_a_batch_answers_for_each_of_its_orders() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            orders = [
                {"symbol": BTC, "type": "market", "side": "buy", "amount": 0.01, "params": {"clientOrderId": "b1"}},
                {"symbol": ETH, "type": "market", "side": "sell", "amount": 900.0, "params": {"clientOrderId": "b2"}},
            ]
            first, second = await client.create_orders(orders)
            rows = {row["info"].get("clientOrderId"): row for row in (first, second)}
            assert rows["b1"]["status"] == "closed"
            assert rows[None]["info"]["code"] == "-2019" or rows[None]["info"]["code"] == -2019
            assert [fill.client_order_id for fill in desk.exchange.venue.fills] == ["b1"]

    asyncio.run(walk())


def test_settings_are_read_changed_and_refused_in_binances_codes() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            await client.set_leverage(5, BTC)
            await client.set_margin_mode("isolated", BTC)
            with pytest.raises(ccxt.ExchangeError, match="-4046"):
                await client.set_margin_mode("isolated", BTC, {"retryOnDuplicate": False})
            told = (await client.fetch_leverages([BTC]))[BTC]
            assert (told["longLeverage"], told["marginMode"]) == (5, "isolated")
            with pytest.raises(ccxt.ExchangeError, match="-4028"):
                await client.fapiprivate_post_leverage({"symbol": "BTCUSDT", "leverage": 500})
            assert (await client.fetch_position_mode(BTC))["hedged"] is False
            await client.set_position_mode(True)
            assert (await client.fetch_position_mode(BTC))["hedged"] is True
            with pytest.raises(ccxt.ExchangeError, match="-4061"):
                await client.create_order(BTC, "market", "buy", 0.01)
            assert desk.exchange.venue.fills == []

    asyncio.run(walk())


def test_orders_go_over_the_websocket_api_too() -> None:
    async def walk() -> None:
        async with open_desk() as desk, usdm_client(desk.url) as client:
            order = await soon(client.create_order_ws(BTC, "market", "buy", 0.01, None, {"clientOrderId": "fast"}))
            assert (order["clientOrderId"], order["status"]) == ("fast", "closed")
            assert (await soon(client.fetch_balance_ws()))["USDT"]["total"] < 10_000
            with pytest.raises(ccxt.BaseError, match="-2019|insufficient"):
                await soon(client.create_order_ws(BTC, "market", "buy", 500.0))
            client.secret = "wrong"
            with pytest.raises(ccxt.BaseError, match="-1022"):
                await soon(client.create_order_ws(BTC, "market", "buy", 0.01))
            assert len(desk.exchange.venue.fills) == 1

    asyncio.run(walk())


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ({"kind": "rate_limit", "at": 1}, ccxt.DDoSProtection, "429"),
        ({"kind": "ban", "at": 1}, ccxt.DDoSProtection, "418"),
        ({"kind": "maintenance", "at": 1}, ccxt.BadRequest, "-1016"),
        ({"kind": "timeout_after_execution", "at": 1}, ccxt.ExchangeNotAvailable, "POST"),
        ({"kind": "backend_timeout", "at": 1}, ccxt.RequestTimeout, "-1007"),
        ({"kind": "duplicate", "at": 1}, ccxt.BaseError, "-4116"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_the_cores_faults_reach_the_client_as_the_exchange_would_say_them(
    fault: dict[str, Any], error: type, said: str
) -> None:
    async def walk() -> None:
        async with open_desk(faults=[fault]) as desk, usdm_client(desk.url) as client:
            await client.load_markets()
            with pytest.raises(error, match=said):
                await client.create_order(BTC, "market", "buy", 0.01, None, {"clientOrderId": "one"})
            executes = fault["kind"] in ("timeout_after_execution", "backend_timeout", "duplicate")
            assert len(desk.exchange.venue.fills) == executes

    asyncio.run(walk())


def test_an_order_is_unknown_to_questions_for_a_while() -> None:
    async def walk() -> None:
        fault = {"kind": "query_lag", "at": 1, "delay_ms": 400}
        async with open_desk(faults=[fault]) as desk, usdm_client(desk.url) as client:
            order = await client.create_order(BTC, "market", "buy", 0.01)
            with pytest.raises(ccxt.OrderNotFound):
                await client.fetch_order(order["id"], BTC)
            found = None
            while found is None:
                try:
                    found = await client.fetch_order(order["id"], BTC)
                except ccxt.OrderNotFound:
                    await asyncio.sleep(0.02)
            assert found["id"] == order["id"]

    asyncio.run(walk())
