"""Whose order it was, when the exchange counts its orders anew in every symbol, as Binance does."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from types import SimpleNamespace

from ccxt_bt_bridge import wire
from ccxt_bt_bridge.binance_account import BinanceAccount
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.client_ids import REMEMBERED, ClientIds
from ccxt_bt_bridge.clients import BinanceClient
from ccxt_bt_bridge.words import Connection, Fill, OrderReport, Placed
from tests.brokers.desk.desks import until
from tests.ccxt_bt_bridge.sessions import PAIR, buy, desk_session, run, started


def test_one_order_id_in_two_symbols_is_two_orders():
    ids = ClientIds()
    ids.learn("BTCUSDT", "7", "ours")
    ids.learn("ETHUSDT", "7", "other")
    assert (ids.of("BTCUSDT", "7"), ids.of("ETHUSDT", "7"), ids.of("BTCUSDT", "8")) == ("ours", "other", None)


def test_memory_has_an_end():
    ids = ClientIds()
    for number in range(REMEMBERED + 1):
        ids.learn("BTCUSDT", str(number), "ours")
    assert (ids.of("BTCUSDT", "0"), ids.of("BTCUSDT", "1")) == (None, "ours")


def let_every_order_be_number_7(monkeypatch):
    parse, hear = wire.parse_json, BinanceClient._hear

    def renumbered(client, kind, message):
        if kind == "order":
            message = message | {"o": message["o"] | {"i": 7}}
        hear(client, kind, message)

    monkeypatch.setattr(wire, "parse_json", lambda body: parse(re.sub(r'"orderId": ?\d+', '"orderId": 7', body)))
    monkeypatch.setattr(BinanceClient, "_hear", renumbered)


def test_fills_of_two_symbols_with_one_order_id_keep_their_own_client_ids(monkeypatch):
    let_every_order_be_number_7(monkeypatch)

    async def trade():
        async with desk_session() as (_, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                for cid, symbol in (("leg-a", "BTCUSDT"), ("leg-b", "ETHUSDT")):
                    assert isinstance(await trading.create_order(buy(cid, symbol, "0.05")), Placed)
                await until(lambda: len(heard.of(Fill)) == 2)
            told = {(fill.order_id, fill.symbol): fill.client_order_id for fill in heard.of(Fill)}
            assert told == {("7", "BTCUSDT"): "leg-a", ("7", "ETHUSDT"): "leg-b"}
            assert [fill.client_order_id for fill in await trading.fills(since_ms=0)] == ["leg-a", "leg-b"]

    run(trade())


def test_an_order_that_ended_unheard_is_missed_though_another_symbol_has_its_number(monkeypatch):
    let_every_order_be_number_7(monkeypatch)

    async def trade():
        lost = [{"kind": "event_lost", "on": "events", "at": 3, "times": 50}]
        async with desk_session(faults=lost) as (_, session):
            trading, other = CcxtTrading(session, PAIR), CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                for cid, symbol in (("leg-a", "BTCUSDT"), ("leg-b", "ETHUSDT")):
                    await trading.create_order(buy(cid, symbol, "1", type="limit", price=Decimal(1_000)))
                await other.cancel_order("BTCUSDT", "leg-a")
                trading._lifeline.cut("a test")
                await until(lambda: len(heard.of(Connection)) == 3)
            ended = [report.client_order_id for report in heard.of(OrderReport) if report.status.is_done]
            assert ended == ["leg-a"]

    run(trade())


def test_an_earlier_processs_orders_are_looked_up_symbol_by_symbol():
    class Client:
        """Two trades of two orders numbered 7; whoever asks for one is told by its symbol."""

        async def answer(self, body):
            wire.current_attempt().note_reply(200, {}, json.dumps(body))

        async def fapiPrivateGetUserTrades(self, params):  # noqa: N802 - ccxt's name
            trade = {"symbol": params["symbol"], "id": 1, "orderId": 7, "side": "BUY", "qty": "1", "price": "10"}
            await self.answer([trade | {"commission": "0", "commissionAsset": "USDT", "time": 1}])

        async def fapiPrivateGetOrder(self, params):  # noqa: N802 - ccxt's name
            await self.answer({"clientOrderId": f"of {params['symbol']} {params['orderId']}"})

    async def ask():
        async with desk_session() as (_, session):
            markets = {name: session.market_of(name) for name in PAIR}
            here = SimpleNamespace(endpoints=session.endpoints, clock=SimpleNamespace(now_ms=lambda: 1_000))
            account = BinanceAccount(here, Client(), markets, {name: name for name in PAIR}, ClientIds())
            told = {fill.symbol: fill.client_order_id for fill in await account.fills(0)}
            assert told == {"BTCUSDT": "of BTCUSDT 7", "ETHUSDT": "of ETHUSDT 7"}

    run(ask())
