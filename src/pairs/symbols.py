"""Symbol notations: ``BTC/USDT``, ``BTC/USDT:USDT`` and ``BTCUSDT`` all mean the compact ``BTCUSDT``."""

from __future__ import annotations

QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "BTC", "ETH", "BNB")


def compact_symbol(symbol: str) -> str:
    """The compact notation, upper case: ``btc/usdt:usdt`` → ``BTCUSDT``."""
    return symbol.split(":", 1)[0].replace("/", "").replace("-", "").upper()


def quote_currency(symbol: str) -> str | None:
    """The quote currency of any notation, None when a compact symbol ends in none that is known."""
    market = symbol.split(":", 1)[0].upper()
    if "/" in market:
        return market.split("/", 1)[1] or None
    return next((quote for quote in QUOTES if market.endswith(quote) and len(market) > len(quote)), None)


def base_currency(symbol: str) -> str:
    """What is traded: ``BTC/USDT:USDT`` and ``BTCUSDT`` → ``BTC``; a symbol without a known quote is its own base."""
    market = symbol.split(":", 1)[0].upper()
    quote = quote_currency(market)
    return market.removesuffix(quote or "").rstrip("/-")
