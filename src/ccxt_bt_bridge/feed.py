"""Live Backtrader feeds: history first, then closed bars as they come, through one path.

Only the first feed that Backtrader asks waits, on the hub's one condition; the others look into their queue. Bars are
stamped at their close. ``LIVE`` is announced with the first live bar, before the strategy sees it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

import backtrader as bt

from ccxt_bt_bridge.bt_time import ms_to_num
from ccxt_bt_bridge.hub import Hub
from ccxt_bt_bridge.words import Bar

IDLE_WAIT_S = 0.5


class FeedBoard:
    """The bars of all feeds of one bridge on their way from the loop's thread to Backtrader's.

    A step is put as a whole: whoever finds one bar of it finds the others too.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.ended = False
        self._turn = threading.Lock()
        self._queues: dict[object, deque[tuple[Bar, bool]]] = {}

    def add(self, key: object, history: Iterable[Bar]) -> None:
        """A feed of its own for ``key``, beginning with closed bars of the past, oldest first."""
        self._queues[key] = deque((bar, False) for bar in history)

    def put_step(self, step: Iterable[tuple[object, Bar]]) -> None:
        """The live bars of one moment, by feed key. The caller kicks the hub."""
        with self._turn:
            for key, bar in step:
                self._queues[key].append((bar, True))

    def end(self) -> None:
        """No bar will follow: feeds end once their queues are empty."""
        self.ended = True
        self.hub.kick()

    def has_bars(self, key: object | None = None) -> bool:
        """Of one feed, or of any."""
        with self._turn:
            return any(self._queues.values()) if key is None else bool(self._queues[key])

    def pop(self, key: object) -> tuple[Bar, bool] | None:
        """The feed's next bar and whether it is live, or None."""
        with self._turn:
            queue = self._queues[key]
            return queue.popleft() if queue else None


class LiveFeed(bt.feed.DataBase):
    """One symbol of a board. ``leader`` is set on the first feed added: it alone waits.

    ``exchange_symbol``: its name at the exchange, the feed's own unless given. ``holding``: what its position is kept
    by, the board's ``key`` unless given: feeds of two intervals of one symbol hold one position.
    """

    params = (("board", None), ("key", None), ("leader", False), ("exchange_symbol", ""), ("holding", None))

    def __init__(self) -> None:
        super().__init__()
        self._board: FeedBoard = self.p.board
        self._may_wait = True

    @property
    def symbol(self) -> str:
        return self.p.exchange_symbol or self._name

    @property
    def holding(self) -> object:
        return self.p.key if self.p.holding is None else self.p.holding

    def islive(self) -> bool:
        return True

    def haslivedata(self) -> bool:
        return self._board.has_bars(self.p.key)

    def start(self) -> None:
        super().start()
        self.put_notification(self.DELAYED)

    def next(self, datamaster: bt.feed.DataBase | None = None, ticks: bool = True) -> bool | None:
        # With a datamaster Backtrader asks again, in the middle of a step that others have bars for: no waiting then.
        self._may_wait = datamaster is None
        return super().next(datamaster, ticks)

    def load(self) -> bool | None:
        # Look before Backtrader moves the lines forward: an idle cycle must not touch them.
        if not self._barstack and not self._barstash and not self.haslivedata():
            if self.p.leader and self._may_wait and not self._board.ended and not self._board.has_bars():
                self._board.hub.wait(IDLE_WAIT_S)
            if not self.haslivedata():
                return False if self._board.ended else None
        return super().load()

    def _load(self) -> bool | None:
        entry = self._board.pop(self.p.key)
        if entry is None:
            return False if self._board.ended else None
        bar, is_live = entry
        if is_live:
            self.put_notification(self.LIVE)
        lines = self.lines
        lines.datetime[0] = ms_to_num(bar.time_ms)
        lines.open[0], lines.high[0], lines.low[0], lines.close[0] = bar.open, bar.high, bar.low, bar.close
        lines.volume[0], lines.openinterest[0] = bar.volume, 0.0
        return True
