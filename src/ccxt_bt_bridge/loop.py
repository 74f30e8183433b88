"""The asyncio thread that owns every exchange object, and the three speeds at which its time may run.

Real time: a plain loop. Accelerated: the loop's clock runs N times as fast. Virtual: the clock jumps to the next timer
as soon as nothing is ready and Backtrader's thread is parked. Every timer of the live path is the loop's, so all three
run the same code. Sockets belong to real time only: a virtual clock would run ahead of them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import selectors
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from ccxt_bt_bridge.errors import BridgeClosed, LoopDeadlock
from ccxt_bt_bridge.hub import Hub, LockStepHub

CLOCK_RESOLUTION_S = 1e-6

Result = TypeVar("Result")


class _VirtualSelector(selectors.SelectSelector):
    """Polls without waiting; the wanted wait is added to the virtual clock instead."""

    loop: _VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.hub.take_turn()
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise LoopDeadlock("nothing is ready and no timer is left: the run would hang for ever")
        self.loop.virtual_s += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.virtual_s = 0.0
        selector = _VirtualSelector()
        selector.loop = self
        super().__init__(selector)
        # asyncio's default of 1 ns vanishes in a float beyond 2**24 s: a timer that is due would never run.
        self._clock_resolution = CLOCK_RESOLUTION_S

    def time(self) -> float:
        return self.virtual_s


class _ScaledSelector(selectors.DefaultSelector):
    """Waits ``1 / speed`` of what the loop asks for."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout is None else timeout / self._speed)


class _ScaledLoop(asyncio.SelectorEventLoop):
    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._start = time.monotonic()
        super().__init__(_ScaledSelector(speed))
        self._clock_resolution = CLOCK_RESOLUTION_S

    def time(self) -> float:
        return (time.monotonic() - self._start) * self._speed


class LoopThread:
    """One loop in one thread. ``speed``: ``"max"`` is virtual time in lock-step, a number is times real time."""

    def __init__(self, speed: str | float = 1.0) -> None:
        self.is_virtual = speed == "max"
        self._speed = 1.0 if speed == "max" else float(speed)
        self.hub: Hub = LockStepHub() if self.is_virtual else Hub()
        self.loop = _VirtualLoop(self.hub) if self.is_virtual else _ScaledLoop(float(speed))
        self._thread = threading.Thread(target=self._run, name="exchange-loop", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def of_wall_s(self, seconds: float) -> float:
        """Seconds of the loop's time in ``seconds`` of the wall's; the same in virtual time, which knows no wall."""
        return seconds * self._speed

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        except BaseException as error:
            self.hub.fail(error)

    def call(self, coroutine: Coroutine[Any, Any, Result], timeout_s: float = 60.0) -> Result:
        """Run on the loop and wait (start and stop only; never from the loop, never in ``next``).

        Raises what the coroutine raises, ``TimeoutError`` when it takes longer than ``timeout_s`` of wall time, and
        ``BridgeClosed`` after ``stop``.
        """
        future = self.post(coroutine)
        future.add_done_callback(lambda _: self.hub.kick())
        if not self.hub.wait_until(future.done, timeout_s):
            future.cancel()
            raise TimeoutError(f"the exchange loop did not answer within {timeout_s:.0f} s")
        return future.result()

    def post(self, coroutine: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Start on the loop and return at once. From Backtrader's thread. Raises ``BridgeClosed`` after ``stop``."""
        if self.loop.is_closed():
            coroutine.close()
            raise BridgeClosed("the exchange loop has been stopped: nothing can be asked of it any more")
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self) -> None:
        """Cancel what is left, stop the loop and join the thread. May be called again, also when the thread died."""
        if self.loop.is_closed():
            return
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(lambda: self.loop.create_task(self._stop_loop()))
            self.hub.close()
            self._thread.join(timeout=5.0)
        elif self._thread.ident is not None:
            self.hub.close()
            self.loop.run_until_complete(self._cancel_all())

    def close(self) -> None:
        """After ``stop``: let go of the loop itself."""
        if not self.loop.is_running():
            self.loop.close()

    async def _stop_loop(self) -> None:
        await self._cancel_all()
        # Names are looked up in threads of the loop's own pool.
        await self.loop.shutdown_default_executor()
        self.loop.stop()

    async def _cancel_all(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
