"""Quick checks of the engine, each of which says what is wrong: nothing for the engine as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ccxt_bt_bridge.errors import BridgeError, ExchangeUnreachable
from ccxt_bt_bridge.words import Account, OrderRequest, Side
from pairs.words import Refused
from tests.reliability.cells import Cell, cells, play
from tests.reliability.conftest import Desk
from tests.reliability.places import open_place, start_life
from tests.trading.execution.engine_rig import EQUITY, OPEN_LIMITS, entry_order
from tests.virtual_time import run_virtual
from trading.risk_guard import Breaker, RiskGuard

D = Decimal
Check = Callable[[Desk], list[str]]


def crashes(operation: str, *outcomes: str) -> Check:
    """Every crash point of one operation."""

    def check(desk: Desk) -> list[str]:
        found: list[str] = []
        try:
            for _, played in cells(desk.folder, desk.template, operation, outcomes):
                found += map(str, played.violations)
                if found:
                    break
        except Exception as error:  # an engine that raises is noticed as well
            found.append(repr(error))
        return found

    return check


def no_crash(operation: str, *outcomes: str) -> Check:
    """One operation whose process lives."""

    def check(desk: Desk) -> list[str]:
        try:
            return [str(one) for one in play(desk.folder, desk.template, Cell(operation, outcomes)).violations]
        except Exception as error:
            return [repr(error)]

    return check


def foreign_position(desk: Desk) -> list[str]:
    """A leg is gone while the bot was dead, and at first the account cannot be asked: the other one is closed after it
    could, and of the one that is gone nothing may be sent."""

    async def main() -> list[str]:
        place = open_place(desk.folder / "foreign")
        try:
            rig = start_life(place)
            place.may_trade = True
            await rig.engine.execute(place.expect(rig.enter()))
            await rig.stop()
            rig.journal.close()
            await place.exchange.create_order(OrderRequest("person", "A", Side.SELL, D(2)))
            answers = iter([ExchangeUnreachable("no answer in time")])
            account = place.exchange.account

            async def unreachable_once() -> Account:
                for error in answers:
                    raise error
                return await account()

            place.exchange.account = unreachable_once
            again = start_life(place)
            again.recovery.restore(run=1)
            for _ in range(2):
                with suppress(BridgeError):
                    if not await again.recovery.reconcile(("A", "B")):
                        await again.engine.execute(again.leave())
                        break
            await again.stop()
            sent = [request.symbol for request in again.port.sent]
            return [] if sent == ["B"] else [f"orders were sent of {sent}"]
        finally:
            await place.close()

    return run_virtual(_fresh(desk.folder / "foreign", main()))


def crowd(desk: Desk) -> list[str]:
    """Five orders for one pair at once: one is carried out."""

    async def main() -> list[str]:
        place = open_place(desk.folder / "crowd")
        try:
            rig = start_life(place)
            place.may_trade = True
            orders = [place.expect(replace(rig.enter(), ref=f"A_B:enter:{number}")) for number in range(5)]
            await asyncio.gather(*map(rig.engine.execute, orders))
            await rig.stop()
            return [f"{len(rig.port.sent)} orders were sent"] if len(rig.port.sent) != 2 else []
        finally:
            await place.close()

    return run_virtual(_fresh(desk.folder / "crowd", main()))


async def _fresh(folder: Path, work: Coroutine[Any, Any, list[str]]) -> list[str]:
    """Work in a folder that is there and empty."""
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return await work


def resting(desk: Desk) -> list[str]:
    """The symbol is halted when the order comes: it is taken back, whatever the market does."""

    async def main() -> list[str]:
        place = open_place(desk.folder / "resting")
        try:
            rig = start_life(place)
            place.may_trade = True
            rig.port.before = lambda request: place.exchange.tape.halt(request.symbol, place.exchange.market_ms + 1)
            with suppress(TimeoutError):
                await asyncio.wait_for(rig.engine.execute(place.expect(rig.enter())), 600.0)
            await rig.stop()
            return [f"{one} rests" for one in place.exchange.venue.open_orders()]
        finally:
            await place.close()

    return run_virtual(_fresh(desk.folder / "resting", main()))


def halt_survives(desk: Desk) -> list[str]:
    guard = RiskGuard(OPEN_LIMITS, EQUITY)
    guard.halt("tested", NOON)
    again = RiskGuard(OPEN_LIMITS, EQUITY)
    again.restore(guard.snapshot())
    return [] if again.breaker is Breaker.HALTED else [f"after a restart the breaker is {again.breaker}"]


def caps_hold(desk: Desk) -> list[str]:
    """Two entries at once, of which the cap allows one."""
    guard = RiskGuard(replace(OPEN_LIMITS, max_exposure=0.06), EQUITY)
    orders = [entry_order(pair, {"A": D(2), "B": D(-4)}, NOON) for pair in ("A_B", "B_A")]
    verdicts = [guard.check(order) for order in orders]
    return [] if isinstance(verdicts[1], Refused) else ["both were approved"]


NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


CHECKS: dict[str, Check] = {
    "crashes in a clean entry": crashes("enter", "ok", "ok"),
    "crashes in an entry whose hedge is refused": crashes("enter", "ok", "no_balance"),
    "crashes in a clean exit": crashes("exit", "ok", "ok"),
    "an entry whose answer is lost": no_crash("enter", "timeout_after", "ok"),
    "an entry that executes late": no_crash("enter", "late", "ok"),
    "an entry that never arrives": no_crash("enter", "ok", "timeout_before"),
    "an entry that fills in part": no_crash("enter", "partial_0.6", "ok"),
    "an entry that is unwound": no_crash("unwind_one", "ok", "ok"),
    "an exit in parts": no_crash("exit_in_parts", "ok", "ok"),
    "an order that rests": resting,
    "a stream that loses every event": no_crash("unheard", "ok", "ok"),
    "a stream that says everything twice": no_crash("heard_twice", "ok", "ok"),
    "a position of somebody else": foreign_position,
    "five orders for one pair": crowd,
    "a halt and a restart": halt_survives,
    "two entries under one cap": caps_hold,
}
