"""The emergency stop over the wire while everything else is jammed: the real ccxt client, ten thousand ticks waiting
on the loop, a hundred orders and a hundred questions waiting for the rate limit."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from brokers.binance import AccountWish, open_binance
from brokers.desk.params import Params
from brokers.desk.rest_door import RestDoor
from ccxt_bt_bridge import binance_orders
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.words import NotPlaced
from pairs.words import Action, Direction, LegOrder, Pair, PairOrder, PairState, entry_ref
from tests.brokers.desk.desks import open_desk, until
from tests.ccxt_bt_bridge.sessions import buy, desk_settings, run
from trading.events import EventBus
from trading.execution.floor import Floor, build_floor
from trading.execution.pair_ledger import PairLedger
from trading.execution.settings import ExecutionSettings
from trading.journal.writer import Journal
from trading.risk_guard import RiskGuard, RiskLimits

D = Decimal
HELD, WANTED = Pair("HELD", "BTCUSDT", None), Pair("WANTED", "ETHUSDT", None)
TICKS, ORDERS, QUESTIONS = 10_000, 100, 100
ROOM, WEIGHT = 20, 2  # so many of the orders pass the rate limit at first; what ccxt charges for each
TICK = json.dumps({"e": "trade", "s": "BTCUSDT", "p": "60000.1", "q": "0.001", "T": 1_704_067_200_000})
FAR_BELOW = D("50000.0")


class OwnTime:
    """Seconds that the running loop has computed or waited; not those in which the machine ran something else."""

    def __init__(self) -> None:
        self._waited_s = 0.0
        selector = asyncio.get_running_loop()._selector
        self._select, selector.select = selector.select, self._timed

    def now_s(self) -> float:
        return time.thread_time() + self._waited_s

    def _timed(self, timeout: float | None = None) -> list:
        begun_s, computed_s = time.monotonic(), time.thread_time()
        try:
            return self._select(timeout)
        finally:
            self._waited_s += time.monotonic() - begun_s - (time.thread_time() - computed_s)


@dataclass
class WireLog:
    """What reached the exchange, and when (in the loop's own time)."""

    rows: list[tuple[float, str, Params]] = field(default_factory=list)
    now_s: Callable[[], float] = time.monotonic

    def orders(self, method: str, *, since_s: float) -> list[tuple[float, Params]]:
        return [(at, params) for at, verb, params in self.rows if verb == method and at >= since_s]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> WireLog:
    log, serve = WireLog(), RestDoor.serve

    async def noted(self: RestDoor, request: web.Request) -> web.StreamResponse:
        if request.path == "/fapi/v1/order":
            params = Params.parse(request.rel_url.raw_query_string, await request.text())
            log.rows.append((log.now_s(), request.method, params))
        return await serve(self, request)

    monkeypatch.setattr(RestDoor, "serve", noted)
    monkeypatch.setattr(binance_orders, "FRESH_S", 60.0)  # what waits is not sent for the stop's sake, not for its age
    return log


def entry(pair: Pair, amount: str, price: float, now_ms: int) -> PairOrder:
    when = ms_to_datetime(now_ms)
    legs = (LegOrder(pair.leg_a, D(amount), price),)
    return PairOrder(entry_ref(pair.pair_id, when), pair.pair_id, Action.ENTER, Direction.LONG, legs, when, "entry")


@asynccontextmanager
async def jammed_floor(folder: Path):
    """A floor on the wire with one pair held; its clients for orders and for questions are at their rate limit."""
    async with open_desk() as desk:
        wish = AccountWish("one_way", "cross", D(2))
        ports = await open_binance(desk_settings(desk), wish, symbols=["BTCUSDT", "ETHUSDT"], interval="1m")
        journal = Journal.open(folder / "jam.sqlite", bot_id="jam", mode="binance", account="desk")
        journal.start_run(started=ms_to_datetime(ports.session.clock.now_ms()), config_sha256="0", code_version="0")
        floor = build_floor(
            market=ports.market,
            trading=ports.trading,
            journal=journal,
            ledger=PairLedger(D(10_000), {"HELD": HELD, "WANTED": WANTED}),
            guard=RiskGuard(RiskLimits(max_exposure=None, max_drawdown_pct=None, max_daily_loss_pct=None), 10_000.0),
            clock=ports.session.clock,
            bus=EventBus(),
            rules=await ports.market.markets(),
            settings=ExecutionSettings(),
            bot_id="jam",
            emergency=ports.emergency,
            withdraw_unsent=ports.trading.withdraw_unsent,
        )
        following = asyncio.ensure_future(floor.follow_account(ports.trading.events()))
        try:
            await floor.engine.execute(entry(HELD, "0.01", 60_000.0, ports.session.clock.now_ms()))
            assert floor.ledger.state("HELD") is PairState.OPEN
            for client in (ports.trading._client, ports.trading._stream):
                client.throttler.timestamps = []
                client.throttler.config |= {"maxWeight": ROOM * WEIGHT, "windowSize": 1_500.0}
            yield ports, floor
        finally:
            await floor.kill_switch.close()
            following.cancel()
            journal.close()
            await ports.close()


async def jam(ports, floor: Floor) -> list[asyncio.Task]:
    """Everything that can stand in a queue does. The orders wait in the market far below it, or for the rate limit."""
    tasks = [
        asyncio.ensure_future(
            ports.trading.create_order(buy(f"jam-flood-{at}", amount="0.002", type="limit", price=FAR_BELOW))
        )
        for at in range(ORDERS)
    ]
    tasks += [asyncio.ensure_future(ports.trading.account()) for _ in range(QUESTIONS)]
    await until(lambda: sum(task.done() for task in tasks[:ORDERS]) >= ROOM)
    now_ms = ports.session.clock.now_ms()
    tasks.append(asyncio.ensure_future(floor.engine.execute(entry(WANTED, "0.1", 3_000.0, now_ms))))
    await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    for _ in range(TICKS):
        loop.call_soon(lambda: floor.engine.note_liquidity("BTCUSDT", float(json.loads(TICK)["p"])))
    return tasks


async def stopped_after(folder: Path, wire: WireLog) -> float:
    """Jam, stop, and look at the wire. Seconds from the trigger to the last cancel of what worked then."""
    wire.now_s = OwnTime().now_s
    async with jammed_floor(folder) as (ports, floor):
        tasks = await jam(ports, floor)
        begun_s = wire.now_s()
        report = await floor.kill_switch.trigger("test", "test")
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks[:ORDERS], tasks[-1]), 30.0)

        assert report.state == "flat", str(report)
        adding = [p for _, p in wire.orders("POST", since_s=begun_s) if p.get("reduceOnly") != "true"]
        assert adding == [], "an order that adds risk left after the trigger"
        assert sum(isinstance(outcome, NotPlaced) for outcome in outcomes) == ORDERS - ROOM
        assert floor.ledger.open_pairs == ()
        assert (await ports.emergency.account()).positions == ()
        assert await ports.emergency.open_orders() == []
        cancels = [at for at, _ in wire.orders("DELETE", since_s=begun_s)]
        assert len(report.cancelled_orders) == ROOM <= len(cancels)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return cancels[-1] - begun_s


def test_a_stop_cancels_within_a_second_and_adds_nothing_while_everything_is_jammed(tmp_path, wire):
    took_s = run(stopped_after(tmp_path, wire))
    print(f"emergency stop: {ROOM} cancels on the wire after {took_s:.3f} s, 0 orders that add")
    assert took_s <= 1.0
