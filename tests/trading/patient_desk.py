"""A desk exchange whose market takes its next step only when its client has nothing left to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any

from brokers.desk.desk import Desk
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore
from tests.brokers.desk.desks import halt
from tests.desk_thread import DeskThread, desk_thread

LOOK_S, QUIET_LOOKS = 0.01, 4
FAST = 10_000_000.0


class PatientDesk:
    """``url`` is where it listens; the market stands until ``walk``, then goes on whenever ``is_quiet`` says so."""

    def __init__(self) -> None:
        self.is_quiet: Callable[[], bool] = lambda: True
        self._thread: DeskThread

    @property
    def url(self) -> str:
        return self._thread.url

    def newest_ms(self, symbol: str) -> int:
        """The close of the symbol's last bar. From any thread: it only looks."""
        return self._thread.desk.exchange.tape.klines(symbol, limit=1)[-1].time_ms

    def walk(self) -> None:
        self._thread.do(lambda desk: bool(desk.walk()))

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """The answer of a function of the exchange, asked on the desk's own thread."""
        return self._thread.do(lambda desk: question(desk.exchange))

    def halt(self, symbol: str) -> None:
        """From now on nothing trades in this symbol, though it is listed."""
        self._thread.do(lambda desk: halt(desk, symbol))

    def _slow_down(self, desk: Desk) -> None:
        go_on = desk.clock.sleep_until

        async def patient(when_ms: int) -> None:
            quiet = 0
            while quiet < QUIET_LOOKS:
                await asyncio.sleep(LOOK_S)
                quiet = quiet + 1 if self.is_quiet() else 0
            await go_on(when_ms)

        desk.clock.sleep_until = patient  # type: ignore[method-assign]


@contextmanager
def patient_desk(source: MarketSource, *, dialect: str = "binanceusdm", **terms: Any) -> Iterator[PatientDesk]:
    """``terms``: what ``SimulatedExchange`` takes."""
    patient = PatientDesk()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Desk]:
        store = ExchangeStore(None, fingerprint="desk")
        given = {"initial_balance": Decimal(10_000)} | terms
        async with Desk(source, store, ports={dialect: 0}, speed=FAST, terms=given) as desk:
            patient._slow_down(desk)
            yield desk

    with desk_thread(opened) as patient._thread:
        yield patient
