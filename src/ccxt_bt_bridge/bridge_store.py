"""A Backtrader store over any exchange's ports: feeds, a broker, and the thread that owns both.

Duck-typed: Backtrader's own store is one to a process, this one shares nothing.
"""

from __future__ import annotations

import atexit
import logging
import signal
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import backtrader as bt

from ccxt_bt_bridge.aligner import MissingLeg
from ccxt_bt_bridge.broker import BridgeBroker, CashView, OrderTicket, OrderUpdate
from ccxt_bt_bridge.errors import BridgeClosed, ExchangeUnreachable
from ccxt_bt_bridge.feed import FeedBoard, LiveFeed
from ccxt_bt_bridge.hub import Hub
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.store_run import ExchangePorts, StoreRun, StoreTerms, groups_of

START_LIMIT_S = 60.0
STOP_LIMIT_S = 5.0
MINUTE_MS, DAY_MS = 60_000, 86_400_000

log = logging.getLogger(__name__)


class NoGateway:
    """Before the store has started: no cash, and no order can be sent."""

    def __init__(self) -> None:
        self.updates: deque[OrderUpdate] = deque()

    def submit(self, ticket: OrderTicket) -> None:
        raise BridgeClosed("the store has not been started: orders can be sent while cerebro runs")

    def cancel(self, ref: int) -> None:
        raise BridgeClosed("the store has not been started: orders can be cancelled while cerebro runs")

    def cash_view(self) -> CashView:
        return CashView(0.0, 0.0)


class StoreFeed(LiveFeed):
    """A live feed that brings its store along: adding it to cerebro is enough."""

    params: Any = (("store", None),)

    def setenvironment(self, env: bt.Cerebro) -> None:
        super().setenvironment(env)
        env.addstore(self.p.store)
        self.p.store.attach(self, env)


