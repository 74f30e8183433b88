"""Faults of streams and of the account's events, as a raw WebSocket client hears them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from brokers.desk.desk import Desk
from brokers.simulated.fault_kinds import KINDS
from tests.brokers.desk.desks import PATIENCE_S, open_desk, until
from tests.brokers.desk.wire import ask, market_order

KLINES = "btcusdt@kline_1m"
SPEED = 1_200.0  # a bar every 50 ms


class Ear:
    """A WebSocket that keeps all it hears."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.is_over = False

    async def listen(self) -> None:
        async for message in self.socket:
            self.messages.append(json.loads(message.data))
        self.is_over = True

    def closed_opens(self) -> list[int]:
        """Open times of the bars that came as closed."""
        return [one["k"]["t"] for one in self.messages if one.get("e") == "kline" and one["k"]["x"]]

    def executions(self) -> list[str]:
        return [one["o"]["x"] for one in self.messages if one.get("e") == "ORDER_TRADE_UPDATE"]


@asynccontextmanager
async def ear(desk: Desk, path: str, *, autoping: bool = True) -> AsyncIterator[Ear]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(desk.url.replace("http", "ws", 1) + path, autoping=autoping) as socket,
    ):
        one = Ear(socket)
        listening = asyncio.create_task(one.listen())
        try:
            yield one
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def market_desk(**fault: Any) -> Any:
    return open_desk(speed=SPEED, wait_for_client=True, server={"faults": [{"on": "market_stream", **fault}]})


BAR_FAULTS = {
    # the third bar, as positions after the first one heard; the first two are of the wire
    "kline_out_of_order": [0, 1, 3, 2, 4],
    "kline_unclosed_as_closed": [0, 1, 2, 3, 3],
    "bar_missing": [0, 1, 3, 4],
    "bar_twice": [0, 1, 2, 2, 3],
    "bar_revised": [0, 1, 2, 2, 3],
    "bar_late": [0, 1, 3],
}


