"""From a broker's name to its exchange port. A new broker is a new entry here and a port of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.funding import FundingSchedule
from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.words import AccountSettings, Market, SymbolSettings

AVAILABLE = ("mock", "binance_paper", "binance")


class BrokerUnavailable(Exception):
    """This broker cannot be started: stop and tell the person."""


@dataclass(frozen=True, slots=True)
class MockTerms:
    """What the simulated exchange charges and allows. Fractions, basis points, per cents and ms as named."""

    initial_balance: Decimal
    taker_fee: Decimal
    slippage_bps: Decimal
    leverage: Decimal
    margin_mode: str
    maintenance_margin_pct: Decimal
    latency_ms: float
    faults: tuple[Mapping[str, Any], ...]
    fault_seed: int


def check_broker(broker_type: str) -> None:
    """Raises BrokerUnavailable for a broker that this version cannot run."""
    if broker_type not in AVAILABLE:
        raise BrokerUnavailable(
            f'broker.type "{broker_type}" cannot be run yet; set "mock" (a simulated exchange, no key needed). '
            "Validating and back-testing this config work as they are"
        )


def open_mock_store(
    path: Path | None, source: MarketSource, rules: Iterable[Market], *, warmup_bars: int
) -> tuple[ExchangeStore, int]:
    """The exchange's file and where its market time stands. Raises StoreError when it belongs to another market."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    store = ExchangeStore(path, fingerprint=_fingerprint(source, rules, warmup_bars))
    return store, market_start_ms(source, store, warmup_bars=warmup_bars)


def open_paper_store(path: Path, symbols: Iterable[str], market: str) -> ExchangeStore:
    """The paper account's file. Raises StoreError when it belongs to other symbols or another market."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return ExchangeStore(path, fingerprint=f"paper {market} {','.join(sorted(symbols))}")


def mock_exchange(
    source: MarketSource,
    store: ExchangeStore,
    *,
    clock: Clock,
    terms: MockTerms,
    rules: Mapping[str, Market],
    funding: Mapping[str, FundingSchedule],
    warmup_bars: int,
) -> SimulatedExchange:
    return SimulatedExchange(
        source,
        store,
        clock=clock,
        initial_balance=terms.initial_balance,
        taker_fee=terms.taker_fee,
        slippage_bps=terms.slippage_bps,
        funding=funding,
        warmup_bars=warmup_bars,
        latency_ms=terms.latency_ms,
        faults=terms.faults,
        fault_seed=terms.fault_seed,
        leverage=terms.leverage,
        settings=opening_settings(source.symbols, terms.margin_mode, terms.leverage),
        maintenance_margin_pct=terms.maintenance_margin_pct,
        markets=rules,
        fees_in_base=False,  # as in a backtest, so that the two agree to the last digit
    )


def opening_settings(symbols: Iterable[str], margin_mode: str, leverage: Decimal) -> AccountSettings:
    """An account as its config wants it: one-way, every symbol alike."""
    return AccountSettings("one_way", tuple(SymbolSettings(symbol, margin_mode, leverage) for symbol in symbols))


def _fingerprint(source: MarketSource, rules: Iterable[Market], warmup_bars: int) -> str:
    """Changes with any bar or rule, so that a resumed run cannot go on in another market."""
    digest = hashlib.sha256(f"{warmup_bars} {source.interval_ms} {sorted(map(repr, rules))}".encode())
    for symbol in sorted(source.series):
        digest.update(symbol.encode())
        for column in source.series[symbol].columns:
            digest.update(column.tobytes())
    return digest.hexdigest()[:16]
