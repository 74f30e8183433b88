"""Fees in the quote currency, whatever coin the exchange took them in."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal

from ccxt_bt_bridge.errors import BridgeError
from ccxt_bt_bridge.words import Market

log = logging.getLogger(__name__)

PriceOf = Callable[[str, str], Awaitable[Decimal]]


class FeeBook:
    """``price_of(coin, quote)`` asks for a price; it is asked once per coin, since a fee in BNB is a small thing."""

    def __init__(self, price_of: PriceOf) -> None:
        self._price_of = price_of
        self._prices: dict[tuple[str, str], Decimal] = {}

    def convert(
        self, commission: Decimal, asset: str, price: Decimal, amount: Decimal, market: Market
    ) -> tuple[Decimal, Decimal]:
        """The fee in quote currency, and the part of it that was taken in the base currency, in base units.

        A coin whose price is not known yet: the market's taker fee instead, which is told in the log.
        """
        if asset in (market.quote, "") or commission == 0:
            return commission, Decimal(0)
        if asset == market.base:
            return commission * price, commission
        known = self._prices.get((asset, market.quote))
        if known is None:
            log.warning("fee_estimated symbol=%s asset=%s commission=%s", market.symbol, asset, commission)
            return amount * price * market.taker_fee, Decimal(0)
        return commission * known, Decimal(0)

    def is_known(self, asset: str, market: Market) -> bool:
        return asset in ("", market.quote, market.base) or (asset, market.quote) in self._prices

    async def learn(self, asset: str, market: Market) -> None:
        """Ask for the coin's price, if it is needed. Stays unknown when there is no answer."""
        if self.is_known(asset, market):
            return
        try:
            self._prices[(asset, market.quote)] = await self._price_of(asset, market.quote)
        except BridgeError as error:
            log.warning("fee_price_unknown asset=%s reason=%r", asset, str(error))
