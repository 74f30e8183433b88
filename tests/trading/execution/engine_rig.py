"""The engine on the real simulated exchange with a real journal file, in virtual time: what engine tests stand on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, NullPool, create_engine, select

from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ORDERS, ExchangeStore
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.words import Market, OrderRequest
from pairs.words import Action, Direction, LegOrder, Pair, PairOrder, PairState, SpreadStatistics, entry_ref
from tests.brokers.markets import bars, source
from tests.tasks import end_all
from trading.events import Alarm, Event, EventBus
from trading.execution.floor import Floor, build_floor
from trading.execution.funding_book import FundingBook
from trading.execution.kill_switch import KillSwitch
from trading.execution.leg_orders import LegOrders
from trading.execution.pair_engine import PairEngine
from trading.execution.pair_ledger import PairLedger
from trading.execution.reconciler import Mismatch, Reconciler
from trading.execution.recovery import Recovery
from trading.execution.settings import ExecutionSettings
from trading.execution.wire_guard import WireLimits
from trading.journal import schema
from trading.journal.reads import _intent
from trading.journal.words import Intent
from trading.journal.writer import Journal
from trading.risk_guard import RiskGuard, RiskLimits

D = Decimal
PAIR = Pair("A_B", "A", "B")
STATISTICS = SpreadStatistics(1.0, 0.0, 0.0, 0.01)
EQUITY = 10_000.0
ENTRY = {"A": D("2"), "B": D("-4")}
ACCOUNT = {"bot_id": "rig", "mode": "mock", "account": "simulated"}
OPEN_LIMITS = RiskLimits(max_exposure=None, max_drawdown_pct=None, max_daily_loss_pct=None)


def rule(symbol: str, *, step: str = "0.001", min_notional: str = "5") -> Market:
    return Market(symbol, "USDT", "usdm", D("0.01"), D(step), D(step), D(min_notional), D("0.0005"))


PRICES = {"A": D(100), "B": D(50), "C": D(20)}
RULES = {symbol: rule(symbol) for symbol in ("A", "B", "C")}


def still_market(count: int = 40) -> MarketSource:
    """A at 100 and B at 50, hardly moving."""
    return source(
        bars("A", [(100 + at % 3, 100 + (at + 1) % 3) for at in range(count)]),
        bars("B", [(50 + at % 2, 50 + (at + 1) % 2) for at in range(count)]),
    )


class OneEngine:
    """SQLAlchemy compiles each statement once for all the connections of a test, not once for each of its files."""

    def __init__(self, **terms: Any) -> None:
        self._connect: Callable[[], sqlite3.Connection] = lambda: sqlite3.connect(":memory:", check_same_thread=False)
        self._engine = create_engine("sqlite://", creator=lambda: self._connect(), poolclass=NullPool, **terms)

    def __call__(self, url: str, *, creator: Callable[[], sqlite3.Connection] | None = None, **ignored: Any) -> Engine:
        self._connect = creator or self._connect
        return self._engine


JOURNAL_ENGINE = OneEngine(isolation_level="AUTOCOMMIT", hide_parameters=True)
EXCHANGE_ENGINE = OneEngine()


@contextmanager
def fast_files() -> Iterator[None]:
    """Thousands of journals and exchanges in one test."""
    with (
        patch("trading.journal.file.create_engine", JOURNAL_ENGINE),
        patch("brokers.simulated.store.sa.create_engine", EXCHANGE_ENGINE),
    ):
        yield


class Crash(BaseException):
    """The process dies here."""


class CrashPlan:
    """Dies at the ``at``-th point and stays dead: nothing that was under way goes on."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.points: list[str] = []
        self.died = asyncio.Event()

    def point(self, name: str) -> None:
        if not self.died.is_set():
            self.points.append(name)
            if len(self.points) == self.at:
                self.died.set()
        if self.died.is_set():
            raise Crash(name)


DEFAULT_SETTINGS = ExecutionSettings()
DEFAULT_WIRE = WireLimits()


class MortalJournal(Journal):
    """A journal that can die before each of its commits. A crash after one leaves what one before the next does."""

    crash: CrashPlan | None = None

    @contextmanager
    def transaction(self):
        if self.crash is not None and not self._depth:
            self.crash.point("commit")
        with super().transaction():
            yield

    def hurry(self) -> None:
        """No waiting for the disk: a killed process loses nothing that the system has."""
        self._connection.exec_driver_sql("PRAGMA synchronous = OFF")

    def die(self) -> None:
        """Let go of the file as a killed process does: what waited in memory is gone."""
        self._connection.close()
        self._locks.close()


