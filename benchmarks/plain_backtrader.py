"""The plain script: one pair in stock Backtrader, written as a careful user would. Prints what it did as JSON.

Rules, fees and sizes are those of the config that ``pair_case`` writes; nothing of the project is imported.
Run by ``backtest_speed.py``: ``python plain_backtrader.py FOLDER [--no-observers]``.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from pathlib import Path

import backtrader as bt
import pandas as pd

FEE = 0.0005
STEP = 0.1


class LogSpread(bt.Indicator):
    """``ln A - beta ln B``."""

    lines = ("spread",)
    params = (("beta", 1.0),)

    def next(self):
        self.lines.spread[0] = math.log(self.data0.close[0]) - self.p.beta * math.log(self.data1.close[0])


class PlainPair(bt.Strategy):
    params = (
        ("beta", 0.8),
        ("window", 100),
        ("entry", 2.0),
        ("exit", 0.5),
        ("stop", 4.0),
        ("size", 0.1),
        ("min_edge", 1.0),
        ("max_bars", 72),
        ("cooldown", 12),
    )

    def __init__(self):
        window = self.p.window
        self.spread = LogSpread(self.data0, self.data1, beta=self.p.beta)
        self.mean = bt.ind.SMA(self.spread, period=window)(-1)
        self.std = bt.ind.StdDev(self.spread, period=window)(-1) * math.sqrt(window / (window - 1))
        self.z = (self.spread - self.mean) / self.std
        self.fills = []
        self.pending = []
        self.side = 0
        self.bars_held = 0
        self.latched = False
        self.calm_bars_left = 0

    def notify_order(self, order):
        if order.status == order.Completed:
            when = bt.num2date(order.executed.dt).strftime("%Y-%m-%dT%H:%M")
            self.fills.append((when, order.data._name, order.executed.size, order.executed.price))
        if not order.alive():
            self.pending.remove(order)
            if not self.pending and not self.getposition(self.data0).size:
                self.side = 0

    def next(self):
        z = self.z[0]
        if self.side:
            self.bars_held += 1
        self.watch_latch(z)
        if self.pending:
            return
        if self.side:
            self.look_for_exit()
        elif not self.latched and not self.calm_bars_left:
            self.look_for_entry(z)

    def watch_latch(self, z):
        if self.latched:
            if abs(z) <= self.p.exit:
                self.latched, self.calm_bars_left = False, self.p.cooldown
        elif self.calm_bars_left:
            self.calm_bars_left -= 1

    def look_for_entry(self, z):
        if not self.p.entry <= abs(z) < self.p.stop:
            return
        before = self.z[-1]
        crossed = before < self.p.entry if z > 0 else before > -self.p.entry
        cost = 2 * (1 + self.p.beta) * FEE
        if crossed and (abs(z) - self.p.exit) * self.std[0] >= self.p.min_edge * cost:
            self.enter(-1 if z > 0 else 1)

    def enter(self, side):
        gross = self.p.size * self.broker.getvalue()
        notional_a = gross / (1 + self.p.beta)
        size_a, size_b = on_steps(notional_a / self.data0.close[0], self.p.beta * notional_a / self.data1.close[0])
        self.side, self.bars_held = side, 0
        self.frozen = self.mean[0], self.std[0]
        if side > 0:
            self.pending = [self.buy(self.data0, size=size_a), self.sell(self.data1, size=size_b)]
        else:
            self.pending = [self.sell(self.data0, size=size_a), self.buy(self.data1, size=size_b)]

    def look_for_exit(self):
        mean, std = self.frozen
        loss = -self.side * (self.spread[0] - mean) / std
        if loss >= self.p.stop or (loss > self.p.exit and self.bars_held >= self.p.max_bars):
            self.latched = True
        elif loss > self.p.exit:
            return
        self.pending = [self.close(self.data0), self.close(self.data1)]


def on_steps(size_a, size_b):
    """Both sizes on the venue's step: the coarser leg is rounded down first, the other keeps their ratio."""
    whole_a, whole_b = math.floor(size_a / STEP), math.floor(size_b / STEP)
    if whole_a * size_b <= whole_b * size_a:
        whole_b = math.floor(whole_a * size_b / size_a)
    else:
        whole_a = math.floor(whole_b * size_a / size_b)
    return round(whole_a * STEP, 1), round(whole_b * STEP, 1)


def main(folder, observers):
    cerebro = bt.Cerebro() if observers else bt.Cerebro(stdstats=False)
    for name in ("AAAUSDT", "BBBUSDT"):
        frame = pd.read_csv(folder / f"{name}.csv", parse_dates=["timestamp"], index_col="timestamp")
        frame.index += pd.Timedelta(hours=1)  # the file has the opens; Backtrader's bars are stamped by their close
        feed = bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=60)
        cerebro.adddata(feed, name=name)
    cerebro.broker.setcash(10_000.0)
    cerebro.broker.setcommission(commission=FEE)
    cerebro.addstrategy(PlainPair)
    before = time.process_time()
    strategy = cerebro.run()[0]
    run_s = time.process_time() - before
    return {"run_s": run_s, "value": cerebro.broker.getvalue(), "fills": strategy.fills}


if __name__ == "__main__":
    report = main(Path(sys.argv[1]), "--no-observers" not in sys.argv)
    report |= {"total_s": time.process_time(), "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    print(json.dumps(report))
