"""The config as one frozen value, and what a run gets of it. After loading, no dict travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mixins.spec import RuleSpec
from pairs.words import Pair
from trading.config.notification_sections import Notifications
from trading.config.report import Problem
from trading.config.sections import (
    INTERVAL_HOURS,
    Broker,
    Cointegration,
    Data,
    Execution,
    Logging,
    Mock,
    Name,
    PairEntry,
    PairHealth,
    PathText,
    Risk,
    RiskManagement,
    Section,
    Signal,
    State,
    Strategy,
    Text,
    Trading,
)

DEFAULT_POSITION_SIZE = 0.1
MAX_PAIRS = 2_000

Pairs = Annotated[tuple[PairEntry, ...], Field(strict=False, min_length=1, max_length=MAX_PAIRS)]
FoundPairs = Annotated[tuple[PairEntry, ...], Field(strict=False, max_length=MAX_PAIRS)]


class PairsFile(Section):
    """The file that ``pairs_file`` names: what the scanner writes, also when it found none."""

    schema_: Text | None = Field(default=None, alias="$schema")
    description: Text | None = None
    version: Text | None = None
    pairs: FoundPairs


class Config(Section):
    """The whole file. Sections that are not given have their defaults."""

    schema_: Text | None = Field(default=None, alias="$schema")
    description: Text = ""
    version: Text = "1.0"
    bot_id: Name | None = None
    broker: Broker
    mock: Mock = Mock()
    data: Data
    trading: Trading = Trading()
    pairs: Pairs | None = None
    pairs_file: PathText | None = None
    strategy: Strategy
    execution: Execution = Execution()
    cointegration: Cointegration = Cointegration()
    pair_health: PairHealth = PairHealth()
    signal: Signal = Signal()
    risk_management: RiskManagement = RiskManagement()
    risk: Risk = Risk()
    notifications: Notifications = Notifications()
    logging: Logging = Logging()
    state: State = State()

    @property
    def position_size(self) -> float:
        """Gross notional of a position over equity, wherever the file said it."""
        return self.trading.position_size or self.strategy.position_size or DEFAULT_POSITION_SIZE

    @property
    def testnet(self) -> bool:
        return bool(self.broker.testnet or self.broker.use_testnet)

    @property
    def stops_between_bars(self) -> bool:
        wanted = self.trading.stops_between_bars
        return self.broker.type in REAL_MARKETS if wanted is None else wanted

    @property
    def backtest_rearm(self) -> bool:
        return bool(self.risk_management.backtest_rearm or self.risk.backtest_rearm)

    @property
    def risk_per_trade(self) -> float:
        """Fraction of equity."""
        return self.strategy.sizing.risk_per_trade or self.execution.risk_per_trade

    @property
    def market(self) -> str:
        """ "usdm" or "spot": the market every symbol of this config means."""
        return self.broker.market or ("usdm" if self.strategy.type == "pair" else "spot")

    @property
    def bar_hours(self) -> float:
        return INTERVAL_HOURS[self.data.interval]

    @property
    def is_live(self) -> bool:
        """True when orders would reach a real venue."""
        return self.broker.type in LIVE_BROKERS


LIVE_BROKERS = ("binance", "ibkr")
REAL_MARKETS = ("binance", "binance_paper")


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Everything a run needs to know. ``sha256`` changes with any value a run could read, defaults included.

    ``pairs``: compact symbols; a one-symbol config has a single pair whose ``leg_b`` is None. ``kept``: those that an
    open trade keeps otherwise than the file has them, and in what they differ.
    """

    model: Config
    path: Path
    name: str
    bot_id: str
    sha256: str
    pairs: tuple[Pair, ...]
    entry: RuleSpec
    exit: RuleSpec
    warnings: tuple[Problem, ...]
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol once, in the order of the pairs."""
        return tuple(dict.fromkeys(symbol for pair in self.pairs for symbol in pair.symbols))
