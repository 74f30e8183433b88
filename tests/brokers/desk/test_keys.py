"""Who may ask what: keys, signatures, permissions, times, all with Binance's codes."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from brokers.desk.api_key import DEMO_KEY, DeskKey
from tests.brokers.desk.desks import open_desk
from tests.brokers.desk.wire import ask, market_order, signed

ACCOUNT = "/fapi/v3/account"


def wall_ms(offset_ms: int = 0) -> int:
    return round(time.time() * 1000) + offset_ms


REFUSED = [
    ("no key", {"key": None}, 401, -2014),
    ("an unknown key", {"key": "somebody"}, 401, -2015),
    ("a wrong secret", {"query": signed({}, secret="guess")}, 400, -1022),
    ("no signature", {"query": f"timestamp={wall_ms()}"}, 400, -1102),
    ("no time", {"query": signed({"timestamp": None})}, 400, -1102),
    ("a time that is no number", {"query": signed({"timestamp": "noon"})}, 400, -1100),
    ("a time too late", {"query": signed({"timestamp": wall_ms(600_000)})}, 400, -1021),
    ("a time too early", {"query": signed({"timestamp": wall_ms(-60_000)})}, 400, -1021),
    ("a window too wide", {"query": signed({"recvWindow": 60_001})}, 400, -1131),
    ("a changed parameter", {"query": signed({"recvWindow": 5_000}).replace("5000", "6000")}, 400, -1022),
]


@pytest.mark.parametrize(("how", "status", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_request_is_refused_with(how: dict, status: int, code: int) -> None:
    async def play() -> None:
        async with open_desk() as desk:
            found, body = await ask(desk, "GET", ACCOUNT, **({"query": signed({})} | how))
            assert (found, json.loads(body)["code"]) == (status, code)

    asyncio.run(play())


def test_a_time_counts_by_the_wall_or_by_the_exchange() -> None:
    async def play() -> None:
        async with open_desk() as desk:
            for now_ms in (wall_ms(), desk.clock.now_ms()):
                assert (await ask(desk, "GET", ACCOUNT, signed({}, now_ms=now_ms)))[0] == 200

    asyncio.run(play())


def test_a_key_is_revoked_and_loses_permissions_while_the_exchange_runs() -> None:
    async def play() -> None:
        async with open_desk() as desk:
            assert (await ask(desk, "GET", ACCOUNT, signed({})))[0] == 200
            desk.server.keys.grant("desk-key", "read")
            status, body = await ask(desk, "GET", ACCOUNT, signed({}))
            assert (status, json.loads(body)["code"]) == (401, -2015)
            desk.server.keys.grant("desk-key", "read", "futures")
            assert (await ask(desk, "GET", ACCOUNT, signed({})))[0] == 200
            desk.server.keys.revoke("desk-key")
            assert (await ask(desk, "POST", "/fapi/v1/order", market_order("one")))[0] == 401
            assert desk.exchange.venue.fills == []

    asyncio.run(play())


def test_a_key_tells_its_restrictions_and_its_addresses_are_checked() -> None:
    keys = [DEMO_KEY, DeskKey("rich", "s", frozenset(("read", "withdraw"))), DeskKey("far", "s", ips=("10.0.0.1",))]

    async def play() -> None:
        async with open_desk(server={"keys": keys}) as desk:
            path = "/sapi/v1/account/apiRestrictions"
            told = json.loads((await ask(desk, "GET", path, signed({})))[1])
            assert told["enableFutures"] and told["ipRestrict"] and not told["enableWithdrawals"]
            rich = json.loads((await ask(desk, "GET", path, signed({}, secret="s"), key="rich"))[1])
            assert rich["enableWithdrawals"] and not rich["ipRestrict"] and not rich["enableFutures"]
            assert (await ask(desk, "GET", path, signed({}, secret="s"), key="far"))[0] == 401

    asyncio.run(play())


def test_a_secret_is_not_shown() -> None:
    assert "desk-secret" not in repr(DEMO_KEY)


def test_an_unknown_permission_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown permission fly"):
        DeskKey("a", "b", frozenset(("fly",)))
