"""What the market says about a pair order's legs now: prices, and which of them trade."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from enum import Enum, auto

from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketClosed, MarketHalted
from ccxt_bt_bridge.port import MarketPort
from pairs.words import LegOrder, PairOrder

QUOTE_LIMIT_S = 5.0
PRICE_PATIENCE_S = 0.5


class Trading(Enum):
    """What the exchange says of a symbol. No answer is none of the others: orders may work all the same."""

    NOW = auto()
    NOT_NOW = auto()
    NEVER_AGAIN = auto()
    SILENT = auto()


class Quotes:
    """No question raises, and none takes longer than ``QUOTE_LIMIT_S``: what cannot be known by then is None.

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

    async def price(self, symbol: str, *, within_s: float = QUOTE_LIMIT_S) -> Decimal | None:
        try:
            return await self._ask(symbol, within_s)
        except (ExchangeUnreachable, TimeoutError):
            return None

    async def price_soon(self, symbol: str) -> Decimal | None:
        """For the statistics, and for which leg goes first: no order waits long for it."""
        return await self.price(symbol, within_s=PRICE_PATIENCE_S)

    async def without_quote(self, order: PairOrder) -> list[str]:
        symbols = [leg.symbol for leg in order.legs]
        prices = await asyncio.gather(*map(self.price, symbols))
        return [symbol for symbol, price in zip(symbols, prices, strict=True) if price is None]

    async def trading(self, order: PairOrder) -> dict[str, Trading]:
        """Of each leg, by symbol."""
        symbols = [leg.symbol for leg in order.legs]
        return dict(zip(symbols, await asyncio.gather(*map(self._trading, symbols)), strict=True))

    async def less_liquid_first(self, order: PairOrder) -> tuple[LegOrder, ...]:
        """The less liquid leg first (one without a price now is the least); ``leg_a`` when nothing is known."""
        legs = self.by_liquidity(order.legs)
        prices = await asyncio.gather(*(self.price_soon(leg.symbol) for leg in legs))
        has_price = {leg.symbol: price is not None for leg, price in zip(legs, prices, strict=True)}
        return tuple(sorted(legs, key=lambda leg: has_price[leg.symbol]))

    def by_liquidity(self, legs: tuple[LegOrder, ...]) -> tuple[LegOrder, ...]:
        """The less liquid first, by what was traded in the last bar."""
        return tuple(sorted(legs, key=lambda leg: self._traded_value.get(leg.symbol, 0.0)))

    async def _trading(self, symbol: str) -> Trading:
        try:
            await self._ask(symbol, QUOTE_LIMIT_S)
        except MarketClosed:
            return Trading.NEVER_AGAIN
        except MarketHalted:
            return Trading.NOT_NOW
        except (ExchangeUnreachable, TimeoutError):
            return Trading.SILENT
        return Trading.NOW

    async def _ask(self, symbol: str, within_s: float) -> Decimal:
        """Raises ``ExchangeUnreachable``, and ``TimeoutError`` when there is no answer."""
        async with asyncio.timeout(within_s):
            self.last[symbol] = price = (await self._market.quote(symbol)).price
        return price
