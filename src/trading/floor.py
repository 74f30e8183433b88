"""What the rooms of a live run share: the collaborators, and what the run has counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort, TradingPort
from trading.events import EventBus
from trading.execution.funding_book import FundingBook
from trading.execution.kill_switch import KillSwitch
from trading.execution.leg_orders import LegOrders
from trading.execution.pair_engine import PairEngine
from trading.execution.pair_ledger import PairLedger
from trading.execution.recovery import Recovery
from trading.journal.writer import Journal
from trading.risk_guard import RiskGuard


@dataclass(slots=True)
class Progress:
    """What a run counts. ``run`` is its number in the journal; ``bars`` are time steps, warm-up included;
    ``last_bars`` holds the close of each symbol's newest bar.
    """

    run: int = 0
    bars: int = 0
    bars_in_position: int = 0
    signals: int = 0
    time: datetime | None = None
    prices: dict[str, float] = field(default_factory=dict)
    last_bars: dict[str, datetime] = field(default_factory=dict)
    is_market_up: bool = True
    equity: list[tuple[datetime, float]] = field(default_factory=list)


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
    recovery: Recovery
    kill_switch: KillSwitch
