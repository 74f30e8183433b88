"""What the strategies' tests share: markets by seed, a plan, a broker that fills at the next step, a spy recorder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import backtrader as bt
import numpy as np

from ccxt_bt_bridge.bt_time import datetime_to_ms, ms_to_datetime
from ccxt_bt_bridge.series import BarSeries
from ccxt_bt_bridge.words import Market
from feeds.array_feed import ArrayFeed
from mixins.base import EntryAnswer, EntryMixin, ExitAnswer, ExitMixin
from mixins.spec import RuleSpec
from mixins.zscore import ZScoreEntryMixin, ZScoreExitMixin
from pairs.costs import TradingCosts
from pairs.sizing import SizingSpec
from pairs.words import Action, Direction, HedgeSpec, LegPosition, Pair, PairOrder, PairPosition, PairState
from strategies.plan import StrategyPlan

HOUR_MS = 3_600_000
START_MS = datetime_to_ms(datetime(2024, 1, 1, tzinfo=UTC))
PAIR = Pair("A_B", "AUSDT", "BUSDT", HedgeSpec(ratio=1.0))
SINGLE = Pair("AUSDT", "AUSDT", None)
NEVER_TRADE = datetime(2100, 1, 1, tzinfo=UTC)


def at(bar: int) -> datetime:
    """The close of the bar of this number, counted from 1."""
    return ms_to_datetime(START_MS + bar * HOUR_MS)


def series(symbol: str, closes: Any, *, numbers: Any = None, volume: Any = None) -> BarSeries:
    """Hourly bars around these closes; ``numbers`` are the bars' numbers, 1, 2, 3, … unless told."""
    close = np.array(closes, dtype=float)
    count = np.arange(1, len(close) + 1) if numbers is None else np.array(numbers)
    opened = np.concatenate((close[:1], close[:-1]))
    high, low = np.fmax(opened, close) * 1.002, np.fmin(opened, close) * 0.998
    traded = np.full(len(close), 10.0) if volume is None else np.array(volume, dtype=float)
    return BarSeries(symbol, HOUR_MS, START_MS + count.astype(np.int64) * HOUR_MS, opened, high, low, close, traded)


def cointegrated(bars: int = 400, seed: int = 3) -> tuple[BarSeries, BarSeries]:
    """Two legs whose log spread (ratio 1) reverts to nought within a few bars."""
    random = np.random.default_rng(seed)
    walk = np.cumsum(random.normal(scale=0.01, size=bars))
    spread = np.zeros(bars)
    for bar in range(1, bars):
        spread[bar] = 0.85 * spread[bar - 1] + random.normal(scale=0.01)
    volumes = random.lognormal(3.0, 0.8, (2, bars))
    return (
        series("AUSDT", 100.0 * np.exp(walk + spread), volume=volumes[0]),
        series("BUSDT", 50.0 * np.exp(walk), volume=volumes[1]),
    )


def market(symbol: str, *, step: str = "0.0001", min_notional: str = "5", min_amount: str = "0") -> Market:
    return Market(
        symbol=symbol,
        quote="USDT",
        kind="usdm",
        price_tick=Decimal("0.01"),
        amount_step=Decimal(step),
        min_amount=Decimal(min_amount),
        min_notional=Decimal(min_notional),
        taker_fee=Decimal("0.0005"),
    )


def spec(rule: type, **params: Any) -> RuleSpec:
    return RuleSpec(rule.__name__, rule, rule.Params(**params))


def plan(*pairs: Pair, entry: RuleSpec | None = None, exit: RuleSpec | None = None, **changes: Any) -> StrategyPlan:
    """A plan that enters at z 1.5 over 30 bars and leaves at 0.5, on a thousandth steps, without costs."""
    pairs = pairs or (PAIR,)
    made = StrategyPlan(
        pairs=pairs,
        entry=entry or spec(ZScoreEntryMixin, e_window=30, e_entry_z=1.5),
        exit=exit or spec(ZScoreExitMixin, x_cooldown_bars=3),
        sizing=SizingSpec(),
        costs=TradingCosts(),
        markets={symbol: market(symbol) for pair in pairs for symbol in pair.symbols},
        interval_ms=HOUR_MS,
        trade_after=at(0),
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Seen:
    """One decision, and what the rules could look at when it was made."""

    bar: int
    pair_id: str
    rule: str
    answer: str
    reason: str
    zscore: float
    prices: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.bar} {self.rule}: {self.answer} ({self.reason})"