@pytest.mark.parametrize("kind", BAR_FAULTS)
def test_a_closed_bar_is_misdelivered_as_the_script_says(kind: str) -> None:
    async def play() -> None:
        fault = {"kind": kind, "symbol": "BTCUSDT", "at": 3}
        inside = kind in KINDS
        if kind == "bar_late":
            fault["delay_ms"] = 400
        terms = {"faults": [fault]} if inside else {"server": {"faults": [{"on": "market_stream", **fault}]}}
        async with open_desk(speed=SPEED, wait_for_client=True, **terms) as desk:
            async with ear(desk, f"/market/ws/{KLINES}") as heard:
                desk.walk()
                wanted = BAR_FAULTS[kind]
                await until(lambda: len(heard.closed_opens()) > len(wanted) + 2)
                third = heard.closed_opens()[0] + 2 * 60_000
                await until(lambda: (third in heard.closed_opens()) == (kind != "bar_missing"))
                opens = heard.closed_opens()
                assert [(one - opens[0]) // 60_000 for one in opens[: len(wanted)]] == wanted
                assert Counter(opens)[third] == (1 if kind == "bar_late" else wanted.count(2))

    asyncio.run(play())


@pytest.mark.parametrize(("kind", "code"), [("ws_drop", 1012), ("ws_abort", 1006), ("server_shutdown", 1001)])
def test_a_stream_is_closed_with_its_code(kind: str, code: int) -> None:
    async def play() -> None:
        async with (
            market_desk(kind=kind, symbol="BTCUSDT", at=2, delay_ms=20) as desk,
            ear(desk, f"/ws/{KLINES}") as heard,
        ):
            desk.walk()
            await until(lambda: heard.is_over)
            assert heard.socket.close_code == code
            assert len(heard.closed_opens()) >= 1
            assert any(one["e"] == "serverShutdown" for one in heard.messages) == (kind == "server_shutdown")

    asyncio.run(play())


@pytest.mark.parametrize(("kind", "answers"), [("ws_half_open", False), ("ws_silent", True)])
def test_a_stream_falls_silent_and_answers_pings_or_not(kind: str, answers: bool) -> None:
    async def play() -> None:
        async with market_desk(kind=kind, at=3, delay_ms=60_000) as desk:
            async with aiohttp.ClientSession() as session:
                url = f"{desk.url.replace('http', 'ws', 1)}/ws/{KLINES}"
                async with session.ws_connect(url, autoping=False) as socket:
                    desk.walk()
                    await until(lambda: desk.exchange.market_ms > desk.exchange.source.start_ms(50) + 8 * 60_000)
                    await socket.ping(b"there?")
                    kinds = await read_all(socket, for_s=1.0)
                    assert (aiohttp.WSMsgType.PONG in kinds) == answers
                    assert not socket.closed

    async def read_all(socket: aiohttp.ClientWebSocketResponse, *, for_s: float) -> list[aiohttp.WSMsgType]:
        """What still comes until nothing comes for a while."""
        kinds = []
        while True:
            try:
                kinds.append((await asyncio.wait_for(socket.receive(), for_s)).type)
            except TimeoutError:
                return kinds

    asyncio.run(play())


async def user_path(desk: Desk) -> str:
    key = json.loads((await ask(desk, "POST", "/fapi/v1/listenKey"))[1])["listenKey"]
    return f"/private/ws?listenKey={key}"


# The core's own faults, as the wire tells them: an order's report is its first event, its fill the second.
EVENT_FAULTS = [
    ("event_lost", "events", 1, ["TRADE"]),
    ("event_lost", "events", 2, ["NEW"]),
    ("event_twice", "events", 2, ["NEW", "TRADE", "TRADE"]),
    ("event_out_of_order", "events", 1, ["TRADE", "NEW"]),
    ("fill_before_ack", "create_order", 1, ["TRADE", "NEW"]),
    ("partial_fill", "create_order", 1, ["NEW", "TRADE", "EXPIRED"]),
]


@pytest.mark.parametrize(("kind", "on", "at", "wanted"), EVENT_FAULTS)
def test_an_event_of_the_account_is_misdelivered_as_the_script_says(
    kind: str, on: str, at: int, wanted: list[str]
) -> None:
    async def play() -> None:
        async with open_desk(faults=[{"kind": kind, "on": on, "at": at}]) as desk:
            async with ear(desk, await user_path(desk)) as heard:
                await until(lambda: len(desk.server.user.listeners) == 1)
                await ask(desk, "POST", "/fapi/v1/order", market_order("one"))
                await until(lambda: len(heard.executions()) == len(wanted))
                assert heard.executions() == wanted

    asyncio.run(play())


def test_a_user_stream_that_goes_down_is_closed_and_tells_the_rest_to_who_comes_back() -> None:
    async def play() -> None:
        fault = {"kind": "user_stream_down", "on": "events", "at": 1, "delay_ms": 700}
        async with open_desk(faults=[fault]) as desk:
            path = await user_path(desk)
            async with ear(desk, path) as heard:
                await until(lambda: len(desk.server.user.listeners) == 1)
                await ask(desk, "POST", "/fapi/v1/order", market_order("one"))
                await until(lambda: heard.is_over)
                assert heard.socket.close_code == 1012 and heard.executions() == []
            async with ear(desk, path) as again:
                await until(lambda: again.executions() == ["NEW", "TRADE"])

    asyncio.run(play())


def test_listen_keys_expire_by_script() -> None:
    async def play() -> None:
        fault = {"kind": "listen_key_expired", "on": "user_stream", "at": 1}
        async with open_desk(server={"faults": [fault]}) as desk, ear(desk, await user_path(desk)) as heard:
            await until(lambda: len(desk.server.user.listeners) == 1)
            await ask(desk, "POST", "/fapi/v1/order", market_order("one"))
            await until(lambda: [one["e"] for one in heard.messages] == ["listenKeyExpired"])

    asyncio.run(play())


def test_a_listen_key_that_ran_out_is_told_silences_the_stream_and_cannot_be_renewed() -> None:
    async def play() -> None:
        async with open_desk(server={"listen_key_s": 1.5}) as desk, ear(desk, await user_path(desk)) as heard:
            await until(lambda: any(one["e"] == "listenKeyExpired" for one in heard.messages))
            status, body = await ask(desk, "PUT", "/fapi/v1/listenKey")
            assert (status, json.loads(body)["code"]) == (400, -1125)
            await ask(desk, "POST", "/fapi/v1/order", market_order("one"))
            assert heard.executions() == [] and len(desk.exchange.venue.fills) == 1
            assert (await ask(desk, "POST", "/fapi/v1/listenKey"))[0] == 200
            assert (await ask(desk, "PUT", "/fapi/v1/listenKey"))[0] == 200

    asyncio.run(play())


def test_no_connection_outlives_its_day() -> None:
    async def play() -> None:
        async with open_desk(server={"connection_s": 0.2}) as desk, ear(desk, "/ws") as heard:
            await until(lambda: heard.is_over)
            assert heard.socket.close_code == 1001

    asyncio.run(play())


def test_requests_on_a_stream_are_answered_and_nonsense_is_refused() -> None:
    async def play() -> None:
        async with open_desk() as desk, ear(desk, "/ws") as heard:
            for message in ('{"method": "SUBSCRIBE", "params": ["btcusdt@miniTicker"], "id": 1}',
                            '{"method": "LIST_SUBSCRIPTIONS", "id": 2}',
                            '{"method": "UNSUBSCRIBE", "params": ["btcusdt@miniTicker"], "id": 3}',
                            '{"method": "DANCE", "id": 4}', "[]", "{"):  # fmt: skip
                await heard.socket.send_str(message)
            await until(lambda: len([one for one in heard.messages if "e" not in one]) == 6)
            replies = [one for one in heard.messages if "e" not in one]
            assert replies[0] == {"result": None, "id": 1}
            assert replies[1] == {"result": ["btcusdt@miniTicker"], "id": 2}
            assert replies[2] == {"result": None, "id": 3}
            assert [one["error"]["code"] for one in replies[3:]] == [2, 3, 3]

    asyncio.run(asyncio.wait_for(play(), PATIENCE_S))
