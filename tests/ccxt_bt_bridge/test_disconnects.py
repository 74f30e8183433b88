"""Thirty disconnects over a thousand bars of two symbols: every bar once, in order; no fill lost, none twice."""

from __future__ import annotations

from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.words import Bar, Connection, Fill, Placed
from tests.brokers.desk.desks import minutes, until
from tests.ccxt_bt_bridge.sessions import PAIR, buy, desk_session, run, sell, started

BARS, DISCONNECTS, ORDERS = 1_000, 30, 40
MINUTE_MS = 60_000


def cuts() -> list[dict]:
    every = BARS // DISCONNECTS
    market = [{"kind": "ws_drop", "on": "market_stream", "at": 2 * every * n} for n in range(1, DISCONNECTS)]
    return [*market, *({"kind": "ws_abort", "on": "user_stream", "at": 9 * n} for n in range(1, 10))]


def test_thirty_disconnects_lose_nothing():
    async def live():
        source = minutes(50 + BARS)
        async with desk_session(source=source, speed=6_000.0, server={"faults": cuts()}) as (desk, session):
            market, trading = CcxtMarket(session, PAIR, "1m"), CcxtTrading(session, PAIR)
            async with started(market) as bars, started(trading) as events:
                await until(lambda: bars.of(Connection) and events.of(Connection))
                desk.walk()
                for number in range(ORDERS):
                    await until(lambda seen=number: len(bars.of(Bar)) >= seen * 2 * BARS // ORDERS)
                    side = buy if number % 2 == 0 else sell
                    assert isinstance(await trading.create_order(side(f"n{number}")), Placed)
                await until(lambda: len(bars.of(Bar)) >= 2 * BARS)
                await until(lambda: len(events.of(Fill)) >= ORDERS)
            for symbol in PAIR:
                times = [bar.time_ms for bar in bars.of(Bar) if bar.symbol == symbol]
                assert times == list(range(times[0], times[0] + BARS * MINUTE_MS, MINUTE_MS))
            assert [fill.client_order_id for fill in events.of(Fill)] == [f"n{number}" for number in range(ORDERS)]
            assert sum(not state.is_up for state in bars.of(Connection)) >= DISCONNECTS - 5
            assert sum(not state.is_up for state in events.of(Connection)) >= 5

    run(live())
