"""The mock exchange keeps the promises of a broker."""

from __future__ import annotations

from tests.brokers.contract.futures import FuturesContract
from tests.brokers.contract.in_process import InProcess
from tests.brokers.contract.market import MarketContract
from tests.brokers.contract.orders import OrderContract
from tests.brokers.contract.outcomes import OutcomeContract


class TestMockFutures(MarketContract, OrderContract, OutcomeContract, FuturesContract):
    adapter = InProcess("usdm")
