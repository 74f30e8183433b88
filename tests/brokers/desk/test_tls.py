"""The real client under the production host names: our own resolver, our own authority, and nothing else reachable."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import ccxt.pro
import pytest
from aiohttp.abc import AbstractResolver

from brokers.desk.desk import Desk
from brokers.desk.tls import CA_FILE, HOSTS, throwaway_tls
from tests.brokers.desk.desks import BTC, open_desk, soon, until


class DeskResolver(AbstractResolver):
    """Knows the exchange's hosts alone, all of them at the desk."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: set[str] = set()

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[Any]:
        self.asked.add(host)
        if host not in HOSTS:
            raise OSError(f"{host} is not at the desk")
        return [{"hostname": host, "host": "127.0.0.1", "port": self._port, "family": socket.AF_INET, "proto": 0,
                 "flags": socket.AI_NUMERICHOST}]  # fmt: skip

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def production_client(desk: Desk, folder: Path) -> AsyncIterator[tuple[Any, DeskResolver]]:
    resolver = DeskResolver(desk.ports[0])
    trust = ssl.create_default_context(cafile=folder / CA_FILE)
    connector = aiohttp.TCPConnector(resolver=resolver, ssl=trust)
    keys = {"apiKey": "desk-key", "secret": "desk-secret"}
    options = {"fetchCurrencies": False, "fetchMargins": False}
    async with aiohttp.ClientSession(connector=connector) as session:
        client = ccxt.pro.binanceusdm(
            {
                **keys,
                "options": options,
                "enableRateLimit": False,
                "session": session,
            }
        )
        try:
            yield client, resolver
        finally:
            await client.close()


def test_the_client_trades_and_watches_under_the_production_names_and_asks_for_no_other(tmp_path: Path) -> None:
    async def play() -> None:
        async with open_desk(server={"tls": throwaway_tls(tmp_path)}) as desk:
            async with production_client(desk, tmp_path) as (client, resolver):
                order = await client.create_order(BTC, "market", "buy", 0.01)
                assert order["status"] == "closed"
                assert (await soon(client.watch_ticker(BTC)))["last"] > 0
                watching = asyncio.create_task(client.watch_orders())
                await until(lambda: len(desk.server.user.listeners) == 1)
                await client.create_order(BTC, "market", "sell", 0.01)
                assert (await soon(watching))[0]["side"] == "sell"
                restrictions = await client.sapi_get_account_apirestrictions()
                assert restrictions["enableFutures"] is True
                assert resolver.asked == {"fapi.binance.com", "fstream.binance.com", "api.binance.com"}

    asyncio.run(play())


@pytest.mark.parametrize(
    ("amount", "reduce_only", "error"),
    [(500.0, False, ccxt.InsufficientFunds), (0.01, True, ccxt.InvalidOrder)],
)
def test_the_clients_own_error_tables_hold(tmp_path: Path, amount: float, reduce_only: bool, error: type) -> None:
    async def play() -> None:
        async with open_desk(server={"tls": throwaway_tls(tmp_path)}) as desk:
            async with production_client(desk, tmp_path) as (client, _):
                with pytest.raises(error):
                    await client.create_order(BTC, "market", "buy", amount, None, {"reduceOnly": reduce_only})

    asyncio.run(play())


def test_a_client_that_does_not_trust_the_authority_is_not_served(tmp_path: Path) -> None:
    async def play() -> None:
        async with open_desk(server={"tls": throwaway_tls(tmp_path / "one")}) as desk:
            throwaway_tls(tmp_path / "other")
            async with production_client(desk, tmp_path / "other") as (client, _):
                with pytest.raises(ccxt.NetworkError) as refused:
                    await client.fetch_time()
                assert isinstance(refused.value.__cause__, aiohttp.ClientConnectorCertificateError)

    asyncio.run(play())
