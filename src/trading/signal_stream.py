"""Signal generators on a market of their own: its history, its bars and its prices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from ccxt_bt_bridge.aligner import Step
from ccxt_bt_bridge.background import Background
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort
from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.step_driver import KeyedStep, StepDriver
from ccxt_bt_bridge.words import Quote
from trading.signal_terms import SignalTerms
from trading.signals import TradingSignal

HISTORY_BARS = 500  # at least: a Kalman filter needs some to settle

log = logging.getLogger(__name__)


class Generator(Protocol):
    """What a stream feeds."""

    symbols: tuple[str, str]
    bars_needed: int

    def take_step(self, step: Step) -> TradingSignal | None: ...

    def take_price(self, quote: Quote) -> TradingSignal | None: ...

    async def tell(self, signal: TradingSignal) -> None: ...


class SignalStream:
    """Signals of the past are told to nobody; a callback that takes its time holds up no price."""

    def __init__(
        self, generators: Sequence[Generator], terms: SignalTerms, market: MarketPort | None, clock: Clock | None
    ) -> None:
        if (market is None) is not (clock is None):
            raise ValueError("wanted a market and its clock, or neither; found one of them")
        self._generators, self._terms = tuple(generators), terms
        self._given = None if market is None or clock is None else (market, clock)
        self._telling = Background(log)
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until ``stop`` or the market's end, once at a time."""
        if self._running is not None:
            raise RuntimeError("these signals are being streamed already; stop them first")
        self._running = asyncio.get_running_loop().create_task(self._run())
        try:
            await asyncio.wait([self._running])
            if not self._running.cancelled():
                self._running.result()
        finally:
            self._running.cancel()
            self._running = None
            await self._telling.end()

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.sleep(0)

    async def _run(self) -> None:
        if self._given is not None:
            await self._follow(*self._given)
            return
        # ccxt is slow to import, and only this needs it.
        from trading.venues.public_market import public_market

        symbols = tuple(dict.fromkeys(symbol for one in self._generators for symbol in one.symbols))
        async with public_market(symbols, self._terms) as (market, session):
            await self._follow(market, session.clock, begin=market.start)

    async def _follow(
        self, market: MarketPort, clock: Clock, *, begin: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """``begin``: to be called once the history has been read."""
        prices = market.prices()
        driver = StepDriver(
            market,
            {number: one.symbols for number, one in enumerate(self._generators)},
            interval_ms=interval_ms(self._terms.interval),
            clock=clock,
            on_steps=self._on_steps,
            on_told=lambda told: None,
        )
        for number, generator in enumerate(self._generators):
            for step in await driver.history(number, max(HISTORY_BARS, generator.bars_needed)):
                generator.take_step(step)
        if begin is not None:
            await begin()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(driver.run())
            tasks.create_task(self._pump(prices))

    def _on_steps(self, steps: Sequence[KeyedStep]) -> None:
        for key, step in steps:
            assert isinstance(key, int)
            self._hand_on(self._generators[key], self._generators[key].take_step(step))

    async def _pump(self, prices: AsyncIterator[Quote]) -> None:
        async for quote in prices:
            for generator in self._generators:
                if quote.symbol in generator.symbols:
                    self._hand_on(generator, generator.take_price(quote))

    def _hand_on(self, generator: Generator, signal: TradingSignal | None) -> None:
        if signal is not None:
            self._telling.keep(generator.tell(signal))
