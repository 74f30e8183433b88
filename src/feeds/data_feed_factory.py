"""From a source's name to a Backtrader feed. A new source is a class of its own and an entry in ``SOURCES``.

DataSourceUnavailable    the source is unknown or comes with a later version: stop and tell the person
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import backtrader as bt

from ccxt_bt_bridge.series import interval_ms
from feeds.array_feed import ArrayFeed
from feeds.binance_data_feed import BinanceDataFeed
from feeds.history import load_bars

# (symbol, interval, lookback_bars, settings of the source) → a feed for ``cerebro.adddata``
Maker = Callable[..., bt.feed.DataBase]

LATER = {
    "yahoo": "Yahoo comes with a later version",
    "ibkr": "Interactive Brokers comes with a later version",
    "mock": "the mock market belongs to the mock broker: run a config with broker.type mock",
}


class DataSourceUnavailable(Exception):
    """No feed can be made of this source."""


def replay(symbol: str, interval: str, *, folder: str | Path, **_: Any) -> ArrayFeed:
    """The bars of a file, all of them and at once. Raises HistoryError."""
    return ArrayFeed(series=load_bars(Path(folder), symbol, interval))


SOURCES: Mapping[str, Maker] = {"binance": BinanceDataFeed.of, "replay": replay}


class DataFeedFactory:
    """``sources``: name → maker; pass ``SOURCES | {"mine": MyDataFeed.of}`` to have one more."""

    def __init__(self, sources: Mapping[str, Maker] = SOURCES) -> None:
        self._sources = dict(sources)

    def create(
        self, data_source: str, symbol: str, interval: str, *, lookback_bars: int = 1_000, **settings: Any
    ) -> bt.feed.DataBase:
        """A feed, not yet connected. ``settings``: what the source itself wants to know.

        Raises DataSourceUnavailable, and ValueError for an unknown interval.
        """
        interval_ms(interval)
        if data_source not in self._sources:
            raise DataSourceUnavailable(f'data_source "{data_source}": {self._instead(data_source)}')
        return self._sources[data_source](symbol, interval, lookback_bars=lookback_bars, **settings)

    def _instead(self, name: str) -> str:
        available = f"available: {', '.join(sorted(self._sources))}"
        if name in LATER:
            return f"{LATER[name]}; {available}"
        near = difflib.get_close_matches(name, self._sources, n=1)
        return f"unknown; did you mean {near[0]}? {available}" if near else f"unknown; {available}"
