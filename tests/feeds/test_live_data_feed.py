"""A live feed of one symbol: history first, then live bars, nothing twice, and nothing left open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import backtrader as bt
import pytest

from ccxt_bt_bridge.bt_time import num_to_ms
from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import Bar, Connection
from feeds.live_data_feed import BaseLiveDataFeed

MINUTE_MS = 60_000


def bar(minute: int, symbol: str = "BTCUSDT") -> Bar:
    return Bar(symbol, minute * MINUTE_MS, 1.0 * minute, 2.0 * minute, 0.5 * minute, 1.5 * minute, 10.0)


class ScriptedMarket:
    """Three bars of the past, then these steps, then its end."""

    def __init__(self, steps: list[tuple[Bar, ...]]) -> None:
        self._steps = steps
        self.listened_first = False
        self.asked: list[tuple[str, int]] = []

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        self.asked.append((symbol, limit))
        return [bar(minute) for minute in (1, 2, 3)][-limit:]

    def bars(self) -> AsyncIterator[tuple[Bar, ...]]:
        self.listened_first = not self.asked
        return self._play()

    async def _play(self) -> AsyncIterator[tuple[Bar, ...]]:
        for step in self._steps:
            yield step

    async def connections(self) -> AsyncIterator[Connection]:
        yield Connection("market", True, 0)
        await asyncio.Event().wait()


class ScriptedFeed(BaseLiveDataFeed):
    """``script``: the market, or what opening it raises."""

    params = (("script", None),)
    closed = 0

    async def open_market(self) -> Any:
        if isinstance(self.p.script, Exception):
            raise self.p.script
        return self.p.script

    async def close_market(self) -> None:
        self.closed += 1


class Recorder(bt.Strategy):
    def __init__(self) -> None:
        self.closes: list[tuple[int, float]] = []
        self.statuses: list[str] = []

    def next(self) -> None:
        self.closes.append((num_to_ms(self.data.datetime[0]) // MINUTE_MS, self.data.close[0]))

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        self.statuses.append(data._getstatusname(status))


def run(feed: BaseLiveDataFeed, recorder: type[Recorder] = Recorder) -> Recorder:
    cerebro = bt.Cerebro(stdstats=False, quicknotify=True)
    cerebro.adddata(feed)
    cerebro.addstrategy(recorder)
    (strategy,) = cerebro.run()
    return strategy


def feed_of(*steps: tuple[Bar, ...], **params: Any) -> ScriptedFeed:
    return ScriptedFeed(script=ScriptedMarket(list(steps)), symbol="BTCUSDT", interval="1m", **params)


def test_history_comes_first_and_live_bars_follow_at_their_close():
    strategy = run(feed_of((bar(4),), (bar(5),)))
    assert strategy.closes == [(minute, 1.5 * minute) for minute in (1, 2, 3, 4, 5)]


def test_the_feed_says_when_it_is_live():
    assert run(feed_of((bar(4),))).statuses[:2] == ["DELAYED", "LIVE"]


def test_a_broken_connection_is_told_and_bars_are_live_again_after_it():
    class Breaking(ScriptedMarket):
        def __init__(self, steps: list[tuple[Bar, ...]]) -> None:
            super().__init__(steps)
            self.turns = [asyncio.Event() for _ in steps]

        async def _play(self) -> AsyncIterator[tuple[Bar, ...]]:
            for number, step in enumerate(self._steps):
                yield step
                await self._said(number)

        async def connections(self) -> AsyncIterator[Connection]:
            for number, is_up in enumerate([True, False, False, True, True]):
                await self.turns[number].wait()
                yield Connection("market", is_up, 0, "" if is_up else "the connection broke")

        async def _said(self, number: int) -> None:
            self.turns[number].set()
            for _ in range(10):  # turns of the loop, until it was heard
                await asyncio.sleep(0)

    steps = [(bar(minute),) for minute in (4, 5, 6, 7, 8)]
    feed = ScriptedFeed(script=Breaking(steps), symbol="BTCUSDT", interval="1m")
    strategy = run(feed)
    assert strategy.statuses == ["DELAYED", "LIVE", "CONNBROKEN", "DELAYED", "LIVE"]
    assert [minute for minute, _ in strategy.closes] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_bar_that_history_had_does_not_come_again():
    strategy = run(feed_of((bar(2),), (bar(3),), (bar(4),), (bar(4),), (bar(5),)))
    assert [minute for minute, _ in strategy.closes] == [1, 2, 3, 4, 5]


def test_bars_of_other_symbols_are_not_its_own():
    strategy = run(feed_of((bar(4, "ETHUSDT"), bar(4)), (bar(5, "ETHUSDT"),)))
    assert [minute for minute, _ in strategy.closes] == [1, 2, 3, 4]


def test_it_listens_before_it_reads_history_and_asks_for_as_much_as_it_was_told():
    feed = feed_of((bar(4),), lookback_bars=2)
    run(feed)
    assert feed.p.script.listened_first and feed.p.script.asked == [("BTCUSDT", 2)]


def test_the_status_counts_what_came():
    feed = feed_of((bar(4),))
    assert feed.get_status() == {
        "symbol": "BTCUSDT", "interval": "1m", "data_points": 0, "last_bar": None, "connected": False
    }  # fmt: skip
    run(feed)
    status = feed.get_status()
    assert (status["data_points"], status["last_bar"]) == (4, "1970-01-01T00:04:00Z")
    assert status["connected"] is False


def test_after_a_run_nothing_is_left_open():
    threads = threading.active_count()
    feed = feed_of((bar(4),))
    run(feed)
    assert feed.closed and threading.active_count() == threads


def test_a_source_that_cannot_be_reached_is_an_error_and_leaves_nothing_open():
    threads = threading.active_count()
    feed = ScriptedFeed(script=ExchangeUnreachable("no network"), symbol="BTCUSDT", interval="1m")
    with pytest.raises(ExchangeUnreachable, match="no network"):
        run(feed)
    assert feed.closed and threading.active_count() == threads


def test_a_source_that_does_not_say_how_it_opens_is_told_so():
    with pytest.raises(NotImplementedError, match="BaseLiveDataFeed does not say how"):
        run(BaseLiveDataFeed(symbol="BTCUSDT", interval="1m"))


def test_an_unknown_interval_is_refused_at_once():
    with pytest.raises(ValueError, match="unknown interval '7m'"):
        ScriptedFeed(symbol="BTCUSDT", interval="7m")
