"""A whole exchange on the desk: market, account, clock and servers, opened and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from brokers.desk.clock import PacedClock
from brokers.desk.server import HOST, DeskServer
from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore


class Desk:
    """Open with ``async with``; one server per dialect, all over one account.

    ``walk()`` starts the market at once; ``wait_for_client`` starts it at the first kline subscription, and until then
    time stands just before the first moment. ``now_ms``: the time at the start, where it is later than the market's
    first moment. ``terms``: what ``SimulatedExchange`` takes. ``server_terms``: what every ``DeskServer`` takes.
    ``ports`` by dialect, 0 for any.
    """

    def __init__(
        self,
        source: MarketSource,
        store: ExchangeStore,
        *,
        ports: Mapping[str, int],
        speed: float = 1.0,
        wait_for_client: bool = False,
        now_ms: int | None = None,
        terms: Mapping[str, Any],
        server_terms: Mapping[str, Any] | None = None,
    ) -> None:
        start_ms = market_start_ms(source, store, warmup_bars=terms.get("warmup_bars", 0))
        epoch_ms = start_ms if now_ms is None else max(start_ms, now_ms)
        later = source.moments_after(epoch_ms)
        hold_at_ms = later[0] - 1 if wait_for_client and later else None
        loop_time = asyncio.get_running_loop().time
        self.clock = PacedClock(loop_time, epoch_ms, speed=speed, hold_at_ms=hold_at_ms)
        self.exchange = SimulatedExchange(source, store, clock=self.clock, **terms)
        self.servers: Sequence[DeskServer] = [
            DeskServer(self.exchange, dialect=dialect, port=port, speed=speed, **(server_terms or {}))
            for dialect, port in ports.items()
        ]
        self.ports: list[int] = []
        self._waits = wait_for_client
        self._walk: asyncio.Task[None] | None = None

    @property
    def server(self) -> DeskServer:
        """The first server."""
        return self.servers[0]

    @property
    def url(self) -> str:
        """Where the first server listens, for plain HTTP."""
        return f"http://{HOST}:{self.ports[0]}"

    def walk(self) -> asyncio.Task[None]:
        """The market's walk, started by the first call."""
        if self._walk is None:
            self._walk = asyncio.get_running_loop().create_task(self._run_market())
        return self._walk

    async def _run_market(self) -> None:
        if self._waits:
            waits = [asyncio.create_task(server.market.subscribed.wait()) for server in self.servers]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        self.clock.release()
        await self.exchange.run_market()

    async def __aenter__(self) -> Desk:
        try:
            self.ports = [await server.start() for server in self.servers]
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._walk is not None:
            self._walk.cancel()
            await asyncio.gather(self._walk, return_exceptions=True)
        for server in self.servers:
            await server.close()
        self.exchange.close()
