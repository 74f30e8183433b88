"""Sessions to test with: the real ccxt client against an exchange on the desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

from brokers.desk.desk import Desk
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.session import CcxtSession, Credentials, SessionSettings
from ccxt_bt_bridge.words import OrderRequest, Side
from tests.brokers.desk.desks import open_desk

DESK_KEY = Credentials("desk-key", "desk-secret")
PAIR = ("BTCUSDT", "ETHUSDT")
EXCHANGE_OF = {"usdm": "binanceusdm", "spot": "binance"}


def desk_settings(desk: Desk, kind: str = "usdm", **settings: Any) -> SessionSettings:
    return SessionSettings(EXCHANGE_OF[kind], **{"credentials": DESK_KEY, "url": desk.url, **settings})


@asynccontextmanager
async def open_session(settings: SessionSettings) -> AsyncIterator[CcxtSession]:
    session = await CcxtSession.open(settings)
    try:
        yield session
    finally:
        await session.close()


@asynccontextmanager
async def desk_session(kind: str = "usdm", *, settings: dict[str, Any] | None = None, **desk: Any) -> AsyncIterator:
    """An exchange on the desk of this kind, and a session with it."""
    terms = {"dialects": {EXCHANGE_OF[kind]: 0}, **desk}
    async with open_desk(**terms) as opened:
        async with open_session(desk_settings(opened, kind, **(settings or {}))) as session:
            yield opened, session


@asynccontextmanager
async def started(port: CcxtMarket | CcxtTrading) -> AsyncIterator[Heard]:
    """A port that streams, and what it has said."""
    heard = Heard()
    streams = [port.bars(), port.connections()] if isinstance(port, CcxtMarket) else [port.events()]
    tasks = [asyncio.create_task(heard.listen(stream)) for stream in streams]
    try:
        await port.start()
        yield heard
    finally:
        await port.close()
        await asyncio.gather(*tasks)


class Heard(list):
    """What came out of a stream, in order."""

    async def listen(self, stream: AsyncIterator[Any]) -> None:
        async for item in stream:
            self.extend(item if isinstance(item, tuple) else [item])

    def of(self, kind: type[Any]) -> list[Any]:
        return [item for item in self if isinstance(item, kind)]


def buy(cid: str, symbol: str = "BTCUSDT", amount: str = "0.01", **fields: Any) -> OrderRequest:
    return OrderRequest(cid, symbol, Side.BUY, Decimal(amount), **fields)


def sell(cid: str, symbol: str = "BTCUSDT", amount: str = "0.01", **fields: Any) -> OrderRequest:
    return OrderRequest(cid, symbol, Side.SELL, Decimal(amount), **fields)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """``asyncio.run`` with patience that ends."""

    async def bounded() -> Any:
        async with asyncio.timeout(60.0):
            return await work

    return asyncio.run(bounded())


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
