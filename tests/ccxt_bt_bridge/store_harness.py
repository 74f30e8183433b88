"""A store over a simulated exchange in process, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Any

from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.bridge_store import BridgeStore
from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.errors import MarketUnknown
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.words import Bar, Connection, Market
from tests.tasks import end_all


class OneInterval:
    """The part of a simulated market that a caller asked for, and a connection that the test may break."""

    def __init__(self, exchange: SimulatedExchange, symbols: Sequence[str]) -> None:
        self._exchange, self._symbols = exchange, symbols
        self.links: asyncio.Queue[Connection] = asyncio.Queue()

    async def markets(self) -> dict[str, Market]:
        known = await self._exchange.markets()
        unknown = [symbol for symbol in self._symbols if symbol not in known]
        if unknown:
            raise MarketUnknown(f"no market {unknown[0]}; it has {', '.join(known)}")
        return {symbol: known[symbol] for symbol in self._symbols}

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        return await self._exchange.history(symbol, limit=limit)

    def bars(self) -> AsyncIterator[tuple[Bar, ...]]:
        return self._exchange.bars()

    async def connections(self) -> AsyncIterator[Connection]:
        while True:
            yield await self.links.get()


class SimulatedPorts:
    """``sources``: a market by interval; orders go to the first."""

    def __init__(self, sources: dict[str, MarketSource], loop: LoopThread, **terms: Any) -> None:
        self._exchanges = {}
        terms = {"warmup_bars": 3, "initial_balance": Decimal(10_000), "slippage_bps": Decimal(0)} | terms
        for interval, source in sources.items():
            memory = ExchangeStore(None, fingerprint="m")
            epoch_ms = market_start_ms(source, memory, warmup_bars=terms["warmup_bars"])
            if not self._exchanges:
                self.clock = LoopClock(loop.loop.time, epoch_ms)
            self._exchanges[interval] = SimulatedExchange(source, memory, clock=self.clock, **terms)
        self.markets: dict[str, OneInterval] = {}
        self.is_closed = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def exchange(self) -> SimulatedExchange:
        return next(iter(self._exchanges.values()))

    async def market(self, symbols: Sequence[str], interval: str) -> MarketPort:
        self.markets[interval] = OneInterval(self._exchanges[interval], symbols)
        return self.markets[interval]  # type: ignore[return-value]

    async def trading(self, symbols: Sequence[str]) -> TradingPort:
        return self.exchange

    async def begin(self) -> None:
        run = [exchange.run_market() for exchange in self._exchanges.values()]
        self._tasks = [asyncio.get_running_loop().create_task(each) for each in run]

    async def close(self) -> None:
        self.is_closed = True
        await end_all(self._tasks)
        for exchange in self._exchanges.values():
            exchange.close()


def simulated_store(
    sources: dict[str, MarketSource],
    *,
    prepare: Callable[[SimulatedPorts], None] = lambda ports: None,
    opened: list[SimulatedPorts] | None = None,
    terms: dict[str, Any] | None = None,
    **options: Any,
) -> BridgeStore:
    async def open_ports(loop: LoopThread) -> SimulatedPorts:
        ports = SimulatedPorts(sources, loop, **(terms or {}))
        prepare(ports)
        if opened is not None:
            opened.append(ports)
        return ports

    return BridgeStore(open_ports, **{"speed": "max"} | options)
