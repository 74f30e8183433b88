"""From a Backtrader order to the one request that will be sent, in decimals on the venue's steps, or why not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from ccxt_bt_bridge.broker import DUST, OrderTicket
from ccxt_bt_bridge.words import TIMES_IN_FORCE, Market, OrderRequest, Side


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was sent, because of ``reason``."""

    reason: str


def request_for(
    ticket: OrderTicket, client_order_id: str, *, market: Market | None, last_price: Decimal | None
) -> OrderRequest | Refused:
    """``market``: the symbol's rules; ``last_price`` values orders without a price of their own, None: unknown.

    The caller of ``buy`` and ``sell`` may pass ``reduce_only=True`` and ``time_in_force="IOC"`` along.
    """
    if market is None:
        return Refused(f"the exchange does not list {ticket.symbol}")
    time_in_force = str(ticket.info.get("time_in_force", "GTC"))
    if time_in_force not in TIMES_IN_FORCE:
        return Refused(f"time_in_force {time_in_force!r} is unknown; use one of {', '.join(TIMES_IN_FORCE)}")
    request = OrderRequest(
        client_order_id,
        ticket.symbol,
        Side.BUY if ticket.amount > 0 else Side.SELL,
        _on_step(abs(ticket.amount), market),
        type=ticket.terms.type,
        price=_on_tick(ticket.terms.price, market),
        reduce_only=bool(ticket.info.get("reduce_only")),
        trigger_price=_on_tick(ticket.terms.trigger_price, market),
        time_in_force=time_in_force,
    )
    reason = _objection(ticket, request, market, last_price)
    return request if reason is None else Refused(reason)


def _objection(ticket: OrderTicket, request: OrderRequest, market: Market, last_price: Decimal | None) -> str | None:
    if not market.is_open:
        return f"{market.symbol} does not trade at the moment"
    if not request.amount:
        return f"{market.symbol}: size {abs(ticket.amount):g} rounds to 0 on the step {market.amount_step}"
    if market.max_amount is not None and request.amount > market.max_amount:
        return f"{market.symbol}: amount {request.amount} is over the maximum {market.max_amount}"
    price = request.price or request.trigger_price or last_price
    return None if request.reduce_only or price is None else market.shortfall(request.amount, price)


def _on_step(amount: float, market: Market) -> Decimal:
    """Down onto the step; but 0.1 + 0.2 is 0.3, and 0.3 - 0.28 is 0.02."""
    exact = _decimal(amount)
    nearest = (exact / market.amount_step).to_integral_value(rounding=ROUND_HALF_EVEN) * market.amount_step
    return nearest if math.isclose(nearest, exact, rel_tol=DUST) else market.round_amount(exact)


def _on_tick(price: float | None, market: Market) -> Decimal | None:
    if price is None:
        return None
    ticks = (_decimal(price) / market.price_tick).to_integral_value(rounding=ROUND_HALF_EVEN)
    return ticks * market.price_tick


def _decimal(number: Any) -> Decimal:
    """The shortest decimal that reads back as the same float; nothing is sent for what is not a number."""
    value = float(number)
    return Decimal(repr(value)) if math.isfinite(value) else Decimal(0)
