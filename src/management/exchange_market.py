"""The market and the account that ``tandem exchange`` serves, from its options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from brokers.funding import FundingSchedule
from brokers.market_rules import markets_for
from brokers.mock_market import MockMarket, MockPair
from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.series import BarSeries
from ccxt_bt_bridge.words import BINANCE_IDS
from feeds.history import load_bars, symbols_in
from pairs.symbols import compact_symbol

KINDS = {exchange_id: kind for kind, exchange_id in BINANCE_IDS.items()}
FUNDING_RATE_8H = Decimal("0.0001")


def is_real_time(options: argparse.Namespace) -> bool:
    """A made-up market is now, unless a file holds an account of an earlier one."""
    return options.speed == 1.0 and options.state is None and not options.data


def market_source(options: argparse.Namespace, now_ms: int) -> MarketSource:
    """The bars of ``--data``, or made up by ``--seed``: in real time, so that the bar after the history is the one of
    ``now_ms``. Raises ``HistoryError`` or ``ValueError`` as a sentence."""
    source = MarketSource(_from_files(options) if options.data else _made_up(options))
    return _now(source, options.history, now_ms) if is_real_time(options) else source


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
        "latency_ms": float(options.latency_ms),
        "warmup_bars": options.history,
        "markets": rules,
        "funding": {symbol: FundingSchedule(None, rate) for symbol in source.symbols},
    }


def _from_files(options: argparse.Namespace) -> Mapping[str, BarSeries]:
    symbols = map(compact_symbol, options.symbols) if options.symbols else symbols_in(options.data)
    return {symbol: load_bars(options.data, symbol, options.interval) for symbol in symbols}


def _made_up(options: argparse.Namespace) -> Mapping[str, BarSeries]:
    market = MockMarket(
        options.seed,
        options.history + options.bars,
        options.interval,
        pairs=[MockPair(*pair) for pair in options.pairs],
        symbols=options.symbols,
    )
    return market.series()


def _now(source: MarketSource, history: int, now_ms: int) -> MarketSource:
    """The same market at another time. Its holes count: it has fewer bars than time has passed in it."""
    length, last = source.interval_ms, len(source.closes_ms) - 1
    open_ms = int(source.closes_ms[min(history, last)]) - length
    shift_ms = now_ms // length * length - open_ms
    return MarketSource({name: replace(one, time_ms=one.time_ms + shift_ms) for name, one in source.series.items()})
