"""How much of an order the market takes, and at which prices."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from brokers.fills import BASIS_POINTS, market_fill_price, quantise
from brokers.simulated.ledger import ZERO
from brokers.simulated.matching import Touch
from ccxt_bt_bridge.words import Market, Side

LEVELS = 20
LEVEL_BPS = Decimal(1)


@dataclass(frozen=True, slots=True)
class Part:
    """One trade to be."""

    price: Decimal
    amount: Decimal


class Liquidity:
    """``max_volume_share``: of a bar's volume, for all our orders together. ``book_depth``: quote currency a level.

    The book is made from the price: ``LEVELS`` levels a basis point apart, beyond the slippage. Both None: endless.
    """

    def __init__(
        self, *, slippage_bps: Decimal, max_volume_share: Decimal | None = None, book_depth: Decimal | None = None
    ) -> None:
        self._slippage_bps, self._share, self._depth = slippage_bps, max_volume_share, book_depth
        self._left: dict[str, Decimal] = {}

    def refresh(self, symbol: str, volume: float) -> None:
        """A bar of this volume has closed: so much again may be traded against it, and in the next one."""
        if self._share is not None:
            self._left[symbol] = Decimal(repr(volume)) * self._share

    def book(self, market: Market, price: Decimal) -> tuple[list[Part], list[Part]]:
        """Bids and asks, the best first."""
        return self._levels(market, price, Side.SELL), self._levels(market, price, Side.BUY)

    def parts(self, market: Market, side: Side, touch: Touch, amount: Decimal) -> list[Part]:
        """What trades now; less than ``amount`` where the volume, the book or the limit ends."""
        amount = self._within_volume(market, amount)
        offers = [Part(touch.price, amount)] if touch.is_maker else self._offers(market, side, touch, amount)
        parts = []
        for offer in offers:
            taken = min(offer.amount, amount)
            if taken <= 0:
                break
            parts.append(Part(_no_worse(offer.price, touch.worst, side), taken))
            amount -= taken
        return parts

    def unlimited(self, side: Side, price: Decimal, amount: Decimal) -> list[Part]:
        """What the exchange closes by itself trades whole."""
        return [Part(market_fill_price(price, side.sign, self._slippage_bps), amount)]

    def consume(self, symbol: str, amount: Decimal) -> None:
        """So much of the bar's volume is used up."""
        if symbol in self._left:
            self._left[symbol] -= amount

    def _within_volume(self, market: Market, amount: Decimal) -> Decimal:
        if self._share is None:
            return amount
        return market.round_amount(min(amount, max(self._left.get(market.symbol, ZERO), ZERO)))

    def _offers(self, market: Market, side: Side, touch: Touch, amount: Decimal) -> list[Part]:
        if self._depth is None:
            return [Part(market_fill_price(touch.price, side.sign, self._slippage_bps), amount)]
        levels = self._levels(market, touch.price, side)
        return [one for at, one in enumerate(levels) if not at or not _is_worse(one.price, touch.worst, side)]

    def _levels(self, market: Market, price: Decimal, side: Side) -> list[Part]:
        """What stands against an order of this side."""
        first = market_fill_price(price, side.sign, self._slippage_bps)
        depth = self._depth if self._depth is not None else market.min_notional * 1000
        prices = (quantise(first * (1 + side.sign * at * LEVEL_BPS / BASIS_POINTS)) for at in range(LEVELS))
        return [Part(one, max(market.round_amount(depth / one), market.amount_step)) for one in prices if one > 0]


def _is_worse(price: Decimal, worst: Decimal | None, side: Side) -> bool:
    return worst is not None and (price - worst) * side.sign > 0


def _no_worse(price: Decimal, worst: Decimal | None, side: Side) -> Decimal:
    return worst if worst is not None and _is_worse(price, worst, side) else price
