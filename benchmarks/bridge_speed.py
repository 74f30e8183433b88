"""How quick the bridge is, against an exchange on the desk in another process, with the real ccxt client.

``python benchmarks/bridge_speed.py [--bars 120] [--rounds 3]``. Prints one table of medians; exit code 1 when a goal is
missed. The first two rows count from the moment the exchange hands a closed bar to its socket; the last has no socket:
it is what Backtrader, the feeds and the alignment do in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import backtrader as bt
import ccxt.pro

from ccxt_bt_bridge import CcxtStore
from ccxt_bt_bridge.bridge_store import BridgeStore
from ccxt_bt_bridge.bt_time import num_to_ms
from ccxt_bt_bridge.clients import UsdmClient
from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.words import Bar, Connection, Market

HERE = Path(__file__).resolve().parent
KEY = {"apiKey": "desk-key", "secret": "desk-secret"}
MINUTE_MS = 60_000
AMOUNT = 20.0  # of coins at a dollar
MOST_PATH_RATIO, MOST_GROUP_RATIO, LEAST_LIMITER_RATIO, LEAST_BARS_A_SECOND = 2.5, 3.0, 50.0, 10_000


class Desk:
    """The exchange's process. ``notes`` ends the measuring."""

    def __init__(self, symbols: int, bars: int, gap_s: float) -> None:
        command = [sys.executable, str(HERE / "bridge_desk.py"), str(symbols), str(bars), str(gap_s)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]

    def notes(self) -> dict[str, dict[str, int]]:
        answer, _ = self._process.communicate("\n", timeout=30)
        return json.loads(answer)


class Measured(bt.Strategy):
    """When each step was, and with ``trades`` two orders at every fourth."""

    params: Any = (("bars", 0), ("trades", False))

    def __init__(self) -> None:
        self.at_ns: dict[int, int] = {}
        self.ordered_ns: list[int] = []
        self.is_live = False
        self.live_bars = 0

    def next(self) -> None:
        now_ns = time.perf_counter_ns()
        if not self.is_live:
            return
        self.live_bars += 1
        self.at_ns[num_to_ms(self.datetime[0])] = now_ns
        if self.p.trades and self.live_bars % 4 == 0:
            self.ordered_ns.append(now_ns)
            place = self.buy if self.live_bars % 8 == 0 else self.sell
            for data in self.datas[:2]:
                place(data=data, size=AMOUNT)
        if self.live_bars >= self.p.bars:
            self.env.runstop()

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        self.is_live = status == data.LIVE


@contextmanager
def handler_times() -> Iterator[dict[str, int]]:
    """When ccxt's own handler got each closed bar."""
    times: dict[str, int] = {}
    handle = UsdmClient.handle_ohlcv

    def handling(client: Any, socket: Any, message: dict[str, Any]) -> None:
        candle = message["k"]
        if candle["x"]:
            times[f"{candle['s']}-{candle['t'] + MINUTE_MS}"] = time.perf_counter_ns()
        handle(client, socket, message)

    UsdmClient.handle_ohlcv = handling  # type: ignore[method-assign]
    yield times
    UsdmClient.handle_ohlcv = handle  # type: ignore[method-assign]


def live_run(symbols: int, bars: int, *, gap_s: float, trades: bool = False) -> dict[str, list[float]]:
    """Milliseconds from the last leg's sending: to ccxt's handler, to ``next``; from ``next`` to each order."""
    desk = Desk(symbols, bars + 100, gap_s)
    names = [f"S{number:02}/USDT:USDT" for number in range(symbols)]
    store = CcxtStore("binanceusdm", KEY["apiKey"], KEY["secret"], url=desk.url)
    cerebro = bt.Cerebro(stdstats=False)
    for name in names:
        cerebro.adddata(store.getdata(name, "1m", history=5))
    if trades:
        cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Measured, bars=bars, trades=trades)
    with handler_times() as handled, store:
        (strategy,) = cerebro.run()
    notes = desk.notes()
    ids = [name.split("/")[0] + "USDT" for name in names]
    last_sent = {t: max(notes["sent"][f"{each}-{t}"] for each in ids) for t in strategy.at_ns}
    last_handled = {t: max(handled[f"{each}-{t}"] for each in ids) for t in strategy.at_ns}
    arrived = list(notes["orders"].values())
    return {
        "handler": [(last_handled[t] - last_sent[t]) / 1e6 for t in strategy.at_ns],
        "next": [(at - last_sent[t]) / 1e6 for t, at in strategy.at_ns.items()],
        "orders": [(second - asked) / 1e6 for asked, second in zip(strategy.ordered_ns, arrived[1::2], strict=False)],
    }


