"""The execution floor of one account, put together: the same for every exchange, under the bot and alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.words import Account, Connection, Fill, FundingPayment, Market, OrderReport, UserEvent
from trading.events import ConnectionChanged, EventBus
from trading.execution.funding_book import FundingBook
from trading.execution.funds import Funds
from trading.execution.kill_switch import KillSwitch
from trading.execution.leg_orders import LegOrders
from trading.execution.pair_engine import PairEngine
from trading.execution.pair_ledger import PairLedger
from trading.execution.reconciler import Reconciler
from trading.execution.recovery import Recovery
from trading.execution.settings import ExecutionSettings
from trading.execution.wire_guard import WireGuard, WireLimits
from trading.journal.writer import Journal
from trading.risk_guard import RiskGuard

USUAL_LIMITS = WireLimits()
ORDERS_OF_AN_ENTRY = 4  # both legs, and two for what may go wrong


@dataclass(frozen=True, slots=True)
class Floor:
    """The collaborators of a session: ports, engine, ledger, guard, journal."""

    market: MarketPort
    trading: TradingPort
    engine: PairEngine
    orders: LegOrders
    funding: FundingBook
    ledger: PairLedger
    guard: RiskGuard
    journal: Journal
    clock: Clock
    bus: EventBus
    reconciler: Reconciler
    recovery: Recovery
    kill_switch: KillSwitch
    wire: WireGuard
    funds: Funds

    async def follow_account(self, events: AsyncIterator[UserEvent]) -> None:
        """Book what the user stream tells, until it ends. ``events``: subscribed before anything was asked."""
        async for event in events:
            match event:
                case Fill():
                    self.orders.book(event)
                case OrderReport():
                    self.orders.take_report(event)
                case Account():
                    self.funds.note(event)
                case FundingPayment():
                    self.funding.book(event)
                case Connection():
                    self.note_connection(event)

    def note_connection(self, connection: Connection) -> None:
        """A stream went down or came back: then the account is looked at again."""
        when = ms_to_datetime(connection.time_ms)
        self.bus.publish(ConnectionChanged(when, connection.stream, connection.is_up, connection.reason))
        if connection.is_up:
            self.reconciler.soon()


def build_floor(
    *,
    market: MarketPort,
    trading: TradingPort,
    journal: Journal,
    ledger: PairLedger,
    guard: RiskGuard,
    clock: Clock,
    bus: EventBus,
    rules: Mapping[str, Market],
    settings: ExecutionSettings,
    bot_id: str,
    emergency: TradingPort,
    withdraw_unsent: Callable[[], None],
    wire: WireLimits = USUAL_LIMITS,
    network: str = "simulated",
    doubts: Callable[[], tuple[str, ...]] = tuple,
    account: str = "",
) -> Floor:
    """``rules``: of every symbol that may be traded; ``network``: where the orders of ``trading`` go; ``doubts``: why
    that venue is not fit for anything new just now; ``emergency``, ``withdraw_unsent``: see ``KillSwitch``;
    ``account``: its name, where one guard has several.

    Nothing is asked or sent before ``recovery`` is.
    """
    guarded = WireGuard(trading, clock, wire, network=network)
    funds = Funds(guarded, ledger, clock, rules, leverage=Decimal(repr(settings.leverage)))
    orders = LegOrders(guarded, journal, clock, bus, bot_id=bot_id)
    engine = PairEngine(
        market=market,
        orders=orders,
        journal=journal,
        ledger=ledger,
        guard=guard,
        clock=clock,
        bus=bus,
        rules=rules,
        settings=settings,
        funds=funds,
        doubts=lambda: doubts() or (() if guarded.room >= ORDERS_OF_AN_ENTRY else ("order_rate",)),
    )
    guarded.on_trip, guarded.last_price = engine.on_wire_guard, engine.last_price
    funding = FundingBook(
        journal=journal,
        ledger=ledger,
        orders=orders,
        foreign=engine.foreign,
        clock=clock,
        bus=bus,
        on_unwritable=engine.on_unwritable,
    )
    reconciler = Reconciler(
        trading=guarded,
        orders=orders,
        journal=journal,
        book=engine.book,
        foreign=engine.foreign,
        rules=rules,
        clock=clock,
        every_s=settings.reconcile_s,
        account=account,
    )
    recovery = Recovery(
        journal=journal,
        trading=guarded,
        orders=orders,
        engine=engine,
        ledger=ledger,
        guard=guard,
        funding=funding,
        reconciler=reconciler,
        clock=clock,
    )

    def note_account(account: Account) -> None:
        funds.note(account)
        funding.book_owed()

    engine.on_nothing_to_reduce, reconciler.on_account = reconciler.settle, note_account
    kill_switch = KillSwitch(
        engine=engine,
        orders=orders,
        ledger=ledger,
        guard=guard,
        reconciler=reconciler,
        journal=journal,
        clock=clock,
        bus=bus,
        trading=guarded,
        emergency=emergency,
        withdraw_unsent=withdraw_unsent,
        symbols=rules,
    )
    return Floor(
        market,
        guarded,
        engine,
        orders,
        funding,
        ledger,
        guard,
        journal,
        clock,
        bus,
        reconciler,
        recovery,
        kill_switch,
        guarded,
        funds,
    )
