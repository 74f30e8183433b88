"""The mock exchange keeps the promises of a broker, for futures and for spot."""

from __future__ import annotations

from tests.brokers.contract.futures import FuturesContract
from tests.brokers.contract.in_process import InProcess
from tests.brokers.contract.market import MarketContract
from tests.brokers.contract.orders import OrderContract
from tests.brokers.contract.outcomes import OutcomeContract
from tests.brokers.contract.resting import RestingContract
from tests.brokers.contract.spot import SpotContract


class TestMockFutures(MarketContract, OrderContract, RestingContract, OutcomeContract, FuturesContract):
    adapter = InProcess("usdm")


class TestMockSpot(MarketContract, OrderContract, RestingContract, OutcomeContract, SpotContract):
    adapter = InProcess("spot")
