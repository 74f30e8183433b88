"""A day of 1-minute bars on 20 symbols through the bridge, accelerated: does memory grow, and is anything left after?

``python benchmarks/bridge_soak.py [--symbols 20] [--bars 1440] [--gap 0.05]``. Backtrader keeps every bar itself, eight
bytes a line: the exact size of all its line buffers is taken off every figure, and the first quarter is warm-up.

The day is run twice. First as it is, for the process' resident memory, in which the allocator's own pages count too.
Then with Python's allocations traced, each time after a garbage collection: there not one object a bar may stay, and
no type of object may grow in number. Exit code 1 when something does, when resident memory grows by more than half a kB
a bar, a step is missing, the stop takes over a second, or a thread, task or socket is left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import backtrader as bt
import numpy as np
from bridge_speed import KEY, Desk

from ccxt_bt_bridge import CcxtStore
from ccxt_bt_bridge.loop import LoopThread

MOST_RESIDENT_BYTES_A_BAR, MOST_TRACED_BYTES_A_BAR, LONGEST_STOP_S = 512.0, 16.0, 1.0
MOST_OBJECTS_A_BAR = 0.1  # asyncio keeps up to a hundred cancelled timers
SAMPLE_EVERY = 20

Row = tuple[str, str, bool]


class Weighs(bt.Strategy):
    """``measure`` gives bytes. Garbage is collected every ``SAMPLE_EVERY`` live bars, and a sample is taken after it as
    soon as bars come at their own pace (``gap`` s) again: until then some wait in queues. There is room for all of
    them from the start, since the measure itself must not grow."""

    params: Any = (("bars", 0), ("gap", 0.0), ("measure", None), ("loop", None))

    def __init__(self) -> None:
        self.kept = np.full((2, self.p.bars // SAMPLE_EVERY), np.nan)  # live bars, bytes beyond Backtrader's lines
        self.least: dict[int, Counter[type]] = {}  # the fewest objects seen in each quarter: bars in flight come and go
        self.buffers: list[Any] = []
        self.samples = self.live_bars = 0
        self.is_live = self.is_due = False
        self.last_at = self.stopped_at = self.stop_s = 0.0

    def next(self) -> None:
        self.live_bars += self.is_live
        waited_s, self.last_at = time.perf_counter() - self.last_at, time.perf_counter()
        is_behind = waited_s < self.p.gap / 2 or any(data.haslivedata() for data in self.datas)
        if self.is_due and not is_behind:
            self.is_due = False
            self.take_sample()
        elif self.is_live and self.live_bars % SAMPLE_EVERY == 0:
            gc.collect()
            self.is_due, self.last_at = True, time.perf_counter()
        if self.live_bars >= self.p.bars:
            self.stopped_at = time.perf_counter()
            self.env.runstop()

    def take_sample(self) -> None:
        with held(self.p.loop()):
            bytes_now, count = self.p.measure(), Counter(map(type, gc.get_objects()))
        own = sum(map(sys.getsizeof, self.least.values()))
        self.kept[:, self.samples] = self.live_bars, bytes_now - self.line_bytes() - own
        self.samples += 1
        quarter = (self.live_bars - 1) * 4 // self.p.bars
        self.least[quarter] = self.least.get(quarter, count) & count

    def line_bytes(self) -> int:
        """Of every line of every data, indicator, observer and strategy, as allocated."""
        if not self.buffers:
            with held(self.p.loop()):
                self.buffers = [each for each in gc.get_objects() if isinstance(each, bt.linebuffer.LineBuffer)]
        return sum(sys.getsizeof(line.array) for line in self.buffers)

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        self.is_live = status == data.LIVE

    def has_ended(self) -> None:
        self.stop_s = time.perf_counter() - self.stopped_at

    @property
    def slope(self) -> float:
        """Bytes a bar after a quarter of warm-up: the median of the slopes between any two samples (Theil and Sen), for
        a sample that caught messages in flight lies far off."""
        at, kept = self.kept[:, : self.samples]
        at, kept = at[at > self.p.bars / 4], kept[at > self.p.bars / 4]
        one, other = np.triu_indices(len(at), 1)
        return float(np.median((kept[other] - kept[one]) / (at[other] - at[one])))

    @property
    def growing_types(self) -> dict[str, float]:
        """Objects a bar that came to stay, from the second quarter to the last."""
        second, last = (self.least.get(quarter, Counter()) for quarter in (1, 3))
        growth = {kind: (count - second[kind]) * 2 / self.p.bars for kind, count in last.items()}
        return {
            f"{kind.__module__}.{kind.__qualname__}": a_bar
            for kind, a_bar in growth.items()
            if a_bar > MOST_OBJECTS_A_BAR
        }


@contextlib.contextmanager
def held(loop: LoopThread) -> Iterator[None]:
    """The bridge's thread waits meanwhile: CPython breaks a tuple that one thread builds while another holds it from
    the collector's list."""
    arrived, may_go = threading.Event(), threading.Event()

    def wait() -> None:
        arrived.set()
        may_go.wait()

    loop.loop.call_soon_threadsafe(wait)
    arrived.wait()
    try:
        yield
    finally:
        may_go.set()


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def traced_bytes() -> int:
    return tracemalloc.get_traced_memory()[0]


