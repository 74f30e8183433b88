"""An engine as one writes it first: a time-out is asked about once, the state is kept when a trade is done.

It is the control of the crash matrix: proofs that it passes would prove nothing.
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from ccxt_bt_bridge.words import Found, OrderRequest, Placed, Side
from tests.reliability.cells import FIRST, HEDGE, OPERATIONS, Cell
from tests.reliability.places import Place, WirePort, open_place
from tests.tasks import end_all
from tests.trading.execution.engine_rig import ENTRY, CrashPlan
from tests.virtual_time import run_virtual

REF = "A_B:enter:naive"


class NaiveBot:
    """Leg by leg by market order; positions in a JSON file."""

    def __init__(self, place: Place, port: WirePort, path: Path) -> None:
        self._place, self._port, self._path = place, port, path
        self.held = {symbol: Decimal(0) for symbol in ENTRY}
        self._numbers = iter(range(1_000))
        if path.exists():
            self.held = {symbol: Decimal(text) for symbol, text in json.loads(path.read_text()).items()}

    async def enter(self) -> None:
        if not await self._trade(FIRST, ENTRY[FIRST]):
            return
        if not await self._trade(HEDGE, ENTRY[HEDGE]):
            await self._trade(FIRST, -self.held[FIRST])
        self._save()

    async def leave(self) -> None:
        for symbol in (FIRST, HEDGE):
            if self.held[symbol]:
                await self._trade(symbol, -self.held[symbol])
        self._save()

    async def _trade(self, symbol: str, amount: Decimal) -> bool:
        side = Side.BUY if amount > 0 else Side.SELL
        client_id = f"naive-{len(self._place.sent)}-{next(self._numbers)}"
        request = OrderRequest(client_id, symbol, side, abs(amount), group=REF)
        outcome: Any = await self._port.create_order(request)
        if not isinstance(outcome, Placed):
            outcome = await self._port.fetch_order(symbol, client_id)
        if not isinstance(outcome, Placed | Found):
            return False
        self.held[symbol] += amount
        return True

    def _save(self) -> None:
        if not self._port._crash.died.is_set():
            self._path.write_text(json.dumps({symbol: str(amount) for symbol, amount in self.held.items()}))


def play(folder: Path, cell: Cell) -> tuple[int, tuple[str, ...]]:
    """How many points the life had, and what is wrong after it and the next."""
    return run_virtual(_play(folder, cell))


async def _play(folder: Path, cell: Cell) -> tuple[int, tuple[str, ...]]:
    operation, path = OPERATIONS[cell.operation], folder / "naive.json"
    path.unlink(missing_ok=True)
    place = open_place(folder, faults=operation.faults(cell.outcomes))
    place.unhedged.expect(REF, ENTRY, dict.fromkeys(ENTRY, Decimal(0)))
    crash = CrashPlan(cell.first)
    try:
        bot = NaiveBot(place, WirePort(place, crash), path)
        await _until_dead(_trade(bot, leaves=operation.leaves), crash)
        await asyncio.sleep(30.0)
        if crash.died.is_set():
            bot = NaiveBot(place, WirePort(place, CrashPlan()), path)
        return len(crash.points), tuple(_wrong(place, bot))
    finally:
        await place.close()


async def _trade(bot: NaiveBot, *, leaves: bool) -> None:
    await bot.enter()
    if leaves:
        await bot.leave()


async def _until_dead(work: Any, crash: CrashPlan) -> None:
    task, death = asyncio.ensure_future(work), asyncio.ensure_future(crash.died.wait())
    await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
    await end_all((task, death))


def _wrong(place: Place, bot: NaiveBot) -> list[str]:
    differs = [f"I3: {symbol}" for symbol in ENTRY if bot.held[symbol] != place.held(symbol)]
    place.unhedged.close({})
    return differs + [f"I4: {ref}" for ref in place.unhedged.unhedged_refs]
