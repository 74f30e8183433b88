from __future__ import annotations

import numpy as np
import pytest

from ccxt_bt_bridge.series import INTERVALS, BarSeries, interval_ms
from ccxt_bt_bridge.words import Bar


def ramp(length: int) -> BarSeries:
    price = np.arange(1.0, length + 1.0)
    time_ms = 60_000 * np.arange(1, length + 1, dtype=np.int64)
    return BarSeries(
        "BTCUSDT", 60_000, time_ms, price, price + 1, price - 0.5, price + 0.5, price * 10, notes=("a note",)
    )


def test_intervals_are_those_that_begin_with_the_day():
    assert [interval_ms(name) // 60_000 for name in INTERVALS] == [1, 3, 5, 15, 30, 60, 120, 240, 360, 480, 720, 1440]
    for unknown in ("1w", "1M", "5h"):
        with pytest.raises(ValueError, match=f"'{unknown}'; known: 1m, 3m, 5m.*8h, 12h, 1d"):
            interval_ms(unknown)


def test_a_bar_comes_out_in_plain_numbers():
    bar = ramp(3).bar(1)
    assert bar == Bar("BTCUSDT", 120_000, 2.0, 3.0, 1.5, 2.5, 20.0)
    assert type(bar.time_ms) is int and type(bar.close) is float


def test_a_slice_keeps_symbol_interval_and_notes():
    part = ramp(5).slice(1, 3)
    assert (len(part), part.symbol, part.interval_ms, part.notes) == (2, "BTCUSDT", 60_000, ("a note",))
    assert part.close.tolist() == [2.5, 3.5]


def test_the_arrays_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        ramp(3).close[0] = 1.0


def test_columns_of_different_length_are_refused():
    one = np.ones(2)
    with pytest.raises(ValueError, match="length"):
        BarSeries("X", 60_000, np.array([1, 2, 3]), one, one, one, one, one)