def plain_orders(count: int) -> list[float]:
    """The same two orders by a plain ccxt client with its default limiter: milliseconds until both are there."""
    desk = Desk(2, 500, 1.0)
    asked: list[int] = []

    async def trade() -> None:
        socket = desk.url.replace("http", "ws", 1)
        versions = (("", "v1"), ("V2", "v2"), ("V3", "v3"))
        urls = {f"fapi{kind}{suffix}": f"{desk.url}/fapi/{version}" for kind in ("Public", "Private")
                for suffix, version in versions}  # fmt: skip
        options = {"fetchCurrencies": False, "fetchMargins": False}
        config = {**KEY, "options": options, "urls": {"api": {**urls, "ws": {"linear": f"{socket}/ws"}}}}
        client = ccxt.pro.binanceusdm(config)
        try:
            await client.load_markets()
            for _ in range(count):
                await asyncio.sleep(0.5)
                asked.append(time.perf_counter_ns())
                legs = [client.create_order(f"S0{n}/USDT:USDT", "market", "buy", AMOUNT) for n in (0, 1)]
                await asyncio.gather(*legs)
        finally:
            await client.close()

    asyncio.run(trade())
    arrived = list(desk.notes()["orders"].values())
    return [(second - first) / 1e6 for first, second in zip(asked, arrived[1::2], strict=True)]


class Flood:
    """A market of a hundred symbols whose bars all come as fast as they are taken, without a socket."""

    def __init__(self, symbols: int, bars: int, loop: LoopThread) -> None:
        self.clock = LoopClock(loop.loop.time, 0)
        self._symbols, self._bars = [f"S{number:03}" for number in range(symbols)], bars

    async def market(self, symbols: Any, interval: str) -> Any:
        return self

    async def markets(self) -> dict[str, Market]:
        return {}

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        return []

    async def bars(self) -> AsyncIterator[tuple[Bar, ...]]:
        for number in range(1, self._bars + 1):
            at = number * MINUTE_MS
            for symbol in self._symbols:
                yield (Bar(symbol, at, 1.0, 1.0, 1.0, 1.0, 1.0),)
            await asyncio.sleep(0)

    async def connections(self) -> AsyncIterator[Connection]:
        return
        yield

    async def begin(self) -> None:
        """The bars come by themselves."""

    async def close(self) -> None:
        """Nothing is open."""


def bars_a_second(symbols: int = 100, bars: int = 400) -> float:
    async def open_ports(loop: LoopThread) -> Any:
        return Flood(symbols, bars, loop)

    store = BridgeStore(open_ports)
    cerebro = bt.Cerebro(stdstats=False)
    for number in range(symbols):
        cerebro.adddata(store.getdata(f"S{number:03}", "1m", history=0))
    cerebro.addstrategy(Measured, bars=bars + 1)
    with store:
        (strategy,) = cerebro.run()
    assert strategy.live_bars == bars, f"{strategy.live_bars} of {bars} steps came"
    taken_s = (max(strategy.at_ns.values()) - min(strategy.at_ns.values())) / 1e9
    return symbols * (bars - 1) / taken_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    two, fifty, limited, rates = [], [], [], []
    for _ in range(wanted.rounds):
        two.append(live_run(2, wanted.bars, gap_s=0.05, trades=True))
        fifty.append(live_run(50, wanted.bars // 2, gap_s=0.2))
        limited.append(median(plain_orders(6)))
        rates.append(bars_a_second())
    return report(two, fifty, limited, rates)


def report(two: list[dict], fifty: list[dict], limited: list[float], rates: list[float]) -> int:
    handler, path = middle(two, "handler"), middle(two, "next")
    group, orders, plain = middle(fifty, "next"), middle(two, "orders"), median(limited)
    ratio = median(median(run["next"]) / median(run["handler"]) for run in two)
    rows = (
        ("socket → ccxt's handler, 2 symbols", f"{handler:.2f} ms", "", True),
        ("socket → next(), 2 symbols", f"{path:.2f} ms = {ratio:.2f} × that", f"≤ {MOST_PATH_RATIO} ×",
         ratio <= MOST_PATH_RATIO),
        ("socket → next(), 50 symbols in a group", f"{group:.2f} ms = {group / path:.2f} × that",
         f"≤ {MOST_GROUP_RATIO} ×", group / path <= MOST_GROUP_RATIO),
        ("two orders by ccxt's default limiter", f"{plain:.0f} ms", "", True),
        ("next() → two orders at the exchange", f"{orders:.2f} ms = 1/{plain / orders:.0f}",
         f"≤ 1/{LEAST_LIMITER_RATIO:.0f}", plain / orders >= LEAST_LIMITER_RATIO),
        ("bars a second into next(), 100 symbols", f"{median(rates):,.0f}", f"≥ {LEAST_BARS_A_SECOND:,}",
         median(rates) >= LEAST_BARS_A_SECOND),
    )  # fmt: skip
    print(
        f"ccxt {ccxt.__version__}, medians of {len(two)} rounds\n\n| quantity | measured | goal | |\n|---|---|---|---|"
    )
    for name, measured, goal, is_met in rows:
        print(f"| {name} | {measured} | {goal} | {'' if is_met else 'missed'} |")
    return 0 if all(is_met for *_, is_met in rows) else 1


def middle(runs: list[dict[str, list[float]]], key: str) -> float:
    return median(median(run[key]) for run in runs)


if __name__ == "__main__":
    sys.exit(main())
