"""A market's rules and the request limits, as both dialects publish them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.desk.limits import Limits
from brokers.desk.params import plain
from ccxt_bt_bridge.words import Market

LARGEST_AMOUNT = Decimal(1_000_000)


def price_filter(market: Market) -> dict[str, Any]:
    tick = plain(market.price_tick)
    return {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick}


def lot_size(market: Market) -> dict[str, str]:
    largest = plain(market.max_amount or LARGEST_AMOUNT)
    return {"minQty": plain(market.min_amount), "maxQty": largest, "stepSize": plain(market.amount_step)}


def decimals(step: Decimal) -> int:
    """Digits after the point: ``0.010`` → 2."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def rate_limits(limits: Limits) -> list[dict[str, Any]]:
    rows = [
        ("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute),
        ("ORDERS", "SECOND", 10, limits.orders_per_10s),
        ("ORDERS", "MINUTE", 1, limits.orders_per_minute),
    ]
    return [{"rateLimitType": kind, "interval": unit, "intervalNum": n, "limit": most} for kind, unit, n, most in rows]
