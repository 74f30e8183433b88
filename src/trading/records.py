"""What a run leaves behind: trades, refusals and open positions as plain frozen values.

Money in quote currency as ``Decimal``; times UTC-aware. ``pnl = pnl_price + pnl_fees + pnl_funding`` and each part is
the sum over the legs, exactly. ``slippage`` and ``legging_cost`` are already inside ``pnl_price``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class LegRecord:
    """``quantity`` is signed and as entered; ``exit_price`` is None while open. ``fees`` are negative when paid."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal | None
    pnl_price: Decimal
    fees: Decimal
    funding: Decimal
    slippage: Decimal


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """One round trip of a pair (or of one symbol: a single leg, null z)."""

    pair_id: str
    direction: str
    entry_time: datetime
    exit_time: datetime
    entry_z: float | None
    exit_z: float | None
    exit_reason: str
    in_formation: bool
    legs: tuple[LegRecord, ...]
    legging_cost: Decimal

    def with_funding(self, symbol: str, amount: Decimal) -> TradeRecord:
        """The same trade with more funding on one leg."""
        legs = (replace(leg, funding=leg.funding + amount) if leg.symbol == symbol else leg for leg in self.legs)
        return replace(self, legs=tuple(legs))

    @property
    def pnl_price(self) -> Decimal:
        return sum((leg.pnl_price for leg in self.legs), Decimal(0))

    @property
    def pnl_fees(self) -> Decimal:
        return sum((leg.fees for leg in self.legs), Decimal(0))

    @property
    def pnl_funding(self) -> Decimal:
        return sum((leg.funding for leg in self.legs), Decimal(0))

    @property
    def pnl(self) -> Decimal:
        return self.pnl_price + self.pnl_fees + self.pnl_funding


@dataclass(frozen=True, slots=True)
class OpenRecord:
    """A pair still open at the end. ``unrealised`` includes the fees and funding already booked."""

    pair_id: str
    direction: str
    entry_time: datetime
    legs: tuple[LegRecord, ...]
    unrealised: Decimal


@dataclass(frozen=True, slots=True)
class RefusalRecord:
    time: datetime
    pair_id: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a pair did or did not trade on one bar. Numbers are None where they were not defined."""

    time: datetime
    pair_id: str
    spread: float | None
    zscore: float | None
    hedge_ratio: float | None
    rule: str
    answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """How well orders were executed: latency in ms, slippage and legging in per cent of notional, positive: it cost.

    ``alerts``: orders and pair trades that cost more than the config's ``slippage_alert_pct``.
    """

    orders: int
    median_latency_ms: float
    p95_latency_ms: float
    average_slippage_pct: float
    p95_slippage_pct: float
    average_legging_pct: float
    alerts: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a result came from. ``terms``: the config's sections that decide, as JSON values without secrets.

    ``data``: which bars and their digest, empty for a real market; ``versions``: of Python and the libraries.
    """

    config_sha256: str
    code_version: str
    terms: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything a backtest, a rehearsal or a run has to tell; ``trading.reports.result_files`` writes it."""

    config: str
    mode: str
    bars: int
    start: datetime | None
    end: datetime | None
    bar_hours: float
    equity_start: Decimal
    equity_end: Decimal
    trades: tuple[TradeRecord, ...]
    open: tuple[OpenRecord, ...]
    refused: tuple[RefusalRecord, ...]
    equity: tuple[tuple[datetime, float], ...]
    bars_in_position: int
    turnover_notional: Decimal
    signals: int
    notes: tuple[str, ...] = ()
    risk_trips: tuple[tuple[datetime, str], ...] = ()
    uptime_s: float | None = None
    execution: ExecutionRecord | None = None
    provenance: Provenance | None = None
