"""SIGUSR1 is an emergency stop, also while the main thread is stuck in a computation."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ccxt_bt_bridge.loop import LoopThread

SIGNAL = signal.SIGUSR1


@contextmanager
def emergency_signal(loop: LoopThread, stop: Callable[[], None]) -> Iterator[None]:
    """``stop`` is called on the loop's thread. Does nothing outside the main thread, which alone may set handlers.

    Python runs handlers on the main thread, between two of its instructions: too late, when that thread is the one in
    trouble. The bytes of ``set_wakeup_fd`` are written at once, whoever is running.
    """
    receiver, sender = socket.socketpair()
    receiver.setblocking(False)
    sender.setblocking(False)
    try:
        before = signal.signal(SIGNAL, _noted)
    except ValueError:
        receiver.close()
        sender.close()
        yield
        return
    before_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    _on_loop(loop, lambda: loop.loop.add_reader(receiver, _read, receiver, stop))
    try:
        yield
    finally:
        signal.set_wakeup_fd(before_fd)
        signal.signal(SIGNAL, before)
        _on_loop(loop, lambda: _end(loop, receiver))
        sender.close()


def _noted(number: int, frame: Any) -> None:
    """The loop has heard it."""


def _read(receiver: socket.socket, stop: Callable[[], None]) -> None:
    if SIGNAL in receiver.recv(4096):
        stop()


def _end(loop: LoopThread, receiver: socket.socket) -> None:
    loop.loop.remove_reader(receiver)
    receiver.close()


def _on_loop(loop: LoopThread, work: Callable[[], object]) -> None:
    if loop.loop.is_running():
        loop.loop.call_soon_threadsafe(work)
    else:  # its thread has died: nothing else touches the loop any more
        work()
