"""What every market traded in the last day, from an exchange on the desk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.errors import ExchangeUnreachable, NotSupported
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.tickers import DayVolume, fetch_day_volumes
from tests.brokers.desk.desks import open_desk
from tests.brokers.markets import flat
from tests.ccxt_bt_bridge.sessions import desk_session, desk_settings, run


def traded() -> MarketSource:
    """100 hours at a price of 100; BTC trades 10 an hour, ETH 5."""
    eth = flat("ETHUSDT", 100)
    return MarketSource({"BTCUSDT": flat("BTCUSDT", 100), "ETHUSDT": replace(eth, volume=np.full(100, 5.0))})


def volumes(kind: str, quote: str = "USDT") -> list[DayVolume]:
    async def asked() -> list[DayVolume]:
        async with desk_session(kind, source=traded()) as (_, session):
            return await fetch_day_volumes(session, quote)

    found: list[DayVolume] = run(asked())
    return sorted(found, key=lambda day: day.symbol)


@pytest.mark.parametrize(
    ("kind", "names"), [("usdm", ["BTC/USDT:USDT", "ETH/USDT:USDT"]), ("spot", ["BTC/USDT", "ETH/USDT"])]
)
def test_the_value_of_a_day_is_told_for_every_market(kind: str, names: list[str]) -> None:
    btc, eth = volumes(kind)
    assert [btc.symbol, eth.symbol] == names and btc.is_open and eth.is_open
    assert btc.quote_volume == pytest.approx(24 * 10 * 100) and eth.quote_volume == pytest.approx(24 * 5 * 100)


def test_a_quote_without_markets_is_said() -> None:
    with pytest.raises(NotSupported, match="binanceusdm has no markets in JPY"):
        volumes("usdm", "JPY")


def test_an_answer_that_does_not_come_is_no_empty_list() -> None:
    async def asked() -> Any:
        async with open_desk(traded()) as desk:
            session = await CcxtSession.open(desk_settings(desk))
        try:
            return await fetch_day_volumes(session, "USDT")  # the desk is gone
        finally:
            await session.close()

    with pytest.raises(ExchangeUnreachable, match="the day's volumes"):
        run(asked())
