"""A simulated exchange: matching, account, funding, faults and a file of its own, behind the bridge's ports."""

from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.faults import Fault, FaultPlan
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore, StoreError

__all__ = ["ExchangeStore", "Fault", "FaultPlan", "MarketSource", "SimulatedExchange", "StoreError", "market_start_ms"]
