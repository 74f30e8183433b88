"""The breaker and the limits against a model that is nothing but their sentences."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pairs.words import Approved
from tests.trading.risk.positions import NOON, entry, holding
from trading.risk_guard import Breaker, RiskGuard, RiskLimits

PRICES = {"A": 100.0, "B": 50.0}
LEGS = {"A": 1.0, "B": -2.0}  # a gross of 200
PAIRS = ("p", "q", "r")
LIMITS = RiskLimits(
    max_positions=2, max_exposure=None, max_leverage=100.0, account_leverage=100.0, max_drawdown_pct=10.0,
    max_daily_loss=50.0, max_daily_loss_pct=None, max_daily_trades=4, max_stops_per_pair=2, max_failed_orders=3,
    failed_orders_hours=6.0, cooldown_s=3_600.0,
)  # fmt: skip
STOPS = ("stop", "stop_loss", "trailing_stop", "liquidation_distance")
REFUSED = ("-2019 Margin is insufficient", "unwound:hedge_failed", "expired")
LOST = ("local not sent: banned", "absent")


@dataclass
class Model:
    """What a person would say after reading the limits aloud."""

    equity: float = 1_000.0
    peak: float = 1_000.0
    day_start: float = 1_000.0
    trades: int = 0
    breaker: str = "closed"  # closed, cooling, reduce_only, halted
    until: datetime | None = None
    probing: str | None = None  # None: all may; "": nobody tries yet
    failures: list[tuple[datetime, bool]] = field(default_factory=list)
    stops: dict[str, int] = field(default_factory=dict)
    quarantined: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)

    def trip(self, wanted: str) -> None:
        order = ("closed", "cooling", "reduce_only", "halted")
        if order.index(wanted) > order.index(self.breaker):
            self.breaker, self.probing = wanted, None

    def may_enter(self, pair: str) -> bool:
        return (
            self.breaker == "closed"
            and self.probing in (None, "")
            and pair not in self.counted
            and len(self.counted) < 2
            and self.trades < 4
            and pair not in self.quarantined
            and self.day_start - self.equity < 50.0
        )


class RiskMachine(RuleBasedStateMachine):
    """Pairs are under way, open or gone; bars come hourly; processes die."""

    @initialize()
    def start(self) -> None:
        self.guard, self.model, self.time = RiskGuard(LIMITS, 1_000.0), Model(), NOON
        self.under_way: set[str] = set()
        self.open: set[str] = set()
        self.bar(0.0, 0)

    @rule(gain=st.floats(-60.0, 60.0), hours=st.integers(1, 8))
    def bar(self, gain: float, hours: int) -> None:
        model, before = self.model, self.time
        self.time += timedelta(hours=hours)
        if self.time.date() != before.date():
            model.day_start, model.trades = model.equity, 0
            model.stops.clear()
            model.quarantined.clear()
        if model.breaker == "cooling" and model.until is not None and self.time >= model.until:
            model.breaker, model.until, model.probing = "closed", None, ""
            model.failures.clear()
        model.equity = max(model.equity + gain, 500.0)
        model.peak = max(model.peak, model.equity)
        model.counted = self.under_way | self.open
        positions = {pair: holding(pair, LEGS, PRICES) for pair in sorted(self.open)}
        assert self.guard.on_bar(self.time, model.equity, positions, PRICES) == []
        if not 100.0 * (model.peak - model.equity) / model.peak < 10.0:
            model.trip("reduce_only")

    @rule(pair=st.sampled_from(PAIRS))
    def enter(self, pair: str) -> None:
        may = self.model.may_enter(pair)
        assert isinstance(self.guard.check(entry(pair, LEGS, PRICES, self.time)), Approved) is may
        if may:
            self.model.trades += 1
            self.model.counted.add(pair)
            self.under_way.add(pair)
            if self.model.probing == "":
                self.model.probing = pair

    @rule(pair=st.sampled_from(PAIRS))
    def opens(self, pair: str) -> None:
        if pair in self.under_way:
            self.under_way.remove(pair)
            self.open.add(pair)
            self.guard.entry_opened()
            self.model.failures.clear()
            self.model.probing = None

    @rule(pair=st.sampled_from(PAIRS))
    def withdrawn(self, pair: str) -> None:
        """Refused by a later check: no order was sent."""
        if pair in self.under_way:
            self._gone(pair)

    @rule(pair=st.sampled_from(PAIRS), reason=st.sampled_from(REFUSED + LOST))
    def fails(self, pair: str, reason: str) -> None:
        if pair not in self.under_way:
            return
        model, is_lost, was_probe = self.model, reason in LOST, self.model.probing == pair
        self.guard.entry_failed(pair, reason, self.time)
        self._gone(pair)
        recent = [one for one in model.failures if self.time - one[0] < timedelta(hours=6)]
        model.failures = [*recent, (self.time, is_lost)]
        many = len(model.failures) >= 3
        if (is_lost and was_probe) or (many and all(lost for _, lost in model.failures)):
            self._cool_down(3_600.0)
        elif many:
            model.trip("reduce_only")

    def _gone(self, pair: str) -> None:
        self.guard.release(pair)
        self.under_way.remove(pair)
        self.model.counted.discard(pair)
        if self.model.probing == pair:
            self.model.probing = ""

    @rule(pair=st.sampled_from(PAIRS), reason=st.sampled_from((*STOPS, "reversion", "take_profit", "timeout")))
    def leaves(self, pair: str, reason: str) -> None:
        if pair not in self.open:
            return
        self.open.remove(pair)
        self.guard.pair_left(pair, reason, self.time)
        if reason in STOPS:
            self.model.stops[pair] = self.model.stops.get(pair, 0) + 1
        if reason in STOPS and self.model.stops[pair] >= 2:
            self.model.quarantined.add(pair)

    @rule(seconds=st.floats(1.0, 20_000.0))
    def transport_breaks(self, seconds: float) -> None:
        self.guard.cool_down("unreachable", self.time, seconds)
        self._cool_down(seconds)

    def _cool_down(self, seconds: float) -> None:
        if self.model.breaker == "closed":
            self.model.trip("cooling")
            self.model.until = self.time + timedelta(seconds=seconds)

    @rule()
    def halted(self) -> None:
        self.guard.halt("a_test", self.time)
        self.model.trip("halted")

    @rule(equity=st.sampled_from([float("nan"), float("inf")]))
    def equity_is_lost(self, equity: float) -> None:
        self.guard.on_bar(self.time, equity, {}, PRICES)
        self.model.trip("halted")

    @rule()
    def rearmed(self) -> None:
        self.guard.rearm()
        model = self.model
        model.breaker, model.until, model.probing, model.peak = "closed", None, None, model.equity
        model.failures.clear()

    @rule()
    def restarts(self) -> None:
        """The process dies: what is on disk comes back, and recovery adopts what it finds."""
        disk = json.loads(json.dumps(self.guard.snapshot(), allow_nan=False))
        self.guard = RiskGuard(LIMITS, 1_000.0)
        self.guard.restore(disk)
        for pair in sorted(self.under_way | self.open):
            self.guard.adopt(entry(pair, LEGS, PRICES, self.time))
        self.model.counted = self.under_way | self.open

    @invariant()
    def agrees(self) -> None:
        wanted = {"cooling": Breaker.REDUCE_ONLY}.get(self.model.breaker) or Breaker(self.model.breaker)
        assert self.guard.breaker is wanted
        assert self.guard.exposure.pairs == self.model.counted
        assert self.guard.gross_exposure == 200.0 * len(self.model.counted)
        assert set(self.guard.state.quarantine) == self.model.quarantined
        assert len(self.guard.usage()) == 8
        json.dumps(self.guard.get_risk_status(), allow_nan=False)
