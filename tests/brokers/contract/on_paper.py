"""Paper trading on the stage: a simulated exchange stands for the real market, and only its prices are taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from brokers.paper.exchange import PaperExchange
from brokers.simulated.store import ExchangeStore
from brokers.simulated.venue import VenueTerms
from ccxt_bt_bridge.words import CreateOutcome, OrderRequest
from tests.brokers.contract.in_process import ExchangeOnFile, InProcess, StagedRig
from tests.brokers.contract.rig import BALANCE, BTC, ETH, TAKER_FEE, Rig, WallClock, World
from tests.brokers.markets import HOUR_MS
from tests.tasks import end_all

PUBLIC = ("history", "quote")


class PaperRig(StagedRig):
    """The paper account is in a file of its own and comes back from it; the market goes on meanwhile."""

    def __init__(self, world: World, stage: ExchangeOnFile, kind: str, path: Path) -> None:
        super().__init__(world, stage, kind)
        self._path = path
        self._paper: PaperExchange | None = None
        self._walk: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        leverage = Decimal(2) if self.kind == "usdm" else Decimal(1)
        self._paper = await PaperExchange.open(
            self._stage.exchange,
            ExchangeStore(self._path, fingerprint="paper"),
            symbols=(ETH, BTC),
            interval_ms=HOUR_MS,
            clock=WallClock(self._stage.clock),
            initial_balance=BALANCE,
            terms=VenueTerms(TAKER_FEE, Decimal(0), leverage, Decimal("0.5")),
            funding=self._world.funding,
            faults=[fault for fault in self._world.faults if fault.get("on") not in PUBLIC],
        )
        self.market = self.trading = self._paper
        self.listen()
        self._walk = asyncio.create_task(self._paper.run_market())

    async def end(self) -> None:
        await self.deafen()
        if self._walk is not None and self._paper is not None:
            await end_all([self._walk])
            self._paper.close()

    async def by_hand(self, request: OrderRequest) -> CreateOutcome:
        assert self._paper is not None
        return await self._paper.create_order(request)

    async def restart(self) -> None:
        await self.end()
        await self.begin()


class OnPaper(InProcess):
    @asynccontextmanager
    async def open(self, world: World) -> AsyncIterator[Rig]:
        with TemporaryDirectory() as folder:
            public = tuple(fault for fault in world.faults if fault.get("on") in PUBLIC)
            stage = ExchangeOnFile(replace(world, faults=public, funding={}), self.kind, Path(folder))
            rig = PaperRig(world, stage, self.kind, Path(folder) / "paper.sqlite")
            try:
                await rig.begin()
                yield rig
            finally:
                await rig.end()
                await stage.close()
