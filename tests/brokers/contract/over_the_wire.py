"""A Binance dialect on the stage: the real ccxt client, over real sockets, against the desk server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from brokers.desk.server import DeskServer
from ccxt_bt_bridge.ccxt_market import FRESH_MS, CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.session import CcxtSession, Credentials, SessionSettings
from ccxt_bt_bridge.words import Connection, CreateOutcome, OrderRequest
from tests.brokers.contract.in_process import ExchangeOnFile, StagedRig
from tests.brokers.contract.rig import BTC, ETH, Adapter, Rig, World

TIMEOUTS = ("timeout_before_execution", "timeout_after_execution")
DIALECTS = {"usdm": "binanceusdm", "spot": "binance"}
BACKEND_TIMEOUT_MS = 100
SPEED = 3_600.0  # its time skips as the tests want it
TICK_S = 10.0  # between bars the streams say little: what is asked for is asked for
KEY = Credentials("desk-key", "desk-secret")


class WireRig(StagedRig):
    """The client's session is opened anew by ``restart``; the exchange lives on."""

    def __init__(self, world: World, stage: ExchangeOnFile, kind: str, port: int) -> None:
        super().__init__(world, stage, kind)
        self._settings = SessionSettings(
            DIALECTS[kind], credentials=KEY, url=f"http://127.0.0.1:{port}", recv_window_ms=1_500, timeout_ms=1_000
        )
        self._session: CcxtSession | None = None

    async def connect(self) -> None:
        """Open a session and both streams; returns when both are up."""
        self._session = await CcxtSession.open(self._settings)
        self.market = CcxtMarket(self._session, [ETH, BTC], "1h")
        self.trading = CcxtTrading(self._session, [ETH, BTC])
        connections = self.market.connections()
        self.listen()
        await self.market.start()
        await self.trading.start()
        async with asyncio.timeout(20.0):
            while not (await anext(connections)).is_up:
                pass
        await self.heard(Connection, lambda one: one.is_up)
        self.events.clear()

    async def disconnect(self) -> None:
        await self.deafen()
        if self._session is not None:
            await self.trading.close()
            await self.market.close()
            await self._session.close()

    async def pass_horizon(self) -> None:
        assert self._session is not None
        await asyncio.sleep(self._session.horizon_ms / 1000.0)

    async def let_prices_age(self) -> None:
        await asyncio.sleep(FRESH_MS / 1000.0 + 0.1)

    async def by_hand(self, request: OrderRequest) -> CreateOutcome:
        return await self._stage.exchange.create_order(request)

    async def restart(self) -> None:
        await self.disconnect()
        await self.connect()


class OverTheWire(Adapter):
    def __init__(self, kind: str) -> None:
        self.kind = kind

    @asynccontextmanager
    async def open(self, world: World) -> AsyncIterator[Rig]:
        lost = [_without_an_answer(fault) for fault in world.faults if fault["kind"] in TIMEOUTS]
        others = tuple(fault for fault in world.faults if fault["kind"] not in TIMEOUTS)
        with TemporaryDirectory() as folder:
            stage = ExchangeOnFile(replace(world, faults=others), self.kind, Path(folder))
            server = DeskServer(
                stage.exchange,
                dialect=DIALECTS[self.kind],
                backend_timeout_ms=BACKEND_TIMEOUT_MS,
                tick_s=TICK_S,
                speed=SPEED,
                faults=lost,
            )
            rig = WireRig(world, stage, self.kind, await server.start())
            try:
                await rig.connect()
                yield rig
            finally:
                await rig.disconnect()
                await server.close()
                await stage.close()

    def run(self, main: Awaitable[None]) -> None:
        asyncio.run(main)


def _without_an_answer(fault: Mapping[str, Any]) -> dict[str, Any]:
    """What "no answer" is on a wire: a new order's connection is closed; elsewhere a gateway says that it got none.

    (aiohttp asks again by itself when a kept-alive connection is closed under anything but a POST.)
    """
    on = fault.get("on", "create_order")
    kind = "close" if on == "create_order" else "http_504"
    return {**fault, "on": on, "kind": kind, "executed": fault["kind"] == "timeout_after_execution"}
