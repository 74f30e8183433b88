"""SIGUSR1 is an emergency stop, from before the process is known by its lock, also while the main thread is stuck in a
computation. What is heard before there is an engine waits for it, or is left to the next start."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ccxt_bt_bridge.loop import LoopThread
from trading.execution.kill_switch import REASON, STOP_KEY, UNDER_WAY, StopReport
from trading.journal.writer import Journal
from trading.risk.state import GUARD_KEY
from trading.risk_guard import RiskGuard

SIGNAL = signal.SIGUSR1
WHY, WHO = "signal", "SIGUSR1"

log = logging.getLogger(__name__)


class EmergencySignal:
    """Keeps what nobody has acted on yet."""

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver

    @contextmanager
    def heard_by(self, loop: LoopThread, stop: Callable[[], None]) -> Iterator[None]:
        """``stop`` is called on the loop's thread; for what was heard before, it has been when this begins."""

        async def listen() -> None:
            self._read(stop)
            loop.loop.add_reader(self._receiver, self._read, stop)

        number = self._receiver.fileno()
        loop.call(listen())
        try:
            yield
        finally:
            _on_loop(loop, lambda: loop.loop.remove_reader(number))

    def leave_to_next_start(self, journal: Journal) -> None:
        """Write down what came while no engine listened: the next start is halted, and begins with the stop."""
        if not self._was_heard():
            return
        log.error("emergency_stop_left reason=%s: no engine was there to carry it out; the next start does", WHY)
        now = datetime.now(UTC)
        guard = RiskGuard()
        guard.restore(journal.risk_state(GUARD_KEY) or {})
        guard.halt(f"{REASON}:{WHY}", now)
        with journal.transaction():
            journal.save_risk_state(GUARD_KEY, guard.snapshot())
            if (journal.risk_state(STOP_KEY) or {}).get("state") != UNDER_WAY:
                journal.save_risk_state(STOP_KEY, asdict(StopReport(WHY, WHO, now.isoformat())))

    def _read(self, stop: Callable[[], None]) -> None:
        if self._was_heard():
            stop()

    def _was_heard(self) -> bool:
        try:
            return SIGNAL in self._receiver.recv(4096)
        except BlockingIOError:
            return False


@contextmanager
def emergency_signal() -> Iterator[EmergencySignal]:
    """Hears nothing outside the main thread, which alone may set handlers.

    Python runs handlers on the main thread, between two of its instructions: too late, when that thread is the one in
    trouble. The bytes of ``set_wakeup_fd`` are written at once, whoever is running.
    """
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.setblocking(False)
        sender.setblocking(False)
        try:
            before = signal.signal(SIGNAL, _noted)
        except ValueError:
            yield EmergencySignal(receiver)
            return
        before_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        try:
            yield EmergencySignal(receiver)
        finally:
            signal.set_wakeup_fd(before_fd)
            signal.signal(SIGNAL, before)


def _noted(number: int, frame: Any) -> None:
    """The bytes say it."""


def _on_loop(loop: LoopThread, work: Callable[[], object]) -> None:
    if loop.loop.is_running():
        loop.loop.call_soon_threadsafe(work)
    else:  # its thread has died: nothing else touches the loop any more
        work()
