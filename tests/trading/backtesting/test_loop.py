"""The quick loop against Backtrader's own: the same result to the last digit, whatever the datas' clocks."""

from __future__ import annotations

from dataclasses import dataclass

import backtrader as bt
import numpy as np
import pytest

from brokers.mock_market import MockMarket, MockPair
from ccxt_bt_bridge.series import BarSeries
from feeds.array_feed import ArrayFeed
from trading.backtesting.loop import StepCerebro, StepMixin


@dataclass(frozen=True)
class Seen:
    """What a strategy could see on a step."""

    time: float
    lengths: tuple[int, ...]
    closes: tuple[float, ...]
    average: tuple[float, ...]
    value: float


class Watcher(bt.Strategy):
    """Looks at everything, and buys or sells the first data every few bars."""

    def __init__(self):
        self.seen, self.news = [], []
        self.average = bt.ind.SMA(self.data0, period=5)
        self.slower = bt.ind.EMA(self.average, period=3)

    def notify_order(self, order):
        self.news.append((order.status, order.executed.dt, order.executed.price, len(self)))

    def prenext(self):
        self.next()

    def next(self):
        ready = [line[0] for line in (self.average, self.slower) if len(line)]
        self.seen.append(
            Seen(
                self.lines.datetime[0],
                tuple(len(data) for data in self.datas),
                tuple(data.close[0] for data in self.datas if len(data)),
                tuple(value for value in ready if value == value),
                self.broker.getvalue(),
            )
        )
        if len(self.seen) % 7 == 0 and len(self.data0):
            (self.buy if len(self.seen) % 14 else self.sell)(data=self.data0, size=1)


class SteppedWatcher(StepMixin, Watcher):
    pass


@pytest.fixture(scope="module")
def series() -> dict[str, BarSeries]:
    pair = MockPair("ETHUSDT", "BTCUSDT", 0.8)
    return MockMarket(5, 120, "1h", pairs=[pair]).series()


def run(cerebro: bt.Cerebro, strategy: type, series: list[BarSeries]):
    for number, one in enumerate(series):
        cerebro.adddata(ArrayFeed(series=one, name=f"{number}:{one.symbol}"))
    cerebro.broker.setcash(1e9)
    cerebro.addstrategy(strategy)
    return cerebro.run()[0]


def with_holes(series: BarSeries, seed: int) -> BarSeries:
    keep = np.random.default_rng(seed).random(len(series)) > 0.2
    return series.take(keep.nonzero()[0])


def late(series: BarSeries) -> BarSeries:
    return series.take(np.arange(40, len(series) - 10))


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(lambda a, b: [a, b], id="one clock"),
        pytest.param(lambda a, b: [with_holes(a, 1), with_holes(b, 2)], id="holes"),
        pytest.param(lambda a, b: [late(a), b], id="first data late and early gone"),
        pytest.param(lambda a, b: [a, late(b)], id="second data late and early gone"),
        pytest.param(lambda a, b: [a, b, with_holes(a, 3), with_holes(b, 3)], id="two pairs, two clocks"),
    ],
)
def test_a_strategy_sees_what_the_stock_loop_shows(series, cut):
    bars = cut(series["ETHUSDT"], series["BTCUSDT"])
    stock = run(bt.Cerebro(stdstats=False), Watcher, bars)
    quick = run(StepCerebro(stdstats=False), SteppedWatcher, bars)
    assert quick.seen == stock.seen
    assert quick.news == stock.news
    assert len(stock.news) > 10
