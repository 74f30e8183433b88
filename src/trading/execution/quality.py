"""How well orders were executed: counted from the events, never asked from the exchange."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from trading.events import Alarm, EntryRefused, Event, OrderFinished, PairClosed, PairOpened
from trading.journal.words import Intent
from trading.records import ExecutionRecord, TradeRecord

SAMPLES = 10_000  # the last ones, for percentiles
ALERT_PCT = 0.5


@dataclass(slots=True)
class Sampled:
    """A figure of many orders: average and largest of all, percentiles of the last ``SAMPLES``."""

    count: int = 0
    total: float = 0.0
    largest: float = -math.inf
    last: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.largest = max(self.largest, value)
        self.last.append(value)

    @property
    def average(self) -> float:
        return self.total / self.count if self.count else 0.0

    def percentiles(self, *wanted: int) -> dict[str, float]:
        """``{"p50": …}`` by the nearest rank; 0.0 before the first sample."""
        ordered = sorted(self.last)
        return {f"p{rank}": _nearest_rank(ordered, rank) for rank in wanted}


@dataclass(slots=True)
class ExecutionQuality:
    """A listener. Slippage in per cent of notional against the price of the decision, positive when it cost.

    Latency in ms, from just before an order was sent until its last fill was booked. Legging cost of a pair trade in
    quote currency (negative: it cost) and, as slippage, in per cent of the trade's notional at entry. ``tell`` hears an
    alarm when an order or a pair trade cost more than ``alert_pct``; None: never.
    """

    alert_pct: float | None = ALERT_PCT
    tell: Callable[[Alarm], None] = lambda alarm: None
    orders: int = 0
    opened: int = 0
    refused: int = 0
    alerts: int = 0
    latency: Sampled = field(default_factory=Sampled)
    slippage: Sampled = field(default_factory=Sampled)
    legging: Sampled = field(default_factory=Sampled)
    legging_cost: Decimal = Decimal(0)

    def on_event(self, event: Event) -> None:
        match event:
            case OrderFinished(intent=intent):
                self.orders += 1
                if intent.filled:
                    self.latency.add(event.latency_ms)
                    self._take_slippage(intent, event.time)
            case PairOpened():
                self.opened += 1
            case PairClosed(trade=trade):
                self._take_legging(trade, event.time)
            case EntryRefused():
                self.refused += 1

    def note_order(self, *, latency_ms: float | None, slippage_pct: float | None) -> None:
        """An order of somebody who has no events. What is None is not known."""
        self.orders += 1
        if latency_ms is not None:
            self.latency.add(latency_ms)
        if slippage_pct is not None:
            self.slippage.add(slippage_pct)

    @property
    def average_latency_ms(self) -> float:
        return self.latency.average

    @property
    def average_slippage_pct(self) -> float:
        return self.slippage.average

    def speed_metrics(self) -> dict[str, Any]:
        return {
            "orders": self.orders,
            "avg_latency_ms": self.latency.average,
            "max_latency_ms": _or_zero(self.latency.largest),
            **{f"{name}_latency_ms": value for name, value in self.latency.percentiles(50, 95, 99).items()},
        }

    def slippage_metrics(self) -> dict[str, Any]:
        return {
            "orders": self.slippage.count,
            "avg_slippage_pct": self.slippage.average,
            "max_slippage_pct": _or_zero(self.slippage.largest),
            **{f"{name}_slippage_pct": value for name, value in self.slippage.percentiles(50, 95, 99).items()},
            "alert_pct": self.alert_pct,
            "alerts": self.alerts,
        }

    def legging_metrics(self) -> dict[str, Any]:
        return {
            "pair_trades": self.legging.count,
            "legging_cost": float(self.legging_cost),
            "avg_legging_pct": self.legging.average,
            "max_legging_pct": _or_zero(self.legging.largest),
            **{f"{name}_legging_pct": value for name, value in self.legging.percentiles(50, 95).items()},
        }

    def record(self) -> ExecutionRecord:
        """For the report of a run."""
        latency, slippage = self.latency.percentiles(50, 95), self.slippage.percentiles(95)
        return ExecutionRecord(
            orders=self.orders,
            median_latency_ms=latency["p50"],
            p95_latency_ms=latency["p95"],
            average_slippage_pct=self.slippage.average,
            p95_slippage_pct=slippage["p95"],
            average_legging_pct=self.legging.average,
            alerts=self.alerts,
        )

    def _take_slippage(self, intent: Intent, time: datetime) -> None:
        if intent.average is None or not intent.reference_price > 0.0:
            return
        slippage_pct = 100.0 * intent.side.sign * (float(intent.average) / intent.reference_price - 1.0)
        self.slippage.add(slippage_pct)
        what = f"{intent.side.value} of {intent.symbol} slipped"
        self._check(slippage_pct, what, time, intent.pair_id)

    def _take_legging(self, trade: TradeRecord, time: datetime) -> None:
        if len(trade.legs) < 2:
            return
        notional = sum((abs(leg.quantity) * leg.entry_price for leg in trade.legs), Decimal(0))
        legging_pct = float(-100 * trade.legging_cost / notional) if notional else 0.0
        self.legging.add(legging_pct)
        self.legging_cost += trade.legging_cost
        self._check(legging_pct, f"between its legs {trade.pair_id} lost", time, trade.pair_id)

    def _check(self, cost_pct: float, what: str, time: datetime, pair_id: str) -> None:
        if self.alert_pct is None or cost_pct <= self.alert_pct:
            return
        self.alerts += 1
        self.tell(Alarm(time, f"{what} {cost_pct:.2f} %, more than {self.alert_pct:g} % (slippage_alert_pct)", pair_id))


def _nearest_rank(ordered: list[float], rank: int) -> float:
    return ordered[max(0, math.ceil(len(ordered) * rank / 100) - 1)] if ordered else 0.0


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0