class BridgeStore:
    """``open_ports(loop)`` connects. ``group_policy`` (wait, skip, carry) and ``grace_s``: see ``MissingLeg``.

    ``speed``: of the loop's time, as in ``LoopThread``. Starts and stops with cerebro; as a context manager it is also
    stopped when cerebro fails. Ctrl+C ends the run as ``cerebro.runstop`` does; a second one interrupts as usual.
    """

    def __init__(
        self,
        open_ports: Callable[[LoopThread], Coroutine[Any, Any, ExchangePorts]],
        *,
        group_policy: str = "wait",
        grace_s: float = 10.0,
        id_prefix: str = "bt",
        speed: str | float = 1.0,
    ) -> None:
        self._open_ports, self._speed = open_ports, speed
        self._terms = StoreTerms(MissingLeg(group_policy), grace_s, id_prefix)
        self._board = FeedBoard(Hub())
        self._attached: list[StoreFeed] = []
        self._history: dict[Any, int] = {}
        self._cerebros: list[bt.Cerebro] = []
        self._broker: BridgeBroker | None = None
        self._notifications: deque[tuple[str, tuple[Any, ...], dict[str, Any]]] = deque()
        self._loop: LoopThread | None = None
        self._run: StoreRun | None = None
        self._interrupt: Any = None

    def __enter__(self) -> BridgeStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # what a script asks for

    def getdata(
        self, symbol: str, interval: str, *, history: int = 500, group: object = None, **params: Any
    ) -> StoreFeed:
        """A live feed that begins with ``history`` closed bars. Feeds of one interval come aligned, as one group,
        unless they are given another; those of different intervals are not aligned with each other.

        Raises ``ValueError`` for an interval that is not known and a feed that was asked for before.
        """
        key = (interval, group, symbol)
        if key in self._history:
            raise ValueError(f"{symbol} at {interval} was asked for before in this group; use the feed you have")
        timeframe, compression = _timeframe(interval_ms(interval))
        self._history[key] = history
        own = {"store": self, "board": self._board, "key": key, "exchange_symbol": symbol, "holding": symbol}
        shown = {"dataname": symbol, "name": symbol, "timeframe": timeframe, "compression": compression}
        return StoreFeed(**own | shown | params)

    def getbroker(self) -> BridgeBroker:
        """The broker of the account; the same at every call."""
        if self._broker is None:
            self._broker = BridgeBroker(NoGateway(), self._on_refused)
        return self._broker

    # what Backtrader asks for

    def attach(self, feed: StoreFeed, cerebro: bt.Cerebro) -> None:
        """This feed is used, by this cerebro."""
        self._attached.append(feed)
        if cerebro not in self._cerebros:
            self._cerebros.append(cerebro)

    def start(self) -> None:
        """Connect; returns when history is there and bars are coming. Leaves nothing behind when it raises."""
        if self._loop is not None:
            return
        loop = self._loop = LoopThread(self._speed)
        self._board.begin(loop.hub)
        self._choose_leader()
        groups = groups_of({feed.p.key: self._history[feed.p.key] for feed in self._attached})
        self._run = StoreRun(loop, self._board, groups, terms=self._terms, tell=self._say, fail=loop.hub.fail)
        loop.start()
        try:
            loop.call(self._run.open(self._open_ports(loop), with_trading=self._broker is not None), START_LIMIT_S)
            self._connect_broker(self._run)
        except TimeoutError:
            self.stop()
            raise ExchangeUnreachable(f"the exchange was not ready within {START_LIMIT_S:.0f} s") from None
        except BaseException:
            self.stop()
            raise
        self._catch_interrupts()
        atexit.register(self.stop)  # a strategy that raises takes cerebro past every stop

    def stop(self) -> None:
        """Leave no thread, task or socket. May be called again, and from any state."""
        self._release_interrupts()
        atexit.unregister(self.stop)
        loop, run = self._loop, self._run
        self._loop = self._run = None
        if loop is None or run is None:
            return
        try:
            loop.call(run.close(), STOP_LIMIT_S)
        except (BridgeClosed, TimeoutError) as error:
            log.error("store_not_closed reason=%s", error)
        finally:
            loop.stop()
            loop.close()

    def put_notification(self, message: str, *args: Any, **kwargs: Any) -> None:
        """For ``notify_store``. From any thread."""
        self._notifications.append((message, args, kwargs))
        self._board.hub.kick()

    def get_notifications(self) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
        """What was put since the last call."""
        return [self._notifications.popleft() for _ in range(len(self._notifications))]

    # inside

    def _choose_leader(self) -> None:
        """The feed that Backtrader asks first."""
        first = min(self._attached, key=lambda feed: (feed._timeframe, feed._compression), default=None)
        for feed in self._attached:
            feed.p.leader = feed is first

    def _connect_broker(self, run: StoreRun) -> None:
        if self._broker is not None and run.gateway is not None:
            self._broker.connect(run.gateway)
            for position in run.positions:
                self._broker.restore(position.symbol, position.amount, position.entry_price)

    def _say(self, sentence: str) -> None:
        log.warning("%s", sentence)
        self.put_notification(sentence)

    def _on_refused(self, order: bt.Order, reason: str) -> None:
        self._say(f"order {order.ref} of {order.data._name} was not taken: {reason}")

    def _catch_interrupts(self) -> None:
        """Python's own answer to Ctrl+C would leave cerebro in the middle of whatever it does."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._interrupt = signal.signal(signal.SIGINT, self._on_interrupt)

    def _release_interrupts(self) -> None:
        if self._interrupt is not None:
            signal.signal(signal.SIGINT, self._interrupt)
            self._interrupt = None

    def _on_interrupt(self, *_: object) -> None:
        self._release_interrupts()
        for cerebro in self._cerebros:
            cerebro.runstop()
        self._board.hub.kick()


def _timeframe(length_ms: int) -> tuple[int, int]:
    """Backtrader's words for a bar's length."""
    if length_ms % DAY_MS == 0:
        return bt.TimeFrame.Days, length_ms // DAY_MS
    return bt.TimeFrame.Minutes, length_ms // MINUTE_MS
