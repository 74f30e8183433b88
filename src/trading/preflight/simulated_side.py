"""The public side of the simulated exchange, as it is when the warm-up is over."""

from __future__ import annotations

import difflib

from brokers.simulated.source import RecordedTape
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown
from ccxt_bt_bridge.words import Bar, Market, Quote
from trading.market_input import MarketInput


class SimulatedSide:
    """A ``PublicSide`` on recorded or made-up bars."""

    def __init__(self, market: MarketInput) -> None:
        self._market = market
        self._tape = RecordedTape(market.source, market.source.start_ms(market.warmup_bars))

    def market_of(self, symbol: str) -> Market:
        rules = self._market.rules
        if symbol not in rules:
            near = difflib.get_close_matches(symbol, rules, n=3)
            raise MarketUnknown(f"this market has no {symbol}; it has {', '.join(near or rules)}")
        return rules[symbol]

    async def quote(self, symbol: str) -> Quote:
        price = self._tape.price(symbol) or self._tape.last_close(symbol)
        if price is None:
            raise ExchangeUnreachable(f"{symbol} has no price yet when the warm-up is over")
        return Quote(symbol, price, self._tape.time_ms)

    async def history(self, symbol: str, limit: int) -> list[Bar]:
        return self._tape.klines(symbol, limit=limit)

    async def clock_offset_ms(self) -> int | None:
        return None

    def request_weight(self) -> tuple[int, int] | None:
        return None

    def lacks(self) -> tuple[str, ...]:
        return ()
