"""Silence for as long as the exchange asks for it."""

from __future__ import annotations

import pytest

from ccxt_bt_bridge.errors import RateBanned
from ccxt_bt_bridge.exchange_clock import ExchangeClock, TimeSample
from ccxt_bt_bridge.rate_gate import RateGate


class Gate:
    """A gate at exchange time 1,700,000,000,000, and hands on its loop's time."""

    def __init__(self) -> None:
        self.now_s = 50.0
        clock = ExchangeClock(lambda: self.now_s)
        clock.measure([TimeSample(50.0, 50.0, 1_700_000_000_000)])
        self.gate = RateGate(lambda: self.now_s, clock)

    def silence_s(self) -> float:
        with pytest.raises(RateBanned) as banned:
            self.gate.check()
        return (banned.value.until_ms - 1_700_000_000_000) / 1000.0 - (self.now_s - 50.0)


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"Retry-After": "7"}, "", 7.0),
        (418, {"retry-after": "120"}, "", 120.0),
        (418, {}, '{"code":-1003,"msg":"Way too many requests; IP banned until 1700000300000."}', 300.0),
        (429, {}, "", 60.0),
        (418, {"Retry-After": "soon"}, "", 120.0),
    ],
)
def test_it_lasts_as_long_as_the_exchange_says(status, headers, body, seconds):
    wanted = Gate()
    wanted.gate.hear(status, headers, body)
    assert wanted.silence_s() == seconds
    wanted.now_s += seconds - 1.0
    assert wanted.silence_s() == 1.0
    wanted.now_s += 1.0
    wanted.gate.check()


def test_a_shorter_ban_does_not_end_a_longer_one():
    wanted = Gate()
    wanted.gate.hear(418, {"Retry-After": "100"}, "")
    wanted.gate.hear(429, {"Retry-After": "1"}, "")
    assert wanted.silence_s() == 100.0


def test_other_answers_ask_for_no_silence():
    wanted = Gate()
    for status in (200, 400, 401, 403, 500, 503):
        wanted.gate.hear(status, {"Retry-After": "9"}, "")
    wanted.gate.check()
