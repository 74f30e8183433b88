"""A plain Backtrader strategy live on an exchange, by three lines of the bridge.

In one terminal ``tandem exchange --dialect binanceusdm --port 8090 --speed 60``, in another
``python examples/ccxt_live.py --url http://127.0.0.1:8090``. Two moving averages of one symbol cross: it is long above
and short below. Ctrl+C ends it; what is open stays open. ``--bars N`` ends it after N live bars. What cannot be run,
for want of an exchange, a good key or a symbol, is one sentence and exit code 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import backtrader as bt

from ccxt_bt_bridge import CcxtStore
from ccxt_bt_bridge.errors import BridgeError

DESK_KEY, DESK_SECRET = "desk-key", "desk-secret"  # of tandem exchange: they guard nothing


class MovingAverageCross(bt.Strategy):
    params: Any = (("fast", 5), ("slow", 20), ("size", 0.01), ("bars", 0))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))
        self.is_live = False
        self.live_bars = 0

    def next(self) -> None:
        if not self.is_live:
            return  # history only warms the averages up
        self.live_bars += 1
        print(f"{self.data.datetime.datetime():%Y-%m-%d %H:%M} close {self.data.close[0]:.2f}", flush=True)
        if self.live_bars == 1 or self.cross[0]:
            above = self.cross[0] > 0 if self.cross[0] else self.data.close[0] > self.data.close[-1]
            self.order_target_size(target=self.p.size if above else -self.p.size)
        if self.live_bars == self.p.bars:
            self.env.runstop()

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        print(f"{data._name} is {data._getstatusname(status)}", flush=True)
        self.is_live = status == data.LIVE

    def notify_order(self, order: Any) -> None:
        print(
            f"order {order.ref} {order.getstatusname()} {order.executed.size:g} at {order.executed.price:.2f}",
            flush=True,
        )

    def notify_store(self, message: str, *args: Any, **kwargs: Any) -> None:
        print(message, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an exchange on this machine, as tandem exchange prints it")
    parser.add_argument("--exchange", default="binanceusdm", help="ccxt's name of the exchange")
    parser.add_argument("--symbol", default="BTC/USDT:USDT")
    parser.add_argument("--interval", default="1m")
    parser.add_argument("--bars", type=int, default=0, help="end after so many live bars; 0: on Ctrl+C")
    try:
        strategy = run(parser.parse_args())
    except (BridgeError, ValueError) as error:  # each says what was found and what to do
        sys.exit(str(error))
    print(f"stopped after {strategy.live_bars} live bars, position {strategy.position.size:g}")


def run(wanted: argparse.Namespace) -> MovingAverageCross:
    key = os.environ.get("EXCHANGE_API_KEY", DESK_KEY)
    secret = os.environ.get("EXCHANGE_API_SECRET", DESK_SECRET)
    store = CcxtStore(wanted.exchange, key, secret, url=wanted.url)
    cerebro = bt.Cerebro()
    cerebro.adddata(store.getdata(wanted.symbol, wanted.interval, history=50))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(MovingAverageCross, bars=wanted.bars)
    with store:
        (strategy,) = cerebro.run()
    return strategy


if __name__ == "__main__":
    main()
