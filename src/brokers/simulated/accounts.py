"""What the venue asks of an account, whatever its kind, and what an account may know of the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from brokers.simulated.orders import Order
from brokers.simulated.views import Balance, PositionView
from ccxt_bt_bridge.words import Account, Fill, FundingPayment, NotPlaced, OrderRequest, Side


class Prices(Protocol):
    """Prices that are known now; None where there never was one."""

    def valuation(self, symbol: str) -> Decimal | None:
        """The price now, else the last close."""

    def mark(self, symbol: str) -> Decimal | None:
        """What margins are reckoned at: the last close, before the first the price now."""


@dataclass(frozen=True, slots=True)
class Charge:
    """``fee`` in quote currency; ``base_fee``: the part of it that was taken in base units."""

    fee: Decimal
    base_fee: Decimal


class TradingAccount(Protocol):
    """Balances and positions of one kind of market. Changes are saved inside the venue's transaction."""

    def amount(self, symbol: str) -> Decimal:
        """The position (futures, signed) or the base holding (spot)."""

    def refusal(self, request: OrderRequest, price: Decimal, open_orders: Sequence[Order]) -> NotPlaced | None:
        """Why there is not enough money for the order, None when there is."""

    def affordable(self, order: Order, amount: Decimal, price: Decimal, open_orders: Sequence[Order]) -> Decimal:
        """The part of ``amount`` that can be paid at ``price``."""

    def charge(self, side: Side, amount: Decimal, price: Decimal, rate: Decimal) -> Charge: ...

    def apply_fill(self, fill: Fill) -> None: ...

    def apply_funding(self, payment: FundingPayment) -> None: ...

    def overdrawn(self) -> list[str]:
        """Symbols whose positions the exchange closes now."""

    def report(self, now_ms: int, open_orders: Sequence[Order]) -> Account: ...

    def balances(self, open_orders: Sequence[Order]) -> tuple[Balance, ...]: ...

    def positions(self) -> tuple[PositionView, ...]:
        """Open positions by symbol; none on spot."""

    def position(self, symbol: str) -> PositionView: ...
