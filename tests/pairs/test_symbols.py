"""Symbols in any notation."""

from __future__ import annotations

import pytest

from pairs.symbols import base_currency, compact_symbol, quote_currency


@pytest.mark.parametrize(
    ("symbol", "compact", "base", "quote"),
    [
        ("BTC/USDT:USDT", "BTCUSDT", "BTC", "USDT"),
        ("btc/usdt", "BTCUSDT", "BTC", "USDT"),
        ("1000SATSUSDT", "1000SATSUSDT", "1000SATS", "USDT"),
        ("BTC-USD", "BTCUSD", "BTC", "USD"),
        ("ETHBTC", "ETHBTC", "ETH", "BTC"),
        ("EURUSDT", "EURUSDT", "EUR", "USDT"),
        ("GLD", "GLD", "GLD", None),
    ],
)
def test_base_and_quote_are_read_from_any_notation(symbol: str, compact: str, base: str, quote: str | None) -> None:
    assert (compact_symbol(symbol), base_currency(symbol), quote_currency(symbol)) == (compact, base, quote)
