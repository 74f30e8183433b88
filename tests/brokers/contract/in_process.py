"""The simulated exchange on the stage, in this process and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from brokers.market_rules import markets_for
from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.words import CreateOutcome, OrderRequest
from tests.brokers.contract.rig import BALANCE, START, TAKER_FEE, Adapter, Rig, StepClock, World
from tests.tasks import end_all
from tests.virtual_time import run_virtual

HORIZON_S = 14.0


class ExchangeOnFile:
    """A simulated exchange whose market a test moves; ``reopen`` is the death and return of the whole process."""

    def __init__(self, world: World, kind: str, folder: Path) -> None:
        self._world, self._kind, self._path = world, kind, folder / "exchange.sqlite"
        self.open()

    def open(self) -> None:
        source = MarketSource({one.symbol: one for one in self._world.series()})
        store = ExchangeStore(self._path, fingerprint="contract")
        loop = asyncio.get_running_loop()
        self.clock = StepClock(loop.time, market_start_ms(source, store, warmup_bars=START))
        self.exchange = SimulatedExchange(
            source,
            store,
            clock=self.clock,
            initial_balance=BALANCE,
            taker_fee=TAKER_FEE,
            slippage_bps=Decimal(0),
            funding=self._world.funding,
            warmup_bars=START,
            faults=self._world.faults,
            leverage=Decimal(2) if self._kind == "usdm" else Decimal(1),
            markets=markets_for(source.symbols, source.first_prices(), kind=self._kind, taker_fee=TAKER_FEE),
        )
        self._task = asyncio.create_task(self.exchange.run_market())

    async def close(self) -> None:
        await end_all([self._task])
        self.exchange.close()

    async def reopen(self) -> None:
        await self.close()
        self.open()


class StagedRig(Rig):
    """A client of whatever stands on a stage; where time is virtual, waiting costs nothing."""

    def __init__(self, world: World, stage: ExchangeOnFile, kind: str) -> None:
        super().__init__(world)
        self.kind, self._stage = kind, stage

    def release(self, until_ms: int) -> None:
        self._stage.clock.allow(until_ms)

    async def pass_horizon(self) -> None:
        await asyncio.sleep(HORIZON_S)

    async def let_prices_age(self) -> None:
        await asyncio.sleep(HORIZON_S)


class InProcessRig(StagedRig):
    def __init__(self, world: World, stage: ExchangeOnFile, kind: str) -> None:
        super().__init__(world, stage, kind)
        self.market = self.trading = stage.exchange
        self.listen()

    async def by_hand(self, request: OrderRequest) -> CreateOutcome:
        return await self._stage.exchange.create_order(request)

    async def restart(self) -> None:
        await self.deafen()
        await self._stage.reopen()
        self.market = self.trading = self._stage.exchange
        self.listen()


class InProcess(Adapter):
    def __init__(self, kind: str) -> None:
        self.kind = kind

    @asynccontextmanager
    async def open(self, world: World) -> AsyncIterator[Rig]:
        with TemporaryDirectory() as folder:
            stage = ExchangeOnFile(world, self.kind, Path(folder))
            rig = InProcessRig(world, stage, self.kind)
            try:
                yield rig
            finally:
                await rig.deafen()
                await stage.close()

    def run(self, main: Awaitable[None]) -> None:
        run_virtual(main)
