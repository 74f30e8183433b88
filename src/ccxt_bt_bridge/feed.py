"""Live Backtrader feeds: history first, then closed bars as they come, through one path.

Only the first feed that Backtrader asks waits, on the hub's one condition; the others look into their queue. Bars are
stamped at their close. A feed is DELAYED from its start, LIVE with its first live bar, CONNBROKEN while bars cannot
come and DELAYED again until the next live one; each is announced before the strategy sees the bar.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

import backtrader as bt

from ccxt_bt_bridge.bt_time import ms_to_num
from ccxt_bt_bridge.hub import Hub
from ccxt_bt_bridge.words import Bar

IDLE_WAIT_S = 0.5
COLUMNS = ("datetime", "open", "high", "low", "close", "volume", "openinterest")
DELAYED, LIVE, CONNBROKEN = bt.feed.DataBase.DELAYED, bt.feed.DataBase.LIVE, bt.feed.DataBase.CONNBROKEN


class FeedBoard:
    """The bars of all feeds of one bridge on their way from the loop's thread to Backtrader's.

    A step is put as a whole: whoever finds one bar of it finds the others too.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.ended = False
        self._turn = threading.Lock()
        self._queues: dict[object, deque[Any]] = {}  # a status, or a bar with the status it comes with

    def begin(self, hub: Hub) -> None:
        """A new run, on another loop: nothing is left of an earlier one."""
        self.hub, self.ended = hub, False
        self._queues.clear()

    def add(self, key: object, history: Iterable[Bar]) -> None:
        """A feed of its own for ``key``, beginning with closed bars of the past, oldest first."""
        self._queues[key] = deque((bar, DELAYED) for bar in history)

    def put_step(self, step: Iterable[tuple[object, Bar]], *, is_live: bool = True) -> None:
        """The bars of one moment, by feed key; not live: they come late, after a silence. The caller kicks the hub."""
        status = LIVE if is_live else DELAYED
        with self._turn:
            for key, bar in step:
                self._queues[key].append((bar, status))

    def put_status(self, keys: Iterable[object], status: int) -> None:
        """From here on these feeds are so, without a bar. The caller kicks the hub."""
        with self._turn:
            for key in keys:
                self._queues[key].append(status)

    def end(self) -> None:
        """No bar will follow: feeds end once their queues are empty."""
        self.ended = True
        self.hub.kick()

    def has_bars(self, key: object | None = None) -> bool:
        """Whether there is anything for one feed, or for any."""
        with self._turn:
            return any(self._queues.values()) if key is None else bool(self._queues[key])

    def take(self, key: object) -> tuple[Bar, int] | int | None:
        """What comes next for a feed: a bar with the status it has with it, a status alone, or nothing so far."""
        with self._turn:
            queue = self._queues[key]
            return queue.popleft() if queue else None


class LiveClone(bt.feed.DataClone):
    """A live feed once more, to be resampled beside itself."""

    def _check(self, forcedata: bt.feed.DataBase | None = None) -> None:
        if forcedata is not None:  # see LiveFeed
            super()._check(forcedata=forcedata)


