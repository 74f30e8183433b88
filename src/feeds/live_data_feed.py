"""``BaseLiveDataFeed``: one symbol from a live source into any Backtrader script, history first.

A feed of its own loop and connection, for one symbol alone. Legs that must arrive together come from ``CcxtStore``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.feed import CONNBROKEN, DELAYED, FeedBoard, LiveFeed
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.port import MarketPort
from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.words import Bar, Connection
from feeds.array_feed import backtrader_timeframe

STOP_LIMIT_S = 5.0

log = logging.getLogger(__name__)


class BaseLiveDataFeed(LiveFeed):
    """A source of live bars. A new one says how its market is opened and closed, and is added to ``DataFeedFactory``.

    ``interval``: such as "1m"; ``lookback_bars``: closed bars of the past that come first. Starting raises what
    ``open_market`` and ``MarketPort.history`` raise, and leaves nothing open then. CONNBROKEN is told while the
    connection is broken, then DELAYED until the next live bar.
    """

    params: Any = (("symbol", ""), ("interval", "1h"), ("lookback_bars", 1_000))

    def __init__(self) -> None:
        self.p.key, self.p.leader = self.p.symbol, True
        self.p.timeframe, self.p.compression = backtrader_timeframe(interval_ms(self.p.interval))
        self.p.name = self.p.name or self.p.symbol
        super().__init__()
        self._loop: LoopThread | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._newest: Bar | None = None
        self._data_points = 0
        self._is_connected = False

    async def open_market(self) -> MarketPort:
        """Connect; on the feed's own loop."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its market is opened")

    async def close_market(self) -> None:
        """Let go of what ``open_market`` opened, also when it failed half-way. May be called again."""

    def get_status(self) -> dict[str, Any]:
        """JSON values: symbol, interval, data_points (bars so far), last_bar (its close), connected."""
        last = self._newest
        return {
            "symbol": self.p.symbol,
            "interval": self.p.interval,
            "data_points": self._data_points,
            "last_bar": None if last is None else f"{ms_to_datetime(last.time_ms):%Y-%m-%dT%H:%M:%SZ}",
            "connected": self._is_connected,
        }

    # Backtrader's thread

    def start(self) -> None:
        self._loop = LoopThread()
        self._board = FeedBoard(self._loop.hub)
        self._loop.start()
        try:
            self._loop.call(self._begin())
        except BaseException:
            self._end()
            raise
        super().start()

    def stop(self) -> None:
        super().stop()
        self._end()

    def _end(self) -> None:
        if self._loop is not None:
            self._loop.call(self._close(), STOP_LIMIT_S)
            self._loop.stop()
            self._loop.close()
            self._loop = None

    # the loop's thread

    async def _begin(self) -> None:
        market = await self.open_market()
        bars, connections = market.bars(), market.connections()  # before history is read: nothing meanwhile is lost
        history = await market.history(self.p.symbol, limit=self.p.lookback_bars)
        self._board.add(self.p.key, history)
        self._note(history)
        self._is_connected = True
        self._keep(self._pump(bars, after_ms=history[-1].time_ms if history else 0))
        self._keep(self._watch(connections))

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._is_connected = False
        await self.close_market()

    async def _pump(self, bars: AsyncIterator[tuple[Bar, ...]], *, after_ms: int) -> None:
        try:
            async for step in bars:
                new = [bar for bar in step if bar.symbol == self.p.symbol and bar.time_ms > after_ms]
                after_ms = max([after_ms, *(bar.time_ms for bar in new)])
                for bar in new:
                    self._board.put_step([(self.p.key, bar)], is_live=self._is_connected)
                self._note(new)
                self._board.hub.kick()
        finally:
            self._board.end()

    async def _watch(self, connections: AsyncIterator[Connection]) -> None:
        async for connection in connections:
            if connection.is_up != self._is_connected:
                self._is_connected = connection.is_up
                self._board.put_status([self.p.key], DELAYED if connection.is_up else CONNBROKEN)
                self._board.hub.kick()
            log.info("feed_connection symbol=%s up=%s reason=%s", self.p.symbol, connection.is_up, connection.reason)

    def _note(self, bars: list[Bar]) -> None:
        self._data_points += len(bars)
        self._newest = bars[-1] if bars else self._newest

    def _keep(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))
