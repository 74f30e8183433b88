"""The stage of the contract suite: an exchange, one client of it, and a hand on the market's clock.

An adapter opens a ``World`` and hands out a ``Rig``; every test speaks to its rig alone, so that it cannot tell a port
in the same process from one behind sockets.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from brokers.desk.clock import PacedClock
from brokers.funding import FundingSchedule
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.series import BarSeries
from ccxt_bt_bridge.words import (
    Account,
    Bar,
    CreateOutcome,
    Fill,
    OrderReport,
    OrderRequest,
    Placed,
    Quote,
    Side,
    UserEvent,
)
from tests.brokers.markets import bars, hours
from tests.tasks import end_all

ETH, BTC = "ETHUSDT", "BTCUSDT"
BALANCE = Decimal(10_000)
TAKER_FEE = Decimal("0.0005")
START = 2  # hours of warm-up
# Longer than any answer takes, so that a time-out means that none came.
PATIENCE_S = 20.0

Event = TypeVar("Event")


def rising(count: int = 12) -> BarSeries:
    """ETH: the bar that forms from hour h on opens at 100 + h and closes one higher."""
    return bars(ETH, [(100 + at, 101 + at) for at in range(count)])


def halted() -> BarSeries:
    """ETH as ``rising``, without the bars that would form from hour 4 to hour 7."""
    return bars(ETH, [None if 4 <= at < 7 else (100 + at, 101 + at) for at in range(12)])


def swinging() -> BarSeries:
    """ETH at 100, from hour 4 on at 90, from hour 6 on at 110, and back at 100 from hour 8 on."""
    levels = [100.0] * 4 + [90.0] * 2 + [110.0] * 2 + [100.0] * 4
    return bars(ETH, [(level, level) for level in levels])


def steady(count: int = 12) -> BarSeries:
    """BTC at 200 all the time."""
    return bars(BTC, [(200, 200)] * count)


@dataclass(frozen=True, slots=True)
class World:
    """What the exchange of one test is like. It begins at hour ``START``; ETH first, and BTC, which never halts."""

    eth: Callable[[], BarSeries] = rising
    faults: tuple[Mapping[str, Any], ...] = ()
    funding: Mapping[str, FundingSchedule] = field(default_factory=dict)

    def series(self) -> tuple[BarSeries, ...]:
        return self.eth(), steady()

    def closing_at(self, time_ms: int) -> set[str]:
        """The symbols that have a bar of this close."""
        return {one.symbol for one in self.series() if time_ms in one.time_ms}


class StepClock(PacedClock):
    """Exchange time by hand: milliseconds pass as on the loop, and the next bar comes when it is allowed to."""

    def __init__(self, loop_time: Callable[[], float], epoch_ms: int) -> None:
        super().__init__(loop_time, epoch_ms)
        self._allowed_ms = epoch_ms
        self._changed = asyncio.Event()

    async def sleep_until(self, when_ms: int) -> None:
        await asyncio.sleep(0)
        while self._allowed_ms < when_ms:
            await self._changed.wait()
        self._jump(max(self.now_ms(), when_ms))

    async def jumped(self) -> None:
        """Returns when more of the market has been allowed."""
        await self._changed.wait()

    def allow(self, until_ms: int) -> None:
        """Let everything up to ``until_ms`` happen."""
        self._allowed_ms = max(self._allowed_ms, until_ms)
        self._changed.set()
        self._changed = asyncio.Event()


class WallClock:
    """The same time for who waits for so and so long, and not for the market: it passes by itself."""

    def __init__(self, hand: StepClock) -> None:
        self._hand = hand

    def now_ms(self) -> int:
        return self._hand.now_ms()

    async def sleep_until(self, when_ms: int) -> None:
        await asyncio.sleep(0)
        while (left_ms := when_ms - self.now_ms()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hand.jumped(), left_ms / 1000.0)


class Rig(ABC):
    """One client's view. ``events``, ``steps`` (bars of one moment) and ``prices`` grow as they arrive."""

    kind: str
    market: MarketPort
    trading: TradingPort

    def __init__(self, world: World) -> None:
        self._world, self._hour = world, START
        self.events: list[UserEvent] = []
        self.steps: list[tuple[Bar, ...]] = []
        self.prices: list[Quote] = []
        self._news = asyncio.Condition()
        self._pumps: list[asyncio.Task[None]] = []

    # what an adapter does

    @abstractmethod
    def release(self, until_ms: int) -> None:
        """Let the market move up to this time."""

    @abstractmethod
    async def pass_horizon(self) -> None:
        """Let so much time pass that an order sent before cannot turn up any more; no bar closes."""

    @abstractmethod
    async def let_prices_age(self) -> None:
        """Let so much time pass that no price that was told before counts as the price now; no bar closes."""

    @abstractmethod
    async def by_hand(self, request: OrderRequest) -> CreateOutcome:
        """An order of the same account that this client did not send."""

    @abstractmethod
    async def restart(self) -> None:
        """The client dies and a new one takes its place: ``market`` and ``trading`` are new, events begin anew."""

    # what every test may use

    def listen(self) -> None:
        """Begin to gather what the streams bring."""
        self.events, self.steps, self.prices = [], [], []
        self._pumps = [
            asyncio.create_task(self._gather(self.trading.events(), self.events)),
            asyncio.create_task(self._gather(self.market.bars(), self.steps)),
            asyncio.create_task(self._gather(self.market.prices(), self.prices)),
        ]

    async def deafen(self) -> None:
        await end_all(self._pumps)

    async def go_to(self, hour: int) -> None:
        """The market moves on to this hour, bar by bar; returns when the bars that close then have arrived."""
        while self._hour < hour:
            self._hour += 1
            self.release(hours(self._hour))
            await self._bars_of(self._hour)

    async def _bars_of(self, hour: int) -> None:
        wanted = self._world.closing_at(hours(hour))
        await self._until(lambda: wanted <= self._closed_at(hours(hour)), f"the bars of {hour}:00")

    async def heard(self, kind: type[Event], wanted: Callable[[Event], bool] = lambda _: True) -> Event:
        """The first event of a kind that is as wanted, waiting for it."""

        def matching() -> list[Event]:
            return [one for one in self.events if isinstance(one, kind) and wanted(one)]

        await self._until(lambda: bool(matching()), f"a {kind.__name__}")
        return matching()[0]

    async def heard_price(self, symbol: str, since_hour: int) -> Quote:
        """The first price of a symbol that was told at this hour or later."""

        def told() -> list[Quote]:
            return [one for one in self.prices if one.symbol == symbol and one.time_ms >= hours(since_hour)]

        await self._until(lambda: bool(told()), f"a price of {symbol}")
        return told()[0]

    async def heard_fills(self, count: int) -> list[Fill]:
        """All fills told so far, once there are so many."""
        await self._until(lambda: len(self.told(Fill)) >= count, f"{count} fills")
        return self.told(Fill)

    async def heard_end(self, client_order_id: str) -> OrderReport:
        """The report with which an order ended."""
        return await self.heard(OrderReport, lambda r: r.client_order_id == client_order_id and r.status.is_done)

    def told(self, kind: type[Event]) -> list[Event]:
        return [one for one in self.events if isinstance(one, kind)]

    async def send(self, request: OrderRequest) -> CreateOutcome:
        return await self.trading.create_order(request)

    async def placed(self, request: OrderRequest) -> OrderReport:
        """Send, and insist on its being placed."""
        outcome = await self.send(request)
        assert isinstance(outcome, Placed), outcome
        return outcome.report

    async def traces(self) -> tuple[Account, int, int]:
        """Account, number of open orders, number of fills."""
        trading = self.trading
        opened, fills = await trading.open_orders(), await trading.fills(since_ms=hours(0))
        return await trading.account(), len(opened), len(fills)

    async def held(self, symbol: str = ETH) -> Decimal:
        return (await self.trading.account()).amount(symbol)

    def _closed_at(self, time_ms: int) -> set[str]:
        return {bar.symbol for step in self.steps for bar in step if bar.time_ms == time_ms}

    async def _gather(self, stream: Any, into: list[Any]) -> None:
        async for item in stream:
            async with self._news:
                into.append(item)
                self._news.notify_all()

    async def _until(self, done: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S), self._news:
                await self._news.wait_for(done)
        except TimeoutError:
            raise AssertionError(f"{what} never came; events: {self.events}; steps: {len(self.steps)}") from None


