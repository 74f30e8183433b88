"""Thirty disconnects over a thousand bars of two symbols: every step whole, once, in order; no fill lost or doubled."""

from __future__ import annotations

import asyncio
from typing import Any

from brokers.desk.desk import Desk
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.step_driver import StepDriver
from ccxt_bt_bridge.words import Connection, Fill, Placed
from tests.brokers.desk.desks import minutes, until
from tests.ccxt_bt_bridge.sessions import PAIR, Heard, buy, desk_session, run, sell, started

BARS, DISCONNECTS, ORDERS = 1_000, 30, 40
USERS_EVERY = 3  # of the disconnects, the user stream's too
APART = 29  # steps: the last is well before the end
MINUTE_MS = 60_000


def downs(heard: Heard) -> int:
    return sum(not state.is_up for state in heard.of(Connection))


def is_up(heard: Heard) -> bool:
    return heard.of(Connection)[-1].is_up


async def cut_again_and_again(desk: Desk, steps: list[Any], market: Heard, user: Heard) -> None:
    """The next when the last has been felt and is over, and as many steps are done as are its share."""
    for number in range(DISCONNECTS):
        await until(lambda seen=number: is_up(market) and is_up(user) and len(steps) >= seen * APART)
        with_user, before = number % USERS_EVERY == 0, (downs(market), downs(user))
        for socket in list(desk.server.sockets):
            if socket.streams or with_user:
                socket.abort() if number % 2 else socket.close(1012)
        await until(lambda seen=before, more=with_user: (downs(market), downs(user)) == (seen[0] + 1, seen[1] + more))


async def trade(trading: CcxtTrading, steps: list[Any]) -> None:
    for number in range(ORDERS):
        await until(lambda seen=number: len(steps) >= seen * BARS // ORDERS)
        side = buy if number % 2 == 0 else sell
        assert isinstance(await trading.create_order(side(f"n{number}")), Placed)


def test_thirty_disconnects_lose_nothing():
    steps: list[Any] = []
    told: list[Any] = []

    async def live():
        async with desk_session(source=minutes(50 + BARS), speed=3_000.0) as (desk, session):
            market, trading = CcxtMarket(session, PAIR, "1m"), CcxtTrading(session, PAIR)
            driver = StepDriver(
                market,
                {"pair": PAIR},
                interval_ms=MINUTE_MS,
                clock=session.clock,
                on_steps=lambda come: steps.extend(step for _, step in come),
                on_told=told.append,
            )
            async with started(market) as bars, started(trading) as events:
                await until(lambda: bars.of(Connection) and events.of(Connection))
                walk = desk.walk()
                async with asyncio.TaskGroup() as tasks:
                    aligning = tasks.create_task(driver.run())
                    cutting = tasks.create_task(cut_again_and_again(desk, steps, bars, events))
                    tasks.create_task(trade(trading, steps))
                    await cutting
                    assert not walk.done(), "the market was over before the last disconnect"
                    await until(lambda: len(steps) >= BARS and len(events.of(Fill)) >= ORDERS)
                    aligning.cancel()
            assert (downs(bars), downs(events)) == (DISCONNECTS, DISCONNECTS // USERS_EVERY)
            assert [fill.client_order_id for fill in events.of(Fill)] == [f"n{number}" for number in range(ORDERS)]

    run(live())
    begin_ms = steps[0][0].time_ms
    expected = [[(symbol, begin_ms + at * MINUTE_MS) for symbol in PAIR] for at in range(BARS)]
    assert [[(bar.symbol, bar.time_ms) for bar in step] for step in steps] == expected
    assert told == []
