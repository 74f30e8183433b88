"""Weights, order counts, Retry-After and bans, as a client meets them."""

from __future__ import annotations

import asyncio
import json

from brokers.desk.limits import Limits, RateMeter
from brokers.desk.refusals import Refusal
from tests.brokers.desk.desks import open_desk
from tests.brokers.desk.wire import ask, headers_of, market_order

ORDER = "/fapi/v1/order"


def test_every_answer_tells_what_was_used() -> None:
    async def play() -> None:
        async with open_desk() as desk:
            assert (await headers_of(desk, "GET", "/fapi/v1/time"))["x-mbx-used-weight-1m"] == "1"
            headers = await headers_of(desk, "POST", ORDER, market_order("one"))
            assert headers["x-mbx-order-count-10s"] == headers["x-mbx-order-count-1m"] == "1"

    asyncio.run(play())


def test_too_much_weight_is_429_and_stubbornness_a_ban() -> None:
    limits = Limits(weight_per_minute=3, ban_after=2, ban_s=60.0)

    async def play() -> None:
        async with open_desk(server={"limits": limits}) as desk:
            answers = [await ask(desk, "GET", "/fapi/v1/time") for _ in range(7)]
            assert [status for status, _ in answers] == [200, 200, 200, 429, 429, 418, 418]
            assert {json.loads(body)["code"] for status, body in answers if status != 200} == {-1003}
            assert int((await headers_of(desk, "GET", "/fapi/v1/time"))["retry-after"]) >= 58

    asyncio.run(play())


def test_too_many_orders_are_refused_and_not_executed() -> None:
    async def play() -> None:
        async with open_desk(server={"limits": Limits(orders_per_10s=2)}) as desk:
            answers = [await ask(desk, "POST", ORDER, market_order(f"o{at}")) for at in range(3)]
            assert [status for status, _ in answers] == [200, 200, 429]
            assert json.loads(answers[2][1])["code"] == -1015
            assert len(desk.exchange.venue.fills) == 2

    asyncio.run(play())


class Meter:
    """A meter on a clock that stands until it is moved."""

    def __init__(self, **limits) -> None:
        self.now_s = 30.0
        self.meter = RateMeter(Limits(**limits), lambda: self.now_s, lambda: round(self.now_s * 1000))

    def ask(self) -> int:
        try:
            self.meter.charge(weight=1, orders=0)
        except Refusal as refusal:
            self.refusal = refusal
            return refusal.status
        return 200


def test_a_new_minute_begins_afresh() -> None:
    meter = Meter(weight_per_minute=2)
    assert [meter.ask() for _ in range(3)] == [200, 200, 429]
    assert meter.refusal.headers == {"Retry-After": "30"}
    meter.now_s = 59.9
    assert meter.ask() == 429
    meter.now_s = 60.0
    assert meter.ask() == 200


def test_each_ban_is_twice_as_long_as_the_last() -> None:
    meter = Meter(weight_per_minute=0, ban_after=0, ban_s=100.0)
    for length in (100.0, 200.0, 400.0):
        assert meter.ask() == 418
        began = meter.now_s
        meter.now_s = began + length - 0.1
        assert meter.ask() == 418
        assert f"until {round((began + length) * 1000)}." in meter.refusal.message
        meter.now_s = began + length