class WatchedPort:
    """The exchange as the engine sees it. Asks ``before`` at each send, counts what is sent, can die around each."""

    def __init__(self, exchange: SimulatedExchange, crash: CrashPlan | None) -> None:
        self._exchange = exchange
        self._crash = crash
        self.sent: list[OrderRequest] = []
        self.before: Callable[[OrderRequest], None] = lambda request: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    async def create_order(self, request: OrderRequest) -> Any:
        if self._crash is not None:
            self._crash.point("send")
        self.before(request)
        self.sent.append(request)
        outcome = await self._exchange.create_order(request)
        if self._crash is not None:
            self._crash.point("answer")
        return outcome


@dataclass
class World:
    """What outlives the bot: the exchange, its clock, the journal's file."""

    exchange: SimulatedExchange
    clock: LoopClock
    journal_path: Path
    journals: list[MortalJournal] = field(default_factory=list)

    @property
    def placed(self) -> list[str]:
        """Client order ids of every order that the exchange ever took."""
        return [row["client_order_id"] for row in self.exchange._store._rows(ORDERS)]

    def held(self, symbol: str) -> Decimal:
        return self.exchange.venue.account.ledger.amount(symbol)

    def close(self) -> None:
        for journal in self.journals:
            journal.close()
        self.exchange.close()


def open_world(
    folder: Path, market: MarketSource | None = None, *, faults: Iterable[Mapping[str, Any]] = (), **terms: Any
) -> World:
    """On the running loop; market time stands until someone runs the market."""
    market = market or still_market()
    store = ExchangeStore(None, fingerprint="rig")
    clock = LoopClock(asyncio.get_running_loop().time, market_start_ms(market, store, warmup_bars=1))
    wanted = {"initial_balance": D(10_000), "slippage_bps": D(1), "warmup_bars": 1, "markets": RULES} | terms
    exchange = SimulatedExchange(market, store, clock=clock, faults=faults, **wanted)
    return World(exchange, clock, folder / "rig.journal.sqlite")


def empty_journal(path: Path) -> Path:
    """The file of a journal whose first run has begun."""
    with MortalJournal.open(path, **ACCOUNT) as journal:
        journal.start_run(started=datetime(2024, 1, 1, tzinfo=UTC), config_sha256="0", code_version="0")
        journal._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@dataclass
class Rig:
    """One life of the bot."""

    world: World
    port: WatchedPort
    journal: MortalJournal
    floor: Floor
    events: list[Event]
    tasks: list[asyncio.Task]

    @property
    def ledger(self) -> PairLedger:
        return self.floor.ledger

    @property
    def guard(self) -> RiskGuard:
        return self.floor.guard

    @property
    def orders(self) -> LegOrders:
        return self.floor.orders

    @property
    def engine(self) -> PairEngine:
        return self.floor.engine

    @property
    def recovery(self) -> Recovery:
        return self.floor.recovery

    @property
    def funding(self) -> FundingBook:
        return self.floor.funding

    @property
    def reconciler(self) -> Reconciler:
        return self.floor.reconciler

    @property
    def kill_switch(self) -> KillSwitch:
        return self.floor.kill_switch

    def enter(self, pair: str = "A_B", legs: Mapping[str, Decimal] | None = None, **fields: Any) -> PairOrder:
        return entry_order(pair, legs or ENTRY, self.now, **fields)

    def leave(self, pair: str = "A_B", reason: str = "reversion") -> PairOrder:
        position = self.ledger.position(pair)
        assert position is not None
        prices = {leg.symbol: float(leg.entry_price) for leg in position.legs}
        return position.exit_order(prices, self.now, reason)

    @property
    def now(self) -> datetime:
        return ms_to_datetime(self.world.clock.now_ms())

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def alarms(self) -> list[str]:
        return [event.message for event in self.of(Alarm)]

    def state(self, pair: str = "A_B") -> PairState:
        return self.ledger.state(pair)

    def intents(self) -> list[Intent]:
        return [_intent(row) for row in self.journal._rows(select(schema.intents).order_by(schema.intents.c.id))]

    async def recover(self) -> tuple[Mismatch, ...]:
        """As a session does: restore, reconcile, and only then finish what was half-done."""
        self.recovery.restore(run=1)
        mismatches = await self.recovery.reconcile(tuple(self.world.exchange.source.symbols))
        for pair in self.recovery.interrupted():
            await self.engine.finish_interrupted(pair)
        return mismatches

    def listen(self) -> None:
        """To the user stream, from now on."""
        follow = self.floor.follow_account(self.world.exchange.events())
        self.tasks.append(asyncio.get_running_loop().create_task(follow))

    async def stop(self) -> None:
        await self.kill_switch.close()
        await end_all(self.tasks)


