"""An exchange on the desk in a thread of its own, for bots that run on the main thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from brokers.desk.clock import PacedClock
from brokers.desk.desk import Desk
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore

READY_S = 30.0
LOOK_S, QUIET_LOOKS = 0.01, 3
FAST = 10_000_000.0


class DeskThread:
    """``url`` is where it listens; the market stands until ``walk``, then goes on whenever ``is_quiet`` says so."""

    def __init__(self, source: MarketSource, *, dialect: str, terms: dict[str, Any]) -> None:
        self.is_quiet: Callable[[], bool] = lambda: True
        self._source, self._dialect, self._terms = source, dialect, terms
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()
        assert self._ready.wait(READY_S)

    def walk(self) -> None:
        self._loop.call_soon_threadsafe(self.desk.walk)

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """The answer of a function of the exchange, asked on the desk's own thread."""

        async def answer() -> Any:
            return question(self.desk.exchange)

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(READY_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(READY_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        store = ExchangeStore(None, fingerprint="desk")
        async with Desk(self._source, store, ports={self._dialect: 0}, speed=FAST, terms=self._terms) as desk:
            _let_wait(desk.clock, self)
            self.desk, self.url = desk, desk.url
            self._ready.set()
            await self._over.wait()


def _let_wait(clock: PacedClock, thread: DeskThread) -> None:
    """Before each step of the market: wait until the client has nothing left to do."""
    go_on = clock.sleep_until

    async def patient(when_ms: int) -> None:
        quiet = 0
        while quiet < QUIET_LOOKS:
            await asyncio.sleep(LOOK_S)
            quiet = quiet + 1 if thread.is_quiet() else 0
        await go_on(when_ms)

    clock.sleep_until = patient  # type: ignore[method-assign]


@contextmanager
def desk_thread(source: MarketSource, *, dialect: str = "binanceusdm", **terms: Any) -> Iterator[DeskThread]:
    desk = DeskThread(source, dialect=dialect, terms={"initial_balance": Decimal(10_000)} | terms)
    try:
        yield desk
    finally:
        desk.close()
