"""When an order meets the market, and at which price: pure functions of an order and a price or a closed bar.

Of a forming bar only its open is known; its range is known once it closed. A resting limit order fills at its price,
a stop triggers at its trigger price, and what the market opened beyond fills at the open.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from brokers.fills import as_decimal
from brokers.simulated.orders import LIMITS, Order
from ccxt_bt_bridge.words import Bar, OrderRequest, Side


@dataclass(frozen=True, slots=True)
class Range:
    """What a closed bar showed."""

    open: Decimal
    high: Decimal
    low: Decimal

    @classmethod
    def of(cls, bar: Bar) -> Range:
        return cls(*map(as_decimal, (bar.open, bar.high, bar.low)))


@dataclass(frozen=True, slots=True)
class Touch:
    """The market has reached an order. ``worst``: the limit that no fill may pass, None without one."""

    price: Decimal
    is_maker: bool
    worst: Decimal | None = None


def is_marketable(request: OrderRequest, price: Decimal) -> bool:
    """True when a limit order would trade at ``price``."""
    assert request.price is not None
    return price <= request.price if request.side is Side.BUY else price >= request.price


def is_triggering(request: OrderRequest, price: Decimal) -> bool:
    """True when ``price`` sets a stop off: at the trigger price or beyond."""
    assert request.trigger_price is not None
    return price >= request.trigger_price if request.side is Side.BUY else price <= request.trigger_price


def touch_at_price(order: Order, price: Decimal, *, has_rested: bool) -> Touch | None:
    """An order and the price now. Marks a stop as triggered; a stop that was just triggered takes."""
    request = order.request
    if order.waits_for_trigger:
        if not is_triggering(request, price):
            return None
        order.is_triggered, has_rested = True, False
    if request.type not in LIMITS:
        return Touch(price, is_maker=False)
    return Touch(price, has_rested, request.price) if is_marketable(request, price) else None


def touch_in_bar(order: Order, bar: Range) -> Touch | None:
    """A resting order and the range of a bar that closed. Marks a stop as triggered.

    Nobody knows the way the price took inside the bar, so the worse is assumed: a stop that the bar opened beyond
    trades at that open, and a stop-limit that cannot trade where it was triggered waits for the next bar.
    """
    request = order.request
    is_buy = request.side is Side.BUY
    if order.waits_for_trigger:
        if not is_triggering(request, bar.high if is_buy else bar.low):
            return None
        assert request.trigger_price is not None
        worse = max if is_buy else min
        opened_beyond = is_triggering(request, bar.open)
        price = worse(request.trigger_price, bar.open) if opened_beyond else request.trigger_price
        return touch_at_price(order, price, has_rested=False)
    if request.type not in LIMITS or not is_marketable(request, bar.low if is_buy else bar.high):
        return None
    assert request.price is not None
    price = bar.open if is_marketable(request, bar.open) else request.price
    return Touch(price, is_maker=True, worst=request.price)


def in_the_order_of_harm(orders: list[Order]) -> list[Order]:
    """Stops first: when one bar reaches a stop and a limit order, the stop is taken to have come first."""
    return sorted(orders, key=lambda order: (not order.waits_for_trigger, order.order_id))
