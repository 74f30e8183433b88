"""Faults of streams: of their connections, of the order and the closing of bars, of listen keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from brokers.desk.sockets import StreamSocket
from brokers.desk.wire_plan import WireFault, WirePlan
from ccxt_bt_bridge.words import Bar

Event = dict[str, Any]


def later(delay_s: float, act: Callable[..., Any], *arguments: Any) -> None:
    asyncio.get_running_loop().call_later(delay_s, act, *arguments)


def play_on_sockets(fault: WireFault, sockets: Iterable[StreamSocket], now_ms: int) -> bool:
    """Do what the fault does to connections; False when it is about something else."""
    acts: dict[str, Callable[[StreamSocket], None]] = {
        "ws_drop": lambda socket: socket.close(1012),
        "ws_abort": lambda socket: socket.close(1006),
        "ws_half_open": lambda socket: socket.freeze(),
        "ws_silent": lambda socket: socket.mute(fault.delay_s),
        "server_shutdown": lambda socket: _shut_down(socket, fault.delay_s, now_ms),
    }
    if fault.kind not in acts:
        return False
    for socket in tuple(sockets):
        acts[fault.kind](socket)
    return True


def _shut_down(socket: StreamSocket, delay_s: float, now_ms: int) -> None:
    socket.tell({"e": "serverShutdown", "E": now_ms})
    later(delay_s, socket.close, 1001)


class KlineFaults:
    """Hands closed bars to ``send`` as the script has it: out of order, or followed by one that is not closed."""

    def __init__(
        self,
        plan: WirePlan,
        send: Callable[[Bar], None],
        sockets: Callable[[], Iterable[StreamSocket]],
        forming: Callable[[str], Bar | None],
    ) -> None:
        self._plan, self._send, self._sockets, self._forming = plan, send, sockets, forming
        self._held: dict[str, Bar] = {}

    def deliver(self, bar: Bar, now_ms: int) -> None:
        fault = self._plan.strike("market_stream", bar.symbol, now_ms)
        if fault is None:
            self._send(bar)
        elif not play_on_sockets(fault, self._sockets(), now_ms):
            self._misdeliver(fault, bar)
        held = self._held.get(bar.symbol)
        if held is not None and held is not bar:
            self._send(self._held.pop(bar.symbol))

    def _misdeliver(self, fault: WireFault, bar: Bar) -> None:
        if fault.kind == "kline_out_of_order":
            self._held[bar.symbol] = bar
        else:
            self._send(bar)
            self._send(self._forming(bar.symbol) or bar)


class EventFaults:
    """Counts user events, and does to connections and listen keys what the script says."""

    def __init__(
        self, plan: WirePlan, sockets: Callable[[], Iterable[StreamSocket]], expire_keys: Callable[[], None]
    ) -> None:
        self._plan, self._sockets, self._expire_keys = plan, sockets, expire_keys

    def strike(self, event: Event, now_ms: int) -> None:
        """Before the event is sent: it reaches nobody whose connection or key has just ended."""
        fault = self._plan.strike("user_stream", _symbol(event), now_ms)
        if fault is not None and not play_on_sockets(fault, self._sockets(), now_ms):
            self._expire_keys()


def _symbol(event: Event) -> str | None:
    """The symbol an event is about, None for one about the whole account."""
    return event["o"]["s"] if "o" in event and isinstance(event["o"], dict) else event.get("s")