class Adapter(ABC):
    """How one broker is put on the stage. ``kind``: "usdm" or "spot"."""

    kind: str

    @abstractmethod
    def open(self, world: World) -> AbstractAsyncContextManager[Rig]:
        """A rig that listens, at hour ``START``, with an account of ``BALANCE``."""

    @abstractmethod
    def run(self, main: Awaitable[None]) -> None:
        """A fresh event loop, in the time this broker needs: virtual in process, real over sockets."""

    async def play(self, world: World, scenario: Callable[[Rig], Awaitable[None]]) -> None:
        async with self.open(world) as rig:
            await scenario(rig)


class Contract:
    """Base of every group of promises; who keeps them says so by its ``adapter``."""

    adapter: Adapter


def played(**world: Any) -> Callable[[Any], Any]:
    """Makes a test of ``async def test(self, rig)``, played in this world."""

    def decorate(scenario: Any) -> Any:
        def test(self: Contract) -> None:
            self.adapter.run(self.adapter.play(World(**world), lambda rig: scenario(self, rig)))

        # Not functools.wraps: pytest would look for a fixture of the scenario's argument.
        test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
        return test

    return decorate


def failing(on: str, kind: str = "timeout_before_execution") -> dict[str, str]:
    """A fault of the first such call from hour 3 on: by then a client has asked what it asks at its start."""
    return {"kind": kind, "on": on, "at": "2024-01-01T03:00:00Z"}


def order(client_order_id: str, amount: str | Decimal, symbol: str = ETH, **more: Any) -> OrderRequest:
    """A signed amount: negative sells."""
    signed = Decimal(amount)
    side = Side.BUY if signed > 0 else Side.SELL
    return OrderRequest(client_order_id, symbol, side, abs(signed), **more)


def limit(client_order_id: str, amount: str | Decimal, price: str | int, **more: Any) -> OrderRequest:
    return order(client_order_id, amount, type="limit", price=Decimal(price), **more)


def stop(client_order_id: str, amount: str | Decimal, trigger: str | int, **more: Any) -> OrderRequest:
    return order(client_order_id, amount, type="stop", trigger_price=Decimal(trigger), **more)
