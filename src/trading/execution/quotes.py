"""What the market says about a pair order's legs now: prices, and which of them trade."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketClosed
from ccxt_bt_bridge.port import MarketPort
from pairs.words import LegOrder, PairOrder

PRICE_PATIENCE_S = 0.5


class Quotes:
    """No question raises: what cannot be known is None, or not among what is answered.

    ``last``: the last price that was answered or noted, by symbol, however long ago.
    """

    def __init__(self, market: MarketPort) -> None:
        self._market = market
        self._traded_value: dict[str, float] = {}
        self.last: dict[str, Decimal] = {}

    def note_liquidity(self, symbol: str, traded_value: float) -> None:
        """Quote currency traded in the last bar: decides which leg goes first."""
        self._traded_value[symbol] = traded_value

    def note_price(self, symbol: str, price: Decimal) -> None:
        """Of an earlier process: until the market answers."""
        self.last.setdefault(symbol, price)

    async def price(self, symbol: str) -> Decimal | None:
        try:
            self.last[symbol] = price = (await self._market.quote(symbol)).price
        except ExchangeUnreachable:
            return None
        return price

    async def price_soon(self, symbol: str) -> Decimal | None:
        """For the statistics: no order waits long for it."""
        try:
            async with asyncio.timeout(PRICE_PATIENCE_S):
                return await self.price(symbol)
        except TimeoutError:
            return None

    async def without_quote(self, order: PairOrder) -> list[str]:
        symbols = [leg.symbol for leg in order.legs]
        prices = await asyncio.gather(*map(self.price, symbols))
        return [symbol for symbol, price in zip(symbols, prices, strict=True) if price is None]

    async def closed_for_good(self, order: PairOrder) -> list[str]:
        closed = []
        for leg in order.legs:
            try:
                await self._market.quote(leg.symbol)
            except MarketClosed:
                closed.append(leg.symbol)
            except ExchangeUnreachable:
                continue
        return closed

    async def less_liquid_first(self, order: PairOrder) -> tuple[LegOrder, ...]:
        """The less liquid leg first (one that does not trade now is the least); ``leg_a`` when nothing is known."""
        halted = await self.without_quote(order)
        return tuple(sorted(self.by_liquidity(order.legs), key=lambda leg: leg.symbol not in halted))

    def by_liquidity(self, legs: tuple[LegOrder, ...]) -> tuple[LegOrder, ...]:
        """The less liquid first, by what was traded in the last bar."""
        return tuple(sorted(legs, key=lambda leg: self._traded_value.get(leg.symbol, 0.0)))
