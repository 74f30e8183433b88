"""How long a pair's legs did not match: from the fill that parted them to the fill that joined them again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from trading.events import Alarm, Event, EventBus, LegFilled, LegsEven, PairClosed, PairOpened


class UnhedgedWatch:
    """A listener. Times are the exchange's, of its fills; ``is_even(pair_id)`` asks the ledger.

    A pair that is still uneven after ``max_unhedged_s`` is an alarm at once, whatever the engine waits for.
    """

    def __init__(self, bus: EventBus, clock: Clock, *, is_even: Callable[[str], bool], max_unhedged_s: float) -> None:
        self._bus, self._clock, self._is_even, self._max_s = bus, clock, is_even, max_unhedged_s
        self._since_ms: dict[str, int] = {}
        self._alarms: dict[str, asyncio.TimerHandle] = {}
        self._longest_ms = 0

    @property
    def longest_s(self) -> float:
        """Of any pair in this process, those that are uneven now included."""
        now_ms = self._clock.now_ms()
        return max([self._longest_ms, *(now_ms - since_ms for since_ms in self._since_ms.values())]) / 1000.0

    def lasting_s(self, pair_id: str) -> float:
        """For how long the pair has been uneven; 0 when it is not."""
        since_ms = self._since_ms.get(pair_id)
        return 0.0 if since_ms is None else (self._clock.now_ms() - since_ms) / 1000.0

    def on_event(self, event: Event) -> None:
        match event:
            case LegFilled(pair_id=pair_id, fill=fill):
                self.look(pair_id, fill.time_ms)
            case PairOpened(order=order):
                self._end(order.pair_id, self._clock.now_ms())
            case PairClosed(trade=trade):
                self._end(trade.pair_id, self._clock.now_ms())

    def look(self, pair_id: str, time_ms: int) -> None:
        """Something of the pair has filled at ``time_ms``."""
        if self._is_even(pair_id):
            self._end(pair_id, time_ms)
        elif pair_id not in self._since_ms:
            self._begin(pair_id, time_ms)

    def _begin(self, pair_id: str, time_ms: int) -> None:
        self._since_ms[pair_id] = time_ms
        left_s = max(0.0, self._max_s - self.lasting_s(pair_id))
        self._alarms[pair_id] = asyncio.get_running_loop().call_later(left_s, self._alarm, pair_id)

    def _end(self, pair_id: str, time_ms: int) -> None:
        since_ms = self._since_ms.pop(pair_id, None)
        if since_ms is None:
            return
        self._alarms.pop(pair_id).cancel()
        lasted_ms = max(0, time_ms - since_ms)
        self._longest_ms = max(self._longest_ms, lasted_ms)
        self._bus.publish(LegsEven(ms_to_datetime(time_ms), pair_id, lasted_ms / 1000.0))

    def _alarm(self, pair_id: str) -> None:
        message = f"{pair_id} has had one leg without its hedge for {self._max_s:g} s; it is being mended"
        self._bus.publish(Alarm(ms_to_datetime(self._clock.now_ms()), message, pair_id, critical=True))
