"""The exchange's account in memory: one wallet, netted positions, exact in Decimal.

``initial - Σ signed amount · price - Σ fees + Σ funding == wallet - Σ position cost`` holds to the last digit at every
moment: a position keeps its *cost*, and its average entry is derived.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from brokers.fills import quantise
from ccxt_bt_bridge.words import Fill, FundingPayment, PositionReport

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Position:
    """``amount`` signed; ``cost`` = what the amount was bought for, signed like it."""

    symbol: str
    amount: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal:
        return quantise(self.cost / self.amount) if self.amount else ZERO

    def after(self, amount: Decimal, price: Decimal) -> tuple[Position, Decimal]:
        """The position after a trade of signed ``amount``, and the profit it realised."""
        closed = self._closed_by(amount)
        released = (
            self.cost if closed == -self.amount else quantise(-self.cost * closed / self.amount) if closed else ZERO
        )
        realised = -closed * price - released
        opened = amount - closed
        return Position(self.symbol, self.amount + amount, self.cost - released + opened * price), realised

    def _closed_by(self, amount: Decimal) -> Decimal:
        """The part of a trade that works against the position, signed like the trade."""
        if self.amount * amount >= 0:
            return ZERO
        return min(abs(amount), abs(self.amount)).copy_sign(amount)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums since the account was opened. ``fees`` positive when paid, ``funding`` positive when received."""

    initial: Decimal
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def wallet(self) -> Decimal:
        return self.initial + self.realised - self.fees + self.funding


class Ledger:
    """Positions and totals; changed by fills and funding alone."""

    def __init__(self, totals: Totals, positions: Iterable[Position] = ()) -> None:
        self.totals = totals
        self._positions = {position.symbol: position for position in positions if position.amount}

    @property
    def wallet(self) -> Decimal:
        return self.totals.wallet

    @property
    def positions(self) -> tuple[Position, ...]:
        """Open positions by symbol."""
        return tuple(self._positions[symbol] for symbol in sorted(self._positions))

    def position(self, symbol: str) -> Position:
        return self._positions.get(symbol, Position(symbol))

    def amount(self, symbol: str) -> Decimal:
        held = self._positions.get(symbol)
        return ZERO if held is None else held.amount

    def apply_fill(self, fill: Fill) -> Position:
        """Book a trade; returns the position it left."""
        position, realised = self.position(fill.symbol).after(fill.signed_amount, fill.price)
        self._positions[fill.symbol] = position
        if not position.amount:
            del self._positions[fill.symbol]
        was = self.totals
        self.totals = Totals(was.initial, was.realised + realised, was.fees + fill.fee, was.funding)
        return position

    def apply_funding(self, payment: FundingPayment) -> None:
        was = self.totals
        self.totals = Totals(was.initial, was.realised, was.fees, was.funding + payment.amount)

    def report(self) -> tuple[PositionReport, ...]:
        return tuple(PositionReport(one.symbol, one.amount, one.entry_price) for one in self.positions)
