"""The bridge's words: what crosses between an exchange and Backtrader. Frozen values, no I/O.

Prices and amounts at the venue are ``Decimal``; bars are floats (statistics). Times are integer milliseconds UTC, and
a bar's time is its *close* (the exchange's open time plus the interval).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from enum import Enum

BINANCE_IDS = {"usdm": "binanceusdm", "spot": "binance"}  # ccxt's name of each kind of Binance market


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar. ``time_ms`` is the close boundary."""

    symbol: str
    time_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """The price a market order would meet now, and when it was last known to be true."""

    symbol: str
    price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class Market:
    """One symbol's rules. ``amount_step`` and ``price_tick`` in base and quote units; fees as fractions.

    ``is_open`` False: the venue lists it, but it does not trade (halted, delisting). ``max_amount`` None: no limit.
    """

    symbol: str
    quote: str
    kind: str  # "usdm" or "spot"
    price_tick: Decimal
    amount_step: Decimal
    min_amount: Decimal
    min_notional: Decimal
    taker_fee: Decimal
    base: str = ""
    maker_fee: Decimal | None = None
    max_amount: Decimal | None = None
    is_open: bool = True

    def round_amount(self, amount: Decimal) -> Decimal:
        """Toward zero onto the step; keeps the sign."""
        steps = (abs(amount) / self.amount_step).to_integral_value(rounding=ROUND_DOWN)
        return (steps * self.amount_step).copy_sign(amount)

    def shortfall(self, amount: Decimal, price: Decimal) -> str | None:
        """Why the venue would refuse this size, or None."""
        if abs(amount) < self.min_amount:
            return f"{self.symbol}: amount {abs(amount)} is under the minimum {self.min_amount}"
        if abs(amount) * price < self.min_notional:
            return f"{self.symbol}: notional {abs(amount) * price:.2f} is under the minimum {self.min_notional}"
        return None


class Side(Enum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class OrderStatus(Enum):
    """ccxt's unified words."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_done(self) -> bool:
        return self is not OrderStatus.OPEN


ORDER_TYPES = ("market", "limit", "stop", "stop_limit")
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "PO")


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as it will be sent. ``amount`` is positive; ``group`` is the caller's reference and ``closes`` its word
    that this leaves less of what it holds, though another holder may stand against it in the account. Neither is sent.

    ``type``: one of ``ORDER_TYPES``; a stop becomes a market order, a stop_limit a limit order at ``price``, once the
    market trades at ``trigger_price`` or beyond (above for a buy, below for a sell). ``time_in_force`` counts for
    limit orders; PO is post-only.
    """

    client_order_id: str
    symbol: str
    side: Side
    amount: Decimal
    type: str = "market"
    price: Decimal | None = None
    reduce_only: bool = False
    group: str | None = None
    trigger_price: Decimal | None = None
    time_in_force: str = "GTC"
    closes: bool = False

    @property
    def signed_amount(self) -> Decimal:
        return self.amount * self.side.sign


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the exchange sees it."""

    client_order_id: str
    order_id: str
    symbol: str
    side: Side
    status: OrderStatus
    amount: Decimal
    filled: Decimal
    average: Decimal | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of ours. ``fee`` in quote currency, positive when paid.

    ``base_fee``: the part of the fee that was taken in the base currency, in base units (spot purchases); it is inside
    ``fee`` at the fill's price, and missing from what was received.
    """

    trade_id: str
    order_id: str
    client_order_id: str
    symbol: str
    side: Side
    amount: Decimal
    price: Decimal
    fee: Decimal
    time_ms: int
    base_fee: Decimal = Decimal(0)

    @property
    def signed_amount(self) -> Decimal:
        return self.amount * self.side.sign

    @property
    def position_change(self) -> Decimal:
        """What the holding changes by: the signed amount less a fee taken in the base currency."""
        return self.signed_amount - self.base_fee


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """``amount``: change of the wallet (negative when paid). ``rate`` as a fraction, positive when longs pay."""

    payment_id: str
    symbol: str
    amount: Decimal
    rate: Decimal
    mark_price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class PositionReport:
    symbol: str
    amount: Decimal
    entry_price: Decimal


@dataclass(frozen=True, slots=True)
class Margin:
    """Quote currency, as the exchange marks it: the account's equity, and below which it liquidates."""

    balance: Decimal
    maintenance: Decimal


@dataclass(frozen=True, slots=True)
class Account:
    """``wallet``: settled cash in quote currency, without unrealised profit. On spot a holding is a position.

    ``free``: what new orders may use; it and ``margin`` are None where the exchange does not say.
    """

    time_ms: int
    wallet: Decimal
    positions: tuple[PositionReport, ...]
    free: Decimal | None = None
    margin: Margin | None = None

    def amount(self, symbol: str) -> Decimal:
        return self.amounts().get(symbol, Decimal(0))

    def amounts(self) -> dict[str, Decimal]:
        """By symbol, of those that are held; in hedge mode what the sides come to."""
        held: dict[str, Decimal] = {}
        for position in self.positions:
            before = held.get(position.symbol)
            held[position.symbol] = position.amount if before is None else before + position.amount
        return held


@dataclass(frozen=True, slots=True)
class Connection:
    """A stream went down or came back. ``stream``: "market" or "user"; ``reason`` in words, empty when it is up.

    When a user stream comes back, what it missed has been asked for and told before this is.
    """

    stream: str
    is_up: bool
    time_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KeyPermissions:
    """What an API key may do; None where the exchange does not say."""

    may_trade: bool | None
    may_withdraw: bool | None
    may_transfer: bool | None
    ip_restricted: bool | None


@dataclass(frozen=True, slots=True)
class SymbolSettings:
    """``margin_mode``: "cross" or "isolated"."""

    symbol: str
    margin_mode: str
    leverage: Decimal


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """``position_mode``: "one_way" or "hedge". Spot accounts are one_way without symbols."""

    position_mode: str
    symbols: tuple[SymbolSettings, ...]


# Outcomes. An exception class never decides whether an order exists: only these do.


@dataclass(frozen=True, slots=True)
class Placed:
    report: OrderReport


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """The exchange proved that nothing was placed."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It may or may not have happened. Ask; never send again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    report: OrderReport


@dataclass(frozen=True, slots=True)
class NotCancelled:
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    report: OrderReport


@dataclass(frozen=True, slots=True)
class Absent:
    """The exchange does not know it, and the horizon after which it would is past."""


@dataclass(frozen=True, slots=True)
class Unknown:
    reason: str


CreateOutcome = Placed | NotPlaced | Ambiguous
CancelOutcome = Cancelled | NotCancelled | Ambiguous
LookupOutcome = Found | Absent | Unknown
UserEvent = OrderReport | Fill | FundingPayment | Account | Connection
