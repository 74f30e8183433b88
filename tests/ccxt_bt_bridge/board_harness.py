"""A real Cerebro on live feeds, with a hub that plays a script instead of waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import backtrader as bt

from ccxt_bt_bridge.feed import FeedBoard, LiveFeed
from ccxt_bt_bridge.hub import Hub
from ccxt_bt_bridge.words import Bar

HOUR_MS = 3_600_000


def bar(symbol: str, number: int, close: float = 100.0) -> Bar:
    """The bar of ``symbol`` that closes ``number`` hours after the start."""
    return Bar(symbol, number * HOUR_MS, close, close + 1.0, close - 1.0, close, 10.0)


class ScriptedHub(Hub):
    """Every wait does the script's next thing at once; when the script is over, the board ends."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[Callable[[], None]] = []
        self.waits = 0
        self.on_wait: Callable[[], None] = lambda: None
        self.at_the_end: Callable[[], None] = lambda: None

    def wait(self, timeout_s: float) -> None:
        self.waits += 1
        self.on_wait()
        (self.script.pop(0) if self.script else self.at_the_end)()


class CountingFeed(LiveFeed):
    """Counts how often Backtrader asks it."""

    loads = 0

    def load(self) -> bool | None:
        self.loads += 1
        return super().load()


def board_of(*symbols: str, hub: Hub | None = None, history: int = 0) -> FeedBoard:
    board = FeedBoard(hub or ScriptedHub())
    for symbol in symbols:
        board.add(symbol, [bar(symbol, number) for number in range(1, history + 1)])
    if isinstance(board.hub, ScriptedHub):
        board.hub.at_the_end = board.end
    return board


def put(board: FeedBoard, symbols: Iterable[str], number: int) -> Callable[[], None]:
    """A thing to do later: the bars of these symbols, all of one close."""

    def act() -> None:
        board.put_step([(symbol, bar(symbol, number)) for symbol in symbols])
        board.hub.kick()

    return act


def cerebro_on(
    board: FeedBoard,
    symbols: Iterable[str],
    strategy: type,
    *,
    feed_params: dict[str, Any] | None = None,
    **params: Any,
) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False, quicknotify=True)
    for number, symbol in enumerate(symbols):
        cerebro.adddata(
            CountingFeed(
                board=board,
                key=symbol,
                leader=number == 0,
                timeframe=bt.TimeFrame.Minutes,
                compression=60,
                name=symbol,
                **(feed_params or {}),
            )
        )
    cerebro.addstrategy(strategy, **params)
    return cerebro
