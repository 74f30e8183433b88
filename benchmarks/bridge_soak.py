"""A day of 1-minute bars on 20 symbols through the bridge, accelerated: does memory grow, and is anything left after?

``python benchmarks/bridge_soak.py [--symbols 20] [--bars 1440] [--gap 0.05]``. Backtrader keeps every bar itself, eight
bytes a line; what grows beyond that after the first quarter is a leak. Exit code 1 when that is more than half a kB a
bar, a step is missing, the stop takes over a second, or a thread, task or socket is left.
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
from typing import Any

import backtrader as bt
import numpy as np
from bridge_speed import KEY, Desk

from ccxt_bt_bridge import CcxtStore

MOST_GROWTH_KB_A_BAR, LONGEST_STOP_S = 0.5, 1.0


class Weighs(bt.Strategy):
    """Resident memory at every tenth live bar, in kB, less what Backtrader's own lines hold."""

    params: Any = (("bars", 0),)

    def __init__(self) -> None:
        self.kept_kb: list[float] = []
        self.is_live = False
        self.live_bars = 0
        self.stopped_at = 0.0

    def next(self) -> None:
        self.live_bars += self.is_live
        if self.is_live and self.live_bars % 10 == 0:
            lines_kb = sum(sys.getsizeof(line.array) for data in self.datas for line in data.lines) / 1024
            self.kept_kb.append(resident_kb() - lines_kb)
        if self.live_bars >= self.p.bars:
            self.stopped_at = time.perf_counter()
            self.env.runstop()

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        self.is_live = status == data.LIVE


def resident_kb() -> float:
    with open("/proc/self/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def sockets() -> int:
    """How many this process has open."""
    kinds = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            kinds.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(kind.startswith("socket:") for kind in kinds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--bars", type=int, default=1_440)
    parser.add_argument("--gap", type=float, default=0.05, help="seconds from bar to bar")
    wanted = parser.parse_args()
    threads, open_before = threading.active_count(), sockets()
    desk = Desk(wanted.symbols, wanted.bars + 200, wanted.gap)
    store = CcxtStore("binanceusdm", KEY["apiKey"], KEY["secret"], url=desk.url)
    cerebro = bt.Cerebro(stdstats=False)
    for number in range(wanted.symbols):
        cerebro.adddata(store.getdata(f"S{number:02}/USDT:USDT", "1m", history=5))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Weighs, bars=wanted.bars)
    (strategy,) = cerebro.run()
    stop_s = time.perf_counter() - strategy.stopped_at
    desk.notes()
    gc.collect()
    tasks = [each for each in gc.get_objects() if isinstance(each, asyncio.Task) and not each.done()]
    kept = strategy.kept_kb[len(strategy.kept_kb) // 4 :]
    slope_kb = float(np.polyfit(np.arange(len(kept)) * 10, kept, 1)[0])
    rows = (
        ("steps", f"{strategy.live_bars} of {wanted.bars}", strategy.live_bars == wanted.bars),
        ("memory beyond Backtrader's lines", f"{slope_kb:+.3f} kB a bar", slope_kb <= MOST_GROWTH_KB_A_BAR),
        ("stop", f"{stop_s:.2f} s", stop_s <= LONGEST_STOP_S),
        ("threads left", f"{threading.active_count() - threads}", threading.active_count() == threads),
        ("tasks left", f"{len(tasks)}", not tasks),
        ("sockets left", f"{sockets() - open_before}", sockets() == open_before),
    )
    print("| a day on the desk | measured | |\n|---|---|---|")
    for name, measured, is_met in rows:
        print(f"| {name} | {measured} | {'' if is_met else 'missed'} |")
    return 0 if all(is_met for *_, is_met in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
