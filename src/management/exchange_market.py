"""The market and the account that ``tandem exchange`` serves, from its options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from brokers.funding import FundingSchedule
from brokers.market_rules import markets_for
from brokers.mock_market import START_MS, MockMarket, MockPair
from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.series import BarSeries, interval_ms
from feeds.history import load_bars, symbols_in
from pairs.symbols import compact_symbol

KINDS = {"binanceusdm": "usdm", "binance": "spot"}
FUNDING_RATE_8H = Decimal("0.0001")


def market_source(options: argparse.Namespace, now_ms: int) -> MarketSource:
    """The bars of ``--data``, or made up by ``--seed``. Raises ``HistoryError`` or ``ValueError`` as a sentence."""
    series = _from_files(options) if options.data else _made_up(options, now_ms)
    return MarketSource(series)


def account_terms(options: argparse.Namespace, source: MarketSource) -> dict[str, Any]:
    """What the exchange charges, allows and begins with."""
    kind = KINDS[options.dialect]
    rules = markets_for(source.symbols, source.first_prices(), kind=kind, taker_fee=options.fee)
    rate = FUNDING_RATE_8H if kind == "usdm" else Decimal(0)
    return {
        "initial_balance": options.balance,
        "taker_fee": options.fee,
        "slippage_bps": options.slippage_bps,
        "leverage": options.leverage,
        "latency_ms": options.latency_ms,
        "warmup_bars": options.history,
        "markets": rules,
        "funding": {symbol: FundingSchedule(None, rate) for symbol in source.symbols},
    }


def _from_files(options: argparse.Namespace) -> Mapping[str, BarSeries]:
    symbols = map(compact_symbol, options.symbols) if options.symbols else symbols_in(options.data)
    return {symbol: load_bars(options.data, symbol, options.interval) for symbol in symbols}


def _made_up(options: argparse.Namespace, now_ms: int) -> Mapping[str, BarSeries]:
    market = MockMarket(
        options.seed,
        options.history + options.bars,
        options.interval,
        pairs=[MockPair(*pair) for pair in options.pairs],
        symbols=options.symbols,
        start_ms=_start_ms(options, now_ms),
    )
    return market.series()


def _start_ms(options: argparse.Namespace, now_ms: int) -> int:
    """In real time the market is now, unless a file holds an account of an earlier one."""
    if options.speed != 1.0 or options.state is not None:
        return START_MS
    length = interval_ms(options.interval)
    return (now_ms // length - options.history) * length
