"""A Backtrader feed straight from arrays: the fast way to put a ``BarSeries`` into Cerebro."""

from __future__ import annotations

from array import array

import backtrader as bt
import numpy as np

from ccxt_bt_bridge.bt_time import ms_to_num
from ccxt_bt_bridge.series import BarSeries

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def backtrader_timeframe(interval_ms: int) -> tuple[int, int]:
    """Backtrader's ``(timeframe, compression)`` of a bar length: an hour is 60 minutes, a day is one day."""
    if interval_ms % DAY_MS == 0:
        return bt.TimeFrame.Days, interval_ms // DAY_MS
    if interval_ms % MINUTE_MS == 0:
        return bt.TimeFrame.Minutes, interval_ms // MINUTE_MS
    raise ValueError(f"a bar of {interval_ms} ms is neither whole minutes nor whole days")


class ArrayFeed(bt.feed.DataBase):
    """Serves ``series``, with bar times at the close.

    Preloading copies each column once into Backtrader's own line arrays; filters, ``fromdate`` and the like, and runs
    without preloading take the ordinary bar-by-bar way, with equal results.
    """

    params = (("series", None),)

    # Backtrader fills these once per bar and data, the dearest part of a step. None: its broker reads the bar itself.
    tick_last = tick_open = tick_high = tick_low = tick_close = tick_volume = tick_openinterest = None

    def __init__(self) -> None:
        super().__init__()
        series = self.p.series
        if not isinstance(series, BarSeries):
            raise TypeError(f"ArrayFeed wants series=BarSeries, found {type(series).__name__}")
        self.p.timeframe, self.p.compression = backtrader_timeframe(series.interval_ms)
        self.p.name = self.p.name or series.symbol
        self._next_bar = 0

    def start(self) -> None:
        super().start()
        self._next_bar = 0

    def preload(self) -> None:
        if not self._is_plain():
            super().preload()
            return
        series = self.p.series
        self._fill(self.lines.datetime, ms_to_num(series.time_ms))
        for name in ("open", "high", "low", "close", "volume"):
            self._fill(getattr(self.lines, name), getattr(series, name))
        self._fill(self.lines.openinterest, np.zeros(len(series)))
        self._next_bar = len(series)
        self.home()

    def _is_plain(self) -> bool:
        """True when nothing stands between the series and the lines."""
        cut = self.p.fromdate is not None or self.p.todate is not None or self.p.tzinput is not None
        return not (cut or self._filters or self.lines.close.extension)

    @staticmethod
    def _fill(line, values: np.ndarray) -> None:
        column = array("d")
        column.frombytes(np.ascontiguousarray(values, dtype=np.float64).view(np.uint8).data)
        line.array = column
        line.lencount = len(column)
        line.idx = len(column) - 1

    def _load(self) -> bool:
        series, at = self.p.series, self._next_bar
        if at >= len(series):
            return False
        self.lines.datetime[0] = ms_to_num(series.time_ms[at].item())
        for name in ("open", "high", "low", "close", "volume"):
            getattr(self.lines, name)[0] = getattr(series, name)[at].item()
        self.lines.openinterest[0] = 0.0
        self._next_bar = at + 1
        return True

    def _tick_nullify(self) -> None:
        if self._filters:
            super()._tick_nullify()

    def _tick_fill(self, force: bool = False) -> None:
        if self._filters:
            super()._tick_fill(force)
