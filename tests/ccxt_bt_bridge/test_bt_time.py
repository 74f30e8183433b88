from __future__ import annotations

from datetime import UTC, datetime

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccxt_bt_bridge.bt_time import datetime_to_ms, ms_to_datetime, ms_to_num, num_to_ms

MILLISECONDS = st.integers(min_value=-2_000_000_000_000, max_value=4_000_000_000_000)


@given(MILLISECONDS)
def test_every_millisecond_survives_the_way_there_and_back(ms):
    assert num_to_ms(ms_to_num(ms)) == ms
    assert datetime_to_ms(ms_to_datetime(ms)) == ms


@given(st.lists(MILLISECONDS, min_size=1, max_size=50))
def test_arrays_and_scalars_give_identical_floats(times):
    assert ms_to_num(np.array(times, dtype=np.int64)).tolist() == [ms_to_num(ms) for ms in times]


def test_backtrader_reads_the_number_as_the_same_utc_time():
    when = datetime(2025, 3, 31, 23, tzinfo=UTC)
    assert bt.num2date(ms_to_num(datetime_to_ms(when))) == when.replace(tzinfo=None)


def test_a_naive_datetime_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        datetime_to_ms(datetime(2025, 1, 1))