@dataclass
class Spy:
    """A recorder that keeps everything."""

    decisions: list[Seen] = field(default_factory=list)
    refusals: list[tuple[int, str, tuple[str, ...]]] = field(default_factory=list)

    def decision(self, desk: Any, time: datetime, rule: str, answer: str, reason: str) -> None:
        seen = Seen(
            bar_number(time), desk.pair.pair_id, rule, answer, reason, desk.zscore, (desk.price_a, desk.price_b)
        )
        self.decisions.append(seen)

    def refusal(self, time: datetime, pair_id: str, reasons: tuple[str, ...]) -> None:
        self.refusals.append((bar_number(time), pair_id, reasons))


def bar_number(time: datetime) -> int:
    return (datetime_to_ms(time) - START_MS) // HOUR_MS


class FakePairBroker:
    """Fills every order at the prices of the next step. Picklable, for runs on several processes."""

    def __init__(self, equity: float = 10_000.0, *, slow_steps: int = 0) -> None:
        self.orders: list[PairOrder] = []
        self.notified: list[Any] = []
        self.steps: list[tuple[int, dict[str, float]]] = []
        self._equity = equity
        self._slow_steps = slow_steps
        self._waiting: dict[str, tuple[PairOrder, int]] = {}
        self.positions: dict[str, PairPosition] = {}

    def bind(self, strategy: Any) -> None:
        """Nothing here needs the strategy."""

    def begin_step(self, time: datetime, prices: dict[str, float]) -> None:
        self.steps.append((bar_number(time), dict(prices)))
        for pair_id, (order, steps) in list(self._waiting.items()):
            if steps:
                self._waiting[pair_id] = (order, steps - 1)
            else:
                self._fill(order, prices)

    def submit(self, order: PairOrder) -> str:
        self.orders.append(order)
        self._waiting[order.pair_id] = (order, self._slow_steps)
        state = PairState.ENTERING if order.action is Action.ENTER else PairState.EXITING
        self.positions[order.pair_id] = _position(order, state, {leg.symbol: leg.reference_price for leg in order.legs})
        return order.ref

    def position(self, pair_id: str) -> PairPosition | None:
        return self.positions.get(pair_id)

    def equity(self) -> float:
        return self._equity

    def on_order(self, order: Any) -> None:
        self.notified.append(order)

    def _fill(self, order: PairOrder, prices: dict[str, float]) -> None:
        del self._waiting[order.pair_id]
        if order.action is Action.ENTER:
            self.positions[order.pair_id] = _position(order, PairState.OPEN, prices)
        else:
            del self.positions[order.pair_id]


def _position(order: PairOrder, state: PairState, prices: dict[str, float]) -> PairPosition:
    return PairPosition(
        pair_id=order.pair_id,
        state=state,
        direction=order.direction,
        legs=tuple(LegPosition(leg.symbol, leg.quantity, Decimal(repr(prices[leg.symbol]))) for leg in order.legs),
        entry_time=order.decided_at,
        entry_z=order.zscore,
        statistics=order.statistics,
        half_life_bars=order.half_life_bars,
        gross_notional=order.gross_notional,
    )


@dataclass(frozen=True)
class NoParams:
    pass


class EnterAlways(EntryMixin):
    """Enters long whenever it is asked."""

    Params = NoParams
    market = "any"

    def decide(self) -> EntryAnswer:
        return EntryAnswer(Direction.LONG, 1.0, "always")


@dataclass(frozen=True)
class LeaveAfterParams:
    x_bars: int = 3
    x_reason: str = "time"
    x_calm_from: int = 0
    x_cooldown_bars: int = 0


class LeaveAfter(ExitMixin):
    """Leaves after some bars, for the reason it was given; calm from a bar on."""

    Params = LeaveAfterParams
    market = "any"

    def __init__(self, params: Any, view: Any) -> None:
        super().__init__(params, view)
        self.cooldown_bars = params.x_cooldown_bars

    def is_calm(self) -> bool:
        return bar_number(self.view.time) >= self.params.x_calm_from

    def decide(self) -> ExitAnswer:
        return ExitAnswer(self.view.bars_held >= self.params.x_bars, self.params.x_reason)


def run(kind: type, of: StrategyPlan, data: Any, *, broker: Any = None, spy: Spy | None = None, **cerebro: Any) -> Any:
    """Run a strategy over whole series with a fake pair broker; its broker and recorder are on the strategy."""
    made = bt.Cerebro(stdstats=False, **cerebro)
    for each in data:
        made.adddata(ArrayFeed(series=each))
    made.addstrategy(kind, plan=of, broker=broker or FakePairBroker(), recorder=spy or Spy())
    return made.run()[0]
