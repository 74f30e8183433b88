"""``test_live_data_feeds.py SOURCE SYMBOL INTERVAL``: see that a source of bars works before a config relies on it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import backtrader as bt

from ccxt_bt_bridge.bt_time import ms_to_datetime, num_to_ms
from ccxt_bt_bridge.errors import BridgeError
from ccxt_bt_bridge.series import INTERVALS
from feeds.data_feed_factory import DataFeedFactory, DataSourceUnavailable
from feeds.history import HistoryError
from trading.command_line import BAD_INPUT, FAILURE, INTERRUPTED, OK
from trading.saying import say


class _Watching(bt.Strategy):
    """Counts the past, prints what comes, and stops after enough of it."""

    params = (("wanted", 1),)

    def __init__(self) -> None:
        self.past = self.live = 0
        self._is_live = False

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        if status == data.LIVE and not self._is_live:
            self._is_live = True
            say(f"{self.past} bars of the past; now live")

    def next(self) -> None:
        if self.data.islive() and not self._is_live:
            self.past += 1
            return
        self.live += 1
        closed = ms_to_datetime(num_to_ms(self.data.datetime[0]))
        say(f"{closed:%Y-%m-%d %H:%M}Z  close {self.data.close[0]:g}  volume {self.data.volume[0]:g}")
        if self.live >= self.p.wanted:
            self.env.runstop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the past's length and the first live bars. 0 when they came."""
    options = _parser().parse_args(arguments)
    cerebro = bt.Cerebro(stdstats=False, quicknotify=True)
    try:
        feed = DataFeedFactory().create(
            options.data_source, options.symbol, options.interval, lookback_bars=options.lookback, **_settings(options)
        )
        cerebro.adddata(feed)
        cerebro.addstrategy(_Watching, wanted=options.bars)
        say(f"{options.data_source}: asking for {options.symbol} {options.interval}")
        (strategy,) = cerebro.run()
    except (DataSourceUnavailable, HistoryError, BridgeError, ValueError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stopped before enough bars came", file=sys.stderr)
        return INTERRUPTED
    return OK if strategy.live >= options.bars else _too_few(strategy.live, options.bars)


def _too_few(found: int, wanted: int) -> int:
    print(f"the source ended after {found} of {wanted} bars", file=sys.stderr)
    return FAILURE


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    if options.data_source == "replay":
        return {"folder": options.dir}
    return {"market": options.market, "url": options.exchange_url, "testnet": options.testnet}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="test_live_data_feeds.py",
        description="See that a source of bars works: how much past it has, and the first bars that it brings live.",
        epilog="exit codes: 0 the bars came, 1 too few came, 2 no such source, symbol or exchange, 130 Ctrl+C",
    )
    parser.add_argument("data_source", help="binance, or replay for files; yahoo and ibkr come later")
    parser.add_argument("symbol", help="in any notation, such as BTCUSDT")
    parser.add_argument("interval", choices=tuple(INTERVALS), help="length of a bar")
    parser.add_argument("--bars", type=_at_least(1), default=1, help="how many live bars to wait for; default: 1")
    parser.add_argument("--lookback", type=_at_least(0), default=100, help="bars of the past to ask for; default: 100")
    parser.add_argument("--market", choices=("spot", "usdm"), default="spot", help="default: spot")
    parser.add_argument("--testnet", action="store_true", help="the exchange's test network")
    parser.add_argument("--exchange-url", metavar="URL", help="an exchange on this machine instead of the real one")
    parser.add_argument("--dir", metavar="DIR", default="data", help="replay: the folder of the files; default: data")
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return int(text)

    return whole
