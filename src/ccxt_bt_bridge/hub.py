"""Where Backtrader's thread meets the asyncio thread: one condition, and whose turn it is.

``Hub`` (real and accelerated time): the loop's thread kicks, Backtrader's thread waits. Both may run at once; only
frozen values cross, through deques.

``LockStepHub`` (virtual time): strictly one side at a time. The loop's thread gives the turn to Backtrader's thread
when something was kicked, and gets it back when that thread parks in ``wait``. So a run is deterministic, and the
virtual clock can only advance while Backtrader's thread is parked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ccxt_bt_bridge.errors import BridgeClosed


class Hub:
    """The one condition of a bridge."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._kicks = 0
        self._seen = 0
        self._failure: BaseException | None = None

    def kick(self) -> None:
        """Wake Backtrader's thread: a bar, an order event, a status or a stop has come. From any thread."""
        with self._condition:
            self._kicks += 1
            self._condition.notify_all()

    def fail(self, error: BaseException) -> None:
        """The loop's thread died: make the next ``wait`` raise."""
        with self._condition:
            self._failure = error
            self._kicks += 1
            self._condition.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Backtrader's thread: return when kicked since the last wait, or after ``timeout_s`` of wall time."""
        with self._condition:
            self._condition.wait_for(lambda: self._kicks != self._seen, timeout_s)
            self._seen = self._kicks
            self._raise_failure()

    def wait_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Block until ``done()`` (whoever makes it true kicks). False when the time is over."""
        with self._condition:
            finished = self._condition.wait_for(lambda: done() or self._failure is not None, timeout_s)
            if not done():
                self._raise_failure()
            return bool(finished)

    def take_turn(self) -> None:
        """The loop's thread, before it polls. Nothing to wait for when both sides may run."""

    def close(self) -> None:
        """The loop is about to stop; nobody waits for a turn any more."""

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise BridgeClosed("the bridge's loop has died") from self._failure


class LockStepHub(Hub):
    """Strict alternation between the loop's thread and Backtrader's thread."""

    def __init__(self) -> None:
        super().__init__()
        self._loop_has_turn = False
        self._closed = False

    def kick(self) -> None:
        with self._condition:
            self._kicks += 1

    def fail(self, error: BaseException) -> None:
        with self._condition:
            self._failure = error
            self._loop_has_turn = False
            self._condition.notify_all()

    def wait(self, timeout_s: float) -> None:
        with self._condition:
            if self._kicks == self._seen:
                self._park()
            self._seen = self._kicks
            self._raise_failure()

    def wait_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while not done():
                self._raise_failure()
                if not self._park(deadline - time.monotonic()):
                    return False
            return True

    def take_turn(self) -> None:
        with self._condition:
            if self._kicks != self._seen:
                self._loop_has_turn = False
                self._condition.notify_all()
            while not (self._loop_has_turn or self._closed):
                self._condition.wait()

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _park(self, timeout_s: float | None = None) -> bool:
        """Give the turn away; False when it did not come back in time, and both sides may run."""
        self._seen = self._kicks
        self._loop_has_turn = True
        self._condition.notify_all()
        return self._condition.wait_for(lambda: not self._loop_has_turn or self._failure is not None, timeout_s)
