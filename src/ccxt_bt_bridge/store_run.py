"""One run of a store on the exchange loop: from connecting to the last task's end."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ccxt_bt_bridge.aligner import MissingLeg, Step
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.feed import CONNBROKEN, DELAYED, FeedBoard
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.market_rules import require_open
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.single_orders import SingleOrderGateway
from ccxt_bt_bridge.step_driver import KeyedStep, StepDriver, StepTold
from ccxt_bt_bridge.words import Market, PositionReport

log = logging.getLogger(__name__)

FeedKey = tuple[str, object, str]  # interval, group, symbol


class ExchangePorts(Protocol):
    """What a store needs of an exchange. Everything on the loop."""

    clock: Clock

    async def market(self, symbols: Sequence[str], interval: str) -> MarketPort:
        """Bars of these symbols; none come before ``begin``. Raises ``MarketUnknown``."""

    async def trading(self, symbols: Sequence[str]) -> TradingPort:
        """With its user stream begun. Raises ``KeyRefused``."""

    async def begin(self) -> None:
        """Let the bars of every market come."""

    async def close(self) -> None:
        """Leave no socket and no task. May be called again."""


@dataclass(frozen=True, slots=True)
class FeedGroup:
    """Symbols that come together, with ``history`` bars of the past."""

    interval: str
    name: object
    symbols: tuple[str, ...]
    history: int

    def key(self, symbol: str) -> FeedKey:
        return self.interval, self.name, symbol


@dataclass(frozen=True, slots=True)
class StoreTerms:
    """How missing legs are treated, and what our order ids begin with. Raises ``ValueError``."""

    policy: MissingLeg
    grace_s: float
    id_prefix: str

    def __post_init__(self) -> None:
        if not 0.0 <= self.grace_s < math.inf:
            raise ValueError(f"grace_s is {self.grace_s}; it must be 0 or more seconds")


class StoreRun:
    """``open`` before, ``close`` after; both on ``loop``. ``tell`` hears sentences, ``fail`` what ends the run."""

    def __init__(
        self,
        loop: LoopThread,
        board: FeedBoard,
        groups: Sequence[FeedGroup],
        *,
        terms: StoreTerms,
        tell: Callable[[str], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.gateway: SingleOrderGateway | None = None
        self.positions: tuple[PositionReport, ...] = ()
        self._loop, self._board, self._groups, self._terms = loop, board, groups, terms
        self._say, self._fail = tell, fail
        self._ports: ExchangePorts | None = None
        self._rules: dict[str, Market] = {}
        self._closes: dict[str, float] = {}
        self._down: set[str] = set()
        self._drivers: dict[str, StepDriver] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, ports: Coroutine[Any, Any, ExchangePorts], *, with_trading: bool) -> None:
        """Connected, history on the board, account read, bars coming. Raises ``BridgeError``; ``close`` then too."""
        self._ports = await ports
        for interval in dict.fromkeys(group.interval for group in self._groups):
            await self._open_market(self._ports, interval)
        if with_trading:
            await self._open_trading(self._ports)
        for interval, driver in self._drivers.items():
            self._keep(driver.run(), f"bars of {interval}")
        await self._ports.begin()

    async def close(self) -> None:
        """The end of everything that ``open`` began, also half-way. May be called again."""
        if self.gateway is not None:
            await self.gateway.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._ports is not None:
            await self._ports.close()

    # opening

    async def _open_market(self, ports: ExchangePorts, interval: str) -> None:
        groups = [group for group in self._groups if group.interval == interval]
        symbols = tuple(dict.fromkeys(symbol for group in groups for symbol in group.symbols))
        market = await ports.market(symbols, interval)
        rules = await market.markets()
        require_open(rules.values())
        self._rules |= rules
        driver = self._drivers[interval] = StepDriver(
            market,
            {group: group.symbols for group in groups},
            interval_ms=interval_ms(interval),
            clock=ports.clock,
            on_steps=self._on_steps,
            on_told=self._on_told,
            policy=self._terms.policy,
            grace_s=self._terms.grace_s,
        )
        self._keep(self._follow(market, interval), f"connection of {interval}")
        for group in groups:
            self._add_history(group, await driver.history(group, group.history) if group.history else [])

    def _add_history(self, group: FeedGroup, steps: list[Step]) -> None:
        for number, symbol in enumerate(group.symbols):
            self._board.add(group.key(symbol), [step[number] for step in steps])
        if steps:
            self._closes.update((bar.symbol, bar.close) for bar in steps[-1])

    async def _open_trading(self, ports: ExchangePorts) -> None:
        gateway = SingleOrderGateway(
            self._loop,
            await ports.trading(tuple(self._rules)),
            self._rules,
            clock=ports.clock,
            tell=self._say,
            on_defect=self._fail,
            id_prefix=self._terms.id_prefix,
        )
        self.positions = await gateway.start()
        self.gateway = gateway
        gateway.take_closes(self._closes)

    # while it runs

    def _on_steps(self, steps: Sequence[KeyedStep]) -> None:
        keyed = [(group.key(bar.symbol), bar) for group, step in steps for bar in step]  # type: ignore[attr-defined]
        if self.gateway is not None:
            self.gateway.take_closes({bar.symbol: bar.close for _, bar in keyed})
        self._board.put_step(keyed, is_live=keyed[0][0][0] not in self._down)
        self._board.hub.kick()

    def _on_told(self, told: StepTold) -> None:
        what = "carried on without" if told.is_carried else "left out for want of"
        closed = ms_to_datetime(told.time_ms).strftime("%Y-%m-%d %H:%M UTC")
        self._say(f"the bar of {closed} was {what} {', '.join(told.missing)}")

    async def _follow(self, market: MarketPort, interval: str) -> None:
        keys = [group.key(symbol) for group in self._groups if group.interval == interval for symbol in group.symbols]
        async for connection in market.connections():
            if connection.is_up:
                self._down.discard(interval)
            else:
                self._down.add(interval)
                self._say(f"no bars of {interval} at the moment: {connection.reason}")
            self._board.put_status(keys, DELAYED if connection.is_up else CONNBROKEN)
            self._board.hub.kick()

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("store_task_failed name=%s", task.get_name(), exc_info=error)
            self._fail(error)
        elif not task.cancelled() and not any(each.get_name().startswith("bars of") for each in self._tasks):
            self._board.end()


def groups_of(wanted: Mapping[FeedKey, int]) -> list[FeedGroup]:
    """Feeds by key, with the history each asked for, as groups; a group has the longest of its feeds."""
    groups: dict[tuple[str, object], dict[str, int]] = {}
    for (interval, name, symbol), history in wanted.items():
        groups.setdefault((interval, name), {})[symbol] = history
    return [
        FeedGroup(interval, name, tuple(symbols), max(symbols.values())) for (interval, name), symbols in groups.items()
    ]
