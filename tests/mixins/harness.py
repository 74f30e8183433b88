"""Small real things the tests of the rules share: a view of plain values, and a strategy that asks one rule per bar."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import backtrader as bt
import numpy as np

from mixins.base import EntryMixin
from pairs.costs import TradingCosts
from pairs.words import Direction, LegPosition, Pair, PairPosition, PairState, SpreadStatistics

START = datetime(2024, 1, 1, tzinfo=UTC)
PAIR = Pair("A_B", "A/USDT", "B/USDT")
STATISTICS = SpreadStatistics(hedge_ratio=0.8, intercept=0.0, mean=0.0, std=0.02)


def position(direction: Direction, *, prices: tuple[float, ...] = (100.0, 50.0), quantity: str = "2") -> PairPosition:
    """An open position that bought (or sold) ``quantity`` of leg A, with leg B on the other side."""
    signed = direction.sign * Decimal(quantity)
    signs = (1, -1)
    legs = tuple(
        LegPosition(symbol, sign * signed, Decimal(str(price)))
        for symbol, sign, price in zip(PAIR.symbols, signs, prices, strict=False)
    )
    notional = sum(abs(float(leg.quantity * leg.entry_price)) for leg in legs)
    return PairPosition("A_B", PairState.OPEN, direction, legs, START, None, STATISTICS, None, notional)


@dataclass
class FakeView:
    """A view whose every answer is what the test says."""

    pair: Pair = PAIR
    data: Any = None
    costs: TradingCosts = field(default_factory=TradingCosts)
    bar_hours: float = 1.0
    time: datetime = START
    price_a: float = 100.0
    price_b: float = 50.0
    spread: float = 0.0
    zscore: float = math.nan
    previous_zscore: float = math.nan
    frozen_zscore: float = math.nan
    statistics: SpreadStatistics | None = STATISTICS
    position: PairPosition | None = None
    bars_held: int = 0
    half_life_bars: float | None = None
    exit_level: float = 0.5
    stop_level: float = 4.0


@dataclass(frozen=True)
class Bars:
    """Arrays of one symbol, one value a bar."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray

    def __len__(self) -> int:
        return len(self.close)

    def cut(self, start: int = 0, stop: int | None = None) -> Bars:
        return Bars(*(getattr(self, name)[start:stop] for name in ("open", "high", "low", "close", "volume")))

    def mirrored(self, about: float) -> Bars:
        """Every price reflected: a rise becomes a fall of the same size."""
        return Bars(
            2 * about - self.open, 2 * about - self.low, 2 * about - self.high, 2 * about - self.close, self.volume
        )


def bars_from_closes(closes: Any, *, wick: float = 0.5, volume: Any = None) -> Bars:
    close = np.asarray(closes, dtype=float)
    opened = np.concatenate((close[:1], close[:-1]))
    high, low = np.fmax(opened, close) + wick, np.fmin(opened, close) - wick
    return Bars(opened, high, low, close, np.full(len(close), 10.0) if volume is None else np.asarray(volume, float))


def random_bars(n: int = 400, seed: int = 1) -> Bars:
    """A walk with waves around 100, so that every indicator goes from one extreme to the other."""
    rng = np.random.default_rng(seed)
    walk = 12 * np.sin(np.arange(n) / 23.0) + np.cumsum(rng.normal(0.02, 1.0, n))
    close = 120.0 + walk - min(0.0, walk.min() + 60.0)
    bars = bars_from_closes(close, volume=rng.lognormal(3.0, 0.8, n))
    return Bars(bars.open, bars.high + rng.random(n), bars.low - rng.random(n), bars.close, bars.volume)


class BarsFeed(bt.feed.DataBase):
    """Backtrader data of ``Bars``, one bar an hour.

    Not called as the product's feed is: of two feed classes of one name Backtrader lets only the later one be pickled.
    """

    params: Any = (("bars", None),)

    def start(self) -> None:
        super().start()
        self.row = -1

    def _load(self) -> bool:
        self.row += 1
        if self.row >= len(self.p.bars):
            return False
        for name in ("open", "high", "low", "close", "volume"):
            getattr(self.lines, name)[0] = getattr(self.p.bars, name)[self.row]
        self.lines.openinterest[0] = 0.0
        self.lines.datetime[0] = bt.date2num((START + timedelta(hours=self.row + 1)).replace(tzinfo=None))
        return True


