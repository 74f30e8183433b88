"""The two streams to the client, and what the wire does to them: lose, delay, double, disorder, fall silent."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from brokers.simulated.faults import Fault, FaultPlan
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.words import Bar, Connection, OrderReport, UserEvent

Item = TypeVar("Item")


class Line(Generic[Item]):
    """Delivers at once, late, or, while it is down, when it is up again: before anybody is told so."""

    def __init__(
        self, name: str, *, deliver: Callable[[Item], None], tell: Callable[[Connection], None], clock: Clock
    ) -> None:
        self._name, self._deliver, self._tell, self._clock = name, deliver, tell, clock
        self._held: list[Item] = []
        self._is_down = False
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def is_down(self) -> bool:
        return self._is_down

    def send(self, item: Item) -> None:
        if self._is_down:
            self._held.append(item)
        else:
            self._deliver(item)

    def send_later(self, item: Item, delay_ms: int) -> None:
        self.after(delay_ms, lambda: self.send(item))

    def fall(self, delay_ms: int) -> None:
        """Down until ``delay_ms`` have passed. Falling again changes nothing."""
        if not self._is_down:
            self._is_down = True
            self._tell(Connection(self._name, False, self._clock.now_ms(), "the connection was lost"))
            self.after(delay_ms, self._rise)

    def close(self) -> None:
        """What was to come later never does."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _rise(self) -> None:
        held, self._held, self._is_down = self._held, [], False
        for item in held:
            self._deliver(item)
        self._tell(Connection(self._name, True, self._clock.now_ms()))

    def after(self, delay_ms: int, act: Callable[[], None]) -> None:
        """Unless it is closed before."""

        def due() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(delay_ms / 1000.0, due)
        self._timers.add(timer)


class UserLine:
    """The user stream: each event is counted by the faults on ``events``."""

    def __init__(self, publish: Callable[[UserEvent], None], faults: FaultPlan, clock: Clock) -> None:
        self._line: Line[UserEvent] = Line("user", deliver=publish, tell=publish, clock=clock)
        self._faults, self._clock = faults, clock
        self._overtaken: list[UserEvent] = []
        self.report_delay_ms = 0

    def publish(self, event: UserEvent) -> None:
        """``report_delay_ms``, while it is set, holds orders back and lets their fills go."""
        fault = self._faults.strike("events", getattr(event, "symbol", None), self._clock.now_ms())
        if self.report_delay_ms and isinstance(event, OrderReport):
            self._line.send_later(event, self.report_delay_ms)
        elif fault is None:
            self._send(event)
        else:
            self._disturb(event, fault)

    def close(self) -> None:
        self._line.close()

    def _disturb(self, event: UserEvent, fault: Fault) -> None:
        if fault.kind == "event_late":
            self._line.send_later(event, fault.lasts_ms)
        elif fault.kind == "event_twice":
            self._send(event)
            self._send(event)
        elif fault.kind == "event_out_of_order":
            self._overtaken.append(event)
            self._line.after(fault.lasts_ms, self._send_overtaken)
        elif fault.kind == "user_stream_down":
            self._line.fall(fault.lasts_ms)
            self._send(event)

    def _send(self, event: UserEvent) -> None:
        self._line.send(event)
        self._send_overtaken()

    def _send_overtaken(self) -> None:
        overtaken, self._overtaken = self._overtaken, []
        for event in overtaken:
            self._line.send(event)


class BarLine:
    """The market stream: each closed bar is counted by the faults on ``bars``."""

    def __init__(
        self,
        publish: Callable[[tuple[Bar, ...]], None],
        tell: Callable[[Connection], None],
        faults: FaultPlan,
        clock: Clock,
    ) -> None:
        self._line: Line[tuple[Bar, ...]] = Line("market", deliver=publish, tell=tell, clock=clock)
        self._faults, self._clock = faults, clock

    @property
    def is_down(self) -> bool:
        return self._line.is_down

    def publish(self, bars: tuple[Bar, ...]) -> None:
        """Those of one moment together, but for what a fault does to them."""
        struck = [(bar, self._faults.strike("bars", bar.symbol, self._clock.now_ms())) for bar in bars]
        for _, fault in struck:
            if fault is not None and fault.kind == "market_stream_down":
                self._line.fall(fault.lasts_ms)
        now = tuple(told for bar, fault in struck for told in _told_at_once(bar, fault))
        if now:
            self._line.send(now)
        for bar, fault in struck:
            if fault is not None and fault.kind in ("bar_twice", "bar_revised"):
                self._line.send((bar,))
            elif fault is not None and fault.kind == "bar_late":
                self._line.send_later((bar,), fault.lasts_ms)

    def close(self) -> None:
        self._line.close()


def _told_at_once(bar: Bar, fault: Fault | None) -> tuple[Bar, ...]:
    """The bar as the client first sees it; nothing when it does not."""
    if fault is None:
        return (bar,)
    multiple = float(fault.multiple)
    told = {
        "bar_missing": (),
        "bar_late": (),
        "bar_revised": (_with_close(bar, bar.close * multiple),),
        "bar_spike": (_with_close(bar, bar.close * multiple),),
        "bar_not_a_number": (replace(bar, close=math.nan),),
    }
    return told.get(fault.kind, (bar,))


def _with_close(bar: Bar, close: float) -> Bar:
    return replace(bar, close=close, high=max(bar.high, close), low=min(bar.low, close))