class LiveFeed(bt.feed.DataBase):
    """One symbol of a board. ``leader`` is set on the first feed added: it alone waits.

    ``exchange_symbol``: its name at the exchange, the feed's own unless given. ``holding``: what its position is kept
    by, the board's ``key`` unless given: feeds of two intervals of one symbol hold one position.
    """

    params: Any = (("board", None), ("key", None), ("leader", False), ("exchange_symbol", ""), ("holding", None))

    # Backtrader fills these once per bar and data, the dearest part of a step. None: its broker reads the bar itself.
    tick_last = tick_open = tick_high = tick_low = tick_close = tick_volume = tick_openinterest = None

    def __init__(self) -> None:
        self._time = self.lines.datetime
        super().__init__()
        self._board: FeedBoard = self.p.board
        self._key = self.p.key
        self._taken: tuple[Bar, int] | None = None
        self._may_wait = True
        self._is_plain: bool | None = None

    def __len__(self) -> int:
        return self._time.lencount

    @property
    def symbol(self) -> str:
        return self.p.exchange_symbol or self._name

    @property
    def holding(self) -> object:
        return self.p.key if self.p.holding is None else self.p.holding

    def islive(self) -> bool:
        return True

    def haslivedata(self) -> bool:
        return self._taken is not None or self._board.has_bars(self._key)

    def start(self) -> None:
        super().start()
        lines = self.lines
        self._columns = tuple(getattr(lines, name) for name in COLUMNS)
        # By name, each access costs Backtrader and the strategy a search, unless it is found here.
        for name, line in zip(COLUMNS, self._columns, strict=True):
            setattr(self, name, line)
        self._env.p.quicknotify = True  # else an order's news is held back until the next bar: an hour, or for ever
        self.put_notification(self.DELAYED)

    def next(self, datamaster: bt.feed.DataBase | None = None, ticks: bool = True) -> bool | None:
        # With a datamaster Backtrader asks again, in the middle of a step that others have bars for: no waiting then.
        self._may_wait = datamaster is None
        if self._may_wait and self._is_plain and self._time.lencount >= len(self._time.array):
            return self.load()
        return super().next(datamaster, ticks)

    def load(self) -> bool | None:
        # Look before Backtrader moves the lines forward: an idle cycle must not touch them.
        if not self._barstack and not self._barstash and not self._has_bar():
            if self.p.leader and self._may_wait and not self._board.ended and not self._board.has_bars():
                self._board.hub.wait(IDLE_WAIT_S)
            if not self._has_bar():
                return False if self._board.ended else None
        if self._is_plain is None:
            self._is_plain = self._looks_plain()
        if not self._is_plain:
            return super().load()
        for line, value in zip(self._columns, self._values(), strict=True):
            line._idx += 1  # as line.forward(value), at a third of its time
            line.lencount += 1
            line.array.append(value)
        return True

    def _looks_plain(self) -> bool:
        """True when nothing stands between the board and the lines: the bar can be written in one go."""
        cut = self.p.fromdate is not None or self.p.todate is not None or self._tzinput is not None
        lines = self.lines.lines
        own = len(lines) == len(COLUMNS) and all(line.mode == line.UnBounded and not line.bindings for line in lines)
        return own and not (cut or self._filters or self._ffilters)

    def _has_bar(self) -> bool:
        """Take the next bar in hand, and tell every status that comes before it."""
        while self._taken is None:
            entry = self._board.take(self._key)
            if entry is None:
                return False
            if isinstance(entry, tuple):
                self._taken = entry
            else:
                self.put_notification(entry)
        return True

    def _load(self) -> bool | None:
        if not self._has_bar():  # a filter took the bar before: Backtrader loads on by itself
            return False if self._board.ended else None
        for line, value in zip(self._columns, self._values(), strict=True):
            line[0] = value
        return True

    def _values(self) -> tuple[float, ...]:
        """The bar in hand, by column; it is told with its status."""
        assert self._taken is not None
        (bar, status), self._taken = self._taken, None
        self.put_notification(status)
        return ms_to_num(bar.time_ms), bar.open, bar.high, bar.low, bar.close, bar.volume, 0.0

    def _check(self, forcedata: bt.feed.DataBase | None = None) -> None:
        # While nothing comes Backtrader would end resampled bars by ``utcnow``: before their last part has come, or at
        # once where the market's time is another. They are over by the bars that come.
        if forcedata is not None:
            super()._check(forcedata=forcedata)

    def clone(self, **params: Any) -> LiveClone:
        return LiveClone(dataname=self, **params)

    def copyas(self, name: str, **params: Any) -> LiveClone:
        copy = self.clone(**params)
        copy._dataname = copy._name = name
        return copy

    # what Backtrader does for every feed and cycle, without the search for what is not there

    def do_qcheck(self, onoff: bool, qlapse: float) -> None:
        """The hub waits, not the feed."""

    def get_notifications(self) -> list[tuple[int, tuple[Any, ...], dict[str, Any]]]:
        return super().get_notifications() if self.notifs else []

    def _tick_nullify(self) -> None:
        if self._filters:
            super()._tick_nullify()

    def _tick_fill(self, force: bool = False) -> None:
        if self._filters:
            super()._tick_fill(force)