def entry_order(
    pair: str,
    legs: Mapping[str, Decimal],
    when: datetime,
    *,
    prices: Mapping[str, Decimal | float] = PRICES,
    **fields: Any,
) -> PairOrder:
    first = next(iter(legs.values()))
    values = {"zscore": -2.1 if first > 0 else 2.1, "statistics": STATISTICS, "half_life_bars": 12.0} | fields
    return PairOrder(
        ref=entry_ref(pair, when),
        pair_id=pair,
        action=Action.ENTER,
        direction=Direction.LONG if first > 0 else Direction.SHORT,
        legs=tuple(LegOrder(symbol, amount, float(prices[symbol])) for symbol, amount in legs.items()),
        decided_at=when,
        reason="entry",
        **values,
    )


def start_rig(
    world: World,
    *,
    pairs: Iterable[Pair] = (PAIR,),
    limits: RiskLimits = OPEN_LIMITS,
    settings: ExecutionSettings | None = None,
    crash: CrashPlan | None = None,
    wire: WireLimits = DEFAULT_WIRE,
    rules: Mapping[str, Market] = RULES,
    port_type: Callable[[SimulatedExchange, CrashPlan | None], WatchedPort] = WatchedPort,
    listens: bool = True,
) -> Rig:
    """A new life of the bot in a world; the user stream is listened to from now on, or once ``listen`` is called."""
    journal = MortalJournal.open(world.journal_path, nonce=lambda: f"rig{len(world.journals):03d}", **ACCOUNT)
    world.journals.append(journal)
    journal.hurry()
    if journal.resume_run() is None:
        journal.start_run(started=datetime(2024, 1, 1, tzinfo=UTC), config_sha256="0", code_version="0")
    journal.crash = crash
    port = port_type(world.exchange, crash)
    events: list[Event] = []
    bus = EventBus()
    bus.add(events.append)
    ledger = PairLedger(D(10_000), {pair.pair_id: pair for pair in pairs})
    guard = RiskGuard(limits, EQUITY)
    floor = build_floor(
        market=port,
        trading=port,
        journal=journal,
        ledger=ledger,
        guard=guard,
        clock=world.clock,
        bus=bus,
        rules=rules,
        settings=settings or ExecutionSettings(),
        bot_id="rig",
        emergency=port,
        withdraw_unsent=lambda: None,
        wire=wire,
    )
    floor.wire.last_price = lambda symbol: floor.engine.last_price(symbol) or PRICES.get(symbol)
    rig = Rig(world, port, journal, floor, events, [])
    if listens:
        rig.listen()
    return rig


def assert_sound(rig: Rig) -> None:
    """The invariants of a quiet bot: no duplicates, no lost fill, ledger and exchange equal, intents terminal."""
    world = rig.world
    intents = rig.intents()
    assert len(set(world.placed)) == len(world.placed)
    assert set(world.placed) <= {intent.client_order_id for intent in intents}, "an order without an intent"
    assert len(rig.port.sent) == len({request.client_order_id for request in rig.port.sent}), "an intent sent twice"
    assert not rig.journal.unresolved_intents()
    for symbol in world.exchange.source.symbols:
        assert rig.ledger.net(symbol) == world.held(symbol), symbol
        assert rig.journal.ledger().get(symbol, D(0)) == world.held(symbol), symbol
    booked = booked_trades(rig.journal)
    assert booked == sorted(fill.trade_id for fill in world.exchange.venue.fills)
    by_intent = {intent.client_order_id: intent.filled for intent in intents}
    for fill in world.exchange.venue.fills:
        by_intent[fill.client_order_id] -= fill.amount
    assert not any(by_intent.values()), by_intent


def booked_trades(journal: Journal) -> list[str]:
    return sorted(row.trade_id for row in journal._rows(select(schema.fills.c.trade_id)))


def is_hedged_or_flat(rig: Rig, pair: str = "A_B", legs: Mapping[str, Decimal] = ENTRY) -> bool:
    """Flat, or every leg the same share of what was wanted (to a step)."""
    shares = [rig.ledger.quantity(pair, symbol) / wanted for symbol, wanted in legs.items()]
    return max(shares) - min(shares) <= D("0.001") and min(shares) >= 0
