from __future__ import annotations

from types import SimpleNamespace

import pytest

from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.exchange_clock import ExchangeClock, TimeSample
from ccxt_bt_bridge.rate_gate import RateGate
from ccxt_bt_bridge.readiness import doubts_about
from ccxt_bt_bridge.session import SessionSettings


class Loop:
    now_s = 0.0

    def time(self) -> float:
        return self.now_s


def session(loop: Loop, **settings) -> SimpleNamespace:
    """The real parts, without connections."""
    return SimpleNamespace(
        clock=ExchangeClock(loop.time),
        gate=RateGate(loop.time, LoopClock(loop.time, 0)),
        settings=SessionSettings("binanceusdm", **settings),
    )


def sample(loop: Loop, server_ms: int, round_trip_s: float = 0.02) -> TimeSample:
    return TimeSample(loop.now_s, loop.now_s + round_trip_s, server_ms)


def test_a_calm_exchange_leaves_no_doubt():
    loop = Loop()
    one = session(loop)
    one.clock.measure([sample(loop, 1_000_000)])
    one.gate.hear(200, {"X-MBX-USED-WEIGHT-1M": "40"}, "")
    assert doubts_about(one) == ()


@pytest.mark.parametrize("moved_ms", [-600, 600])
def test_two_measurements_that_disagree_are_a_doubt_until_a_third_agrees(moved_ms):
    loop = Loop()
    one = session(loop)
    one.clock.measure([sample(loop, 1_000_000)])
    loop.now_s += 10.0
    one.clock.measure([sample(loop, 1_010_000 + moved_ms)])
    assert doubts_about(one) == ("clock_offset",)
    one.clock.measure([sample(loop, 1_010_000 + moved_ms)])
    assert doubts_about(one) == ()


def test_an_exchange_on_this_machine_may_leap_in_time():
    loop = Loop()
    one = session(loop, url="http://127.0.0.1:8787")
    one.clock.measure([sample(loop, 1_000_000)])
    one.clock.measure([sample(loop, 9_000_000)])
    assert doubts_about(one) == ()


def test_a_way_that_takes_half_the_window_is_too_long():
    loop = Loop()
    one = session(loop)
    one.clock.measure([sample(loop, 1_000_000, round_trip_s=1.1)])
    assert doubts_about(one) == ("slow_round_trip",)
    one.clock.round_trip_s = 0.9
    assert doubts_about(one) == ()


def test_a_ban_is_a_doubt_while_it_lasts():
    loop = Loop()
    one = session(loop)
    one.gate.hear(429, {"Retry-After": "30"}, "")
    assert doubts_about(one) == ("rate_banned",)
    loop.now_s = 31.0
    assert doubts_about(one) == ()


def test_a_minute_that_is_nearly_used_up_has_no_room_and_the_next_has():
    loop = Loop()
    one = session(loop)
    one.gate.hear(200, {"x-mbx-used-weight-1m": "2301"}, "")
    assert doubts_about(one) == ("rate_room",)
    loop.now_s = 60.0
    assert doubts_about(one) == ()