@dataclass
class BarView:
    """A view over a strategy's datas; z is that of ``ln a - ln b`` by the ``window`` bars before the current one."""

    strategy: Any
    direction: Direction
    entry_bar: int
    window: int = 30
    pair: Pair = PAIR
    costs: TradingCosts = field(default_factory=TradingCosts)
    bar_hours: float = 1.0
    half_life_bars: float | None = 12.0
    exit_level: float = 0.5
    stop_level: float = 4.0

    @property
    def data(self) -> Any:
        return self.strategy.data0

    @property
    def price_a(self) -> float:
        return self.strategy.data0.close[0]

    @property
    def price_b(self) -> float:
        return self.strategy.data1.close[0]

    @property
    def time(self) -> datetime:
        return START + timedelta(hours=len(self.strategy.data0))

    @property
    def bars_held(self) -> int:
        return len(self.strategy.data0) - 1 - self.entry_bar

    @property
    def statistics(self) -> SpreadStatistics | None:
        return self._statistics_at(0)

    @property
    def spread(self) -> float:
        return math.log(self.price_a) - math.log(self.price_b)

    @property
    def zscore(self) -> float:
        return self._z_at(0)

    @property
    def previous_zscore(self) -> float:
        return self._z_at(1)

    @property
    def frozen_zscore(self) -> float:
        frozen = self._statistics_at(self.bars_held)
        return math.nan if frozen is None else frozen.zscore(self.price_a, self.price_b)

    @property
    def position(self) -> PairPosition | None:
        if self.bars_held < 1:
            return None
        ago = 1 - self.bars_held
        return position(self.direction, prices=(self.strategy.data0.open[ago], self.strategy.data1.open[ago]))

    def _statistics_at(self, ago: int) -> SpreadStatistics | None:
        if ago < 0 or len(self.strategy.data0) < self.window + 1 + ago:
            return None
        a, b = (np.log(data.close.get(ago=-ago - 1, size=self.window)) for data in self.strategy.datas)
        return SpreadStatistics(1.0, 0.0, float((a - b).mean()), float((a - b).std(ddof=1)))

    def _z_at(self, ago: int) -> float:
        known = self._statistics_at(ago)
        if known is None:
            return math.nan
        return known.zscore(*(data.close[-ago] for data in self.strategy.datas))


class Asker(bt.Strategy):
    """Asks one rule after every closed bar and remembers the answers by bar, also during the warm-up."""

    params: Any = (("rule", None), ("settings", None), ("direction", None), ("entry_bar", 0), ("ask_from", 0))

    def __init__(self) -> None:
        self.view = BarView(self, self.p.direction, self.p.entry_bar)
        self.rule = self.p.rule(self.p.settings, self.view)
        self.answers: dict[int, Any] = {}
        self.first_next: int | None = None

    def prenext(self) -> None:
        self._ask()

    def nextstart(self) -> None:
        self.first_next = len(self.data0)
        self._ask()

    def next(self) -> None:
        self._ask()

    def _ask(self) -> None:
        bar = len(self.data0) - 1
        if bar >= self.p.ask_from:
            self.answers[bar] = self.rule.decide()


def run(
    rule: type,
    settings: Any,
    bars: Bars,
    *,
    other: Bars | None = None,
    runonce: bool = True,
    direction: Direction = Direction.LONG,
    entry_bar: int = 0,
    ask_from: int = 0,
) -> Any:
    """Run ``Asker`` over the bars and return it. Exits are asked from the bar after ``entry_bar`` on."""
    cerebro = bt.Cerebro(runonce=runonce, stdstats=False)
    cerebro.adddata(BarsFeed(bars=bars))
    cerebro.adddata(BarsFeed(bars=bars if other is None else other))
    first = ask_from if issubclass(rule, EntryMixin) else max(ask_from, entry_bar + 1)
    cerebro.addstrategy(Asker, rule=rule, settings=settings, direction=direction, entry_bar=entry_bar, ask_from=first)
    return cerebro.run()[0]
