"""Each fault of a request, seen at the wire: what came back, and whether the order was executed."""

from __future__ import annotations

import asyncio

import pytest

from brokers.desk.desk import Desk
from brokers.desk.wire_kinds import STREAMS, WIRE_KINDS
from tests.brokers.desk.desks import open_desk, until
from tests.brokers.desk.wire import ask, exchange_bytes, market_order, request_bytes

ORDER = "/fapi/v1/order"
HTML_STATUSES = (403, 404, 451, 500, 502, 503, 504, 520, 524)
# What begins the answer, what it holds, and whether the order was executed.
ANSWERS = {
    "close": (b"", b"", True),
    "stale_keep_alive": (b"", b"", False),
    "held_up": (b"", b"", True),
    "hang": (b"", b"", True),
    "slow_loris": (b"HTTP/1.1 200", b'"clientOrderId": "one"', True),
    "partial_headers": (b"HTTP/1.1 200", b"application/js", True),
    "truncated_body": (b"HTTP/1.1 200", b'{"orderId": 1', True),
    "bad_chunk": (b"HTTP/1.1 200", b"ZZZ", True),
    "garbage": (b"\x16\x03\x01", b"not HTTP", True),
    "html_200": (b"HTTP/1.1 200", b"<html>", True),
    "empty_200": (b"HTTP/1.1 200", b"Content-Length: 0", True),
    "cut_json_200": (b"HTTP/1.1 200", b'"symbol": "BTC', True),
    "empty_object_200": (b"HTTP/1.1 200", b"{}", True),
    "redirect_302": (b"HTTP/1.1 302", b"Location: /elsewhere", True),
    "redirect_307": (b"HTTP/1.1 307", b"Location: /fapi/v1/order", True),
    **{f"http_{status}": (f"HTTP/1.1 {status}".encode(), b"<html>", status >= 500) for status in HTML_STATUSES},
    "unknown_error_503": (b"HTTP/1.1 503", b"Unknown error", True),
    "unknown_-1000": (b"HTTP/1.1 500", b"-1000", True),
    "disconnected_-1001": (b"HTTP/1.1 503", b"-1001", True),
    "unexpected_-1006": (b"HTTP/1.1 400", b"-1006", True),
}


def executed(desk: Desk) -> int:
    return len(desk.exchange.venue.fills)


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_fault_answers_as_it_says_and_executes_as_it_says(kind: str) -> None:
    async def play() -> None:
        begins, holds, happens = ANSWERS[kind]
        fault = {"kind": kind, "at": 1, "delay_ms": 1 if kind == "slow_loris" else 50}
        async with open_desk(server={"faults": [fault]}) as desk:
            came = await exchange_bytes(desk, request_bytes("POST", ORDER, market_order("one")))
            assert came.startswith(begins) and holds in came
            assert not (begins == b"" and came)
            if happens:
                await until(lambda: executed(desk) == 1)
            assert executed(desk) == (1 if happens else 0)

    asyncio.run(play())


def test_every_fault_of_a_request_is_tried_here() -> None:
    requests = {kind for kind, row in WIRE_KINDS.items() if row.executed is not None}
    assert requests == set(ANSWERS) | {"reset", "outage"}
    assert all(set(row.on) <= set(STREAMS) for kind, row in WIRE_KINDS.items() if kind not in requests)


@pytest.mark.parametrize("executes", [True, False])
def test_a_script_decides_whether_a_request_is_executed_before_its_connection_is_reset(executes: bool) -> None:
    async def play() -> None:
        async with open_desk(server={"faults": [{"kind": "reset", "at": 1, "executed": executes}]}) as desk:
            with pytest.raises(ConnectionResetError):
                await exchange_bytes(desk, request_bytes("POST", ORDER, market_order("one")))
            assert executed(desk) == executes

    asyncio.run(play())


def test_an_outage_cuts_everyone_refuses_connections_and_ends() -> None:
    async def play() -> None:
        async with open_desk(server={"faults": [{"kind": "outage", "at": 1, "delay_ms": 200}]}) as desk:
            waiting_reader, waiting_writer = await asyncio.open_connection("127.0.0.1", desk.ports[0])
            assert await exchange_bytes(desk, request_bytes("POST", ORDER, market_order("one"))) == b""
            with pytest.raises(ConnectionError):
                if await waiting_reader.read() == b"":
                    raise ConnectionResetError
            waiting_writer.close()
            with pytest.raises(ConnectionError):
                await ask(desk, "GET", "/fapi/v1/ping")
            assert executed(desk) == 0
            answered = False
            while not answered:
                try:
                    answered = (await ask(desk, "GET", "/fapi/v1/ping"))[0] == 200
                except ConnectionError:
                    await asyncio.sleep(0.02)

    asyncio.run(play())


def test_a_request_that_was_held_up_is_refused_when_its_window_has_passed() -> None:
    async def play() -> None:
        fault = {"kind": "held_up", "at": 1, "delay_ms": 300}
        async with open_desk(server={"faults": [fault]}) as desk:
            await exchange_bytes(desk, request_bytes("POST", ORDER, market_order("one", recvWindow=200)))
            await exchange_bytes(desk, request_bytes("POST", ORDER, market_order("two")))
            await until(lambda: executed(desk) > 0)
            assert [fill.client_order_id for fill in desk.exchange.venue.fills] == ["two"]

    asyncio.run(play())


def test_faults_by_rate_come_by_the_seed_and_by_the_symbol() -> None:
    async def statuses(seed: int) -> list[int]:
        fault = {"kind": "http_500", "on": "quote", "symbol": "BTC/USDT", "rate": 0.5}
        async with open_desk(server={"faults": [fault], "fault_seed": seed}) as desk:
            others = [(await ask(desk, "GET", "/fapi/v1/ticker/price", "symbol=ETHUSDT"))[0] for _ in range(5)]
            assert others == [200] * 5
            return [(await ask(desk, "GET", "/fapi/v1/ticker/price", "symbol=BTCUSDT"))[0] for _ in range(20)]

    first, again, other = (asyncio.run(statuses(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert set(first) == {200, 500}