def sockets() -> int:
    """How many this process has open."""
    kinds = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            kinds.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(kind.startswith("socket:") for kind in kinds)


def day(wanted: argparse.Namespace, measure: Callable[[], int]) -> Weighs:
    """One run, weighed by ``measure``."""
    desk = Desk(wanted.symbols, wanted.bars + 200, wanted.gap)
    store = CcxtStore("binanceusdm", KEY["apiKey"], KEY["secret"], url=desk.url)
    cerebro = bt.Cerebro(stdstats=False)
    for number in range(wanted.symbols):
        cerebro.adddata(store.getdata(f"S{number:02}/USDT:USDT", "1m", history=5))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Weighs, bars=wanted.bars, gap=wanted.gap, measure=measure, loop=lambda: store._loop)
    (strategy,) = cerebro.run()
    strategy.has_ended()
    desk.notes()
    return strategy


def both_days(wanted: argparse.Namespace) -> list[Row]:
    plain = day(wanted, resident_bytes)
    tracemalloc.start()
    try:
        traced = day(wanted, traced_bytes)
    finally:
        tracemalloc.stop()
    steps = min(plain.live_bars, traced.live_bars)
    growing = ", ".join(f"{name} {a_bar:+.2f}" for name, a_bar in traced.growing_types.items())
    return [
        ("steps", f"{steps} of {wanted.bars}, twice", steps == wanted.bars),
        ("Python's memory", f"{traced.slope:+.1f} bytes a bar", traced.slope <= MOST_TRACED_BYTES_A_BAR),
        ("types of objects that grow in number", growing or "none", not growing),
        ("resident memory", f"{plain.slope:+.1f} bytes a bar", plain.slope <= MOST_RESIDENT_BYTES_A_BAR),
        ("stop", f"{plain.stop_s:.2f} s", plain.stop_s <= LONGEST_STOP_S),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--bars", type=int, default=1_440)
    parser.add_argument("--gap", type=float, default=0.05, help="seconds from bar to bar")
    wanted = parser.parse_args()
    threads, open_before = threading.active_count(), sockets()
    rows = both_days(wanted)
    gc.collect()
    tasks = [each for each in gc.get_objects() if isinstance(each, asyncio.Task) and not each.done()]
    rows += [
        ("threads left", f"{threading.active_count() - threads}", threading.active_count() == threads),
        ("tasks left", f"{len(tasks)}", not tasks),
        ("sockets left", f"{sockets() - open_before}", sockets() == open_before),
    ]
    print("| a day on the desk, beyond Backtrader's lines | measured | |\n|---|---|---|")
    for name, measured, is_met in rows:
        print(f"| {name} | {measured} | {'' if is_met else 'missed'} |")
    return 0 if all(is_met for *_, is_met in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
