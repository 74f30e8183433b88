"""Binance through the bridge keeps the promises of a broker: the real ccxt client over real sockets."""

from __future__ import annotations

from tests.brokers.contract.futures import FuturesContract
from tests.brokers.contract.market import MarketContract
from tests.brokers.contract.orders import OrderContract
from tests.brokers.contract.outcomes import OutcomeContract
from tests.brokers.contract.over_the_wire import OverTheWire
from tests.brokers.contract.resting import RestingContract
from tests.brokers.contract.spot import SpotContract


class TestBinanceFutures(MarketContract, OrderContract, RestingContract, OutcomeContract, FuturesContract):
    adapter = OverTheWire("usdm")


class TestBinanceSpot(MarketContract, OrderContract, RestingContract, OutcomeContract, SpotContract):
    adapter = OverTheWire("spot")
