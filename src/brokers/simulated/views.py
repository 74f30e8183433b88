"""What the simulated exchange shows of itself to a server in front of it: frozen values, amounts in Decimal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of the account. ``total`` = ``free`` + ``locked`` on spot.

    Futures: ``total`` is the settled wallet, ``free`` what new orders may use (unrealised profit counts), ``locked``
    the initial margin of positions and open orders.
    """

    asset: str
    total: Decimal
    free: Decimal
    locked: Decimal


@dataclass(frozen=True, slots=True)
class PositionView:
    """One symbol's position and what follows from it at the mark price; ``amount`` signed, 0 when there is none.

    Margins and ``unrealised`` in quote currency. ``liquidation_price`` 0: no price liquidates it by itself.
    """

    symbol: str
    amount: Decimal
    entry_price: Decimal
    mark_price: Decimal
    margin_mode: str
    leverage: Decimal
    unrealised: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    liquidation_price: Decimal

    @property
    def notional(self) -> Decimal:
        return self.amount * self.mark_price


@dataclass(frozen=True, slots=True)
class NextFunding:
    """``rate`` as a fraction, positive when longs pay; ``time_ms`` 0 and a rate of 0 when none is due any more."""

    rate: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class FormingBar:
    """The bar that is open now: no more of it is known than its open."""

    symbol: str
    open_ms: int
    close_ms: int
    open: Decimal
