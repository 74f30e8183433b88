"""Rules for the small market of ``desks``."""

from __future__ import annotations

from decimal import Decimal

from brokers.market_rules import markets_for
from ccxt_bt_bridge.words import Market


def spot_rules() -> dict[str, Market]:
    prices = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}
    return markets_for(prices, prices, kind="spot", taker_fee=Decimal("0.001"))
