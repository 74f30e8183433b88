from __future__ import annotations

from datetime import datetime

import backtrader as bt
import numpy as np
import pandas
import pytest

from ccxt_bt_bridge.bt_time import ms_to_num, num_to_ms
from ccxt_bt_bridge.series import BarSeries
from feeds.array_feed import ArrayFeed, backtrader_timeframe

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000


def made(length: int = 300, *, seed: int = 1, without: tuple[int, ...] = ()) -> BarSeries:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, length)))
    opened = np.concatenate(([100.0], close[:-1]))
    time_ms = START_MS + HOUR_MS * np.arange(1, length + 1, dtype=np.int64)
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    series = BarSeries(f"S{seed}", HOUR_MS, time_ms, opened, high, low, close, np.full(length, 5.0))
    return series.take(np.delete(np.arange(length), without))


class Recorder(bt.Strategy):
    """Trades a moving average and writes down all it sees."""

    def __init__(self):
        self.average = bt.ind.SMA(self.data.close, period=10)
        self.seen, self.fills = [], []

    def next(self):
        lines = ("datetime", "open", "high", "low", "close", "volume", "openinterest")
        self.seen.append([getattr(data.lines, name)[0] for data in self.datas for name in lines])
        above = self.data.close[0] > self.average[0]
        if above and not self.position:
            self.buy(size=1)
        elif not above and self.position:
            self.close()

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills.append((order.executed.dt, order.executed.price, order.executed.size))


def run(feeds: list, **how) -> tuple[Recorder, float]:
    cerebro = bt.Cerebro(stdstats=False)
    for feed in feeds:
        cerebro.adddata(feed)
    cerebro.addstrategy(Recorder)
    (strategy,) = cerebro.run(**how)
    return strategy, cerebro.broker.getvalue()


@pytest.mark.parametrize("how", [{"runonce": False}, {"preload": False, "runonce": False}], ids=["next", "load"])
def test_every_way_of_running_gives_equal_bars_and_fills(how):
    first, second = made(seed=1), made(seed=2, without=(7, 8, 40))
    fast, value = run([ArrayFeed(series=first), ArrayFeed(series=second)])
    slow, slow_value = run([ArrayFeed(series=first), ArrayFeed(series=second)], **how)
    assert fast.seen == slow.seen and fast.fills == slow.fills and value == slow_value
    assert len(fast.fills) > 20


def test_saving_memory_changes_nothing():
    series = made()
    assert run([ArrayFeed(series=series)])[0].seen == run([ArrayFeed(series=series)], exactbars=1)[0].seen


def test_it_agrees_with_backtraders_own_feed():
    series = made()
    columns = {name: getattr(series, name) for name in ("open", "high", "low", "close", "volume")}
    frame = pandas.DataFrame(columns, index=pandas.to_datetime(series.time_ms, unit="ms"))
    theirs = bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=60)
    (ours, value), (other, other_value) = run([ArrayFeed(series=series)]), run([theirs])
    assert [fill[1:] for fill in ours.fills] == [fill[1:] for fill in other.fills] and value == other_value
    assert [row[1:6] for row in ours.seen] == [row[1:6] for row in other.seen]


def test_bar_times_are_the_closes_to_the_last_bit():
    series = made(30)
    strategy, _ = run([ArrayFeed(series=series)])
    assert [row[0] for row in strategy.seen] == [ms_to_num(ms) for ms in series.time_ms.tolist()][9:]
    assert num_to_ms(strategy.seen[-1][0]) == series.time_ms[-1]


def test_dates_and_filters_take_the_ordinary_way():
    series = made(72)
    feed = ArrayFeed(series=series, fromdate=datetime(2024, 1, 2), todate=datetime(2024, 1, 3, 12))
    strategy, _ = run([feed])
    assert len(strategy.seen) == 37 - 9
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.resampledata(ArrayFeed(series=series), timeframe=bt.TimeFrame.Minutes, compression=240)
    cerebro.addstrategy(Recorder)
    (resampled,) = cerebro.run()
    assert resampled.data.close.array[0] == series.close[3] and resampled.data.open.array[0] == series.open[0]


def test_timeframe_and_name_come_from_the_series():
    feed = ArrayFeed(series=made())
    assert (feed._timeframe, feed._compression, feed._name) == (bt.TimeFrame.Minutes, 60, "S1")
    assert backtrader_timeframe(86_400_000) == (bt.TimeFrame.Days, 1)
    with pytest.raises(ValueError, match="whole minutes"):
        backtrader_timeframe(1_500)


def test_a_feed_can_run_twice():
    feed = ArrayFeed(series=made())
    assert run([feed])[0].seen == run([feed])[0].seen


def test_anything_but_a_series_is_refused():
    with pytest.raises(TypeError, match="BarSeries"):
        ArrayFeed(series=[1, 2, 3])
