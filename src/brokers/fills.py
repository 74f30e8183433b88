"""The one fill rule of backtest and simulated exchange, so that the two agree to the last digit."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

MONEY_STEP = Decimal("0.00000001")
BASIS_POINTS = Decimal(10_000)


def quantise(value: Decimal) -> Decimal:
    """To 8 decimals, halves away from zero."""
    return value.quantize(MONEY_STEP, rounding=ROUND_HALF_UP)


def as_decimal(price: float) -> Decimal:
    """The shortest decimal that reads back as the same float: the digits of the file."""
    return Decimal(repr(float(price)))


def market_fill_price(price: Decimal, sign: int, slippage_bps: Decimal) -> Decimal:
    """What a taker gets: ``price · (1 + sign · bps / 10⁴)``; ``sign`` is +1 for a buy, -1 for a sale.

    >>> market_fill_price(Decimal(100), -1, Decimal(1))
    Decimal('99.99000000')
    """
    return quantise(price * (1 + sign * slippage_bps / BASIS_POINTS))


def fee(amount: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """``|amount| · price · rate``, positive when paid; ``rate`` as a fraction of notional."""
    return quantise(abs(amount) * price * rate)
