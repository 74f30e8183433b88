"""Paper trading keeps the promises of a broker, for futures and for spot."""

from __future__ import annotations

from tests.brokers.contract.futures import FuturesContract
from tests.brokers.contract.market import MarketContract
from tests.brokers.contract.on_paper import OnPaper
from tests.brokers.contract.orders import OrderContract
from tests.brokers.contract.outcomes import OutcomeContract
from tests.brokers.contract.resting import RestingContract
from tests.brokers.contract.spot import SpotContract


class TestPaperFutures(MarketContract, OrderContract, RestingContract, OutcomeContract, FuturesContract):
    adapter = OnPaper("usdm")


class TestPaperSpot(MarketContract, OrderContract, RestingContract, OutcomeContract, SpotContract):
    adapter = OnPaper("spot")
