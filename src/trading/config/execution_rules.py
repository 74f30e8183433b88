"""What must hold of how orders are executed. Each rule runs on whatever could be read."""

from __future__ import annotations

import math
from collections.abc import Iterator

from trading.config.check import Check
from trading.config.position_json import Path
from trading.config.report import WARNING, Problem
from trading.config.sections import ORDERS_A_SLICE

ORDERS_OF_A_TRADE: Path = ("execution", "max_orders_per_trade")


def limit_orders(check: Check) -> Iterator[Problem]:
    """A first leg that waits is unhedged as soon as a part of it has filled; a backtest knows no waiting."""
    facts, source, path = check.facts, check.source, ("execution", "order_type")
    if facts.text(*path) != "limit":
        for key in ("limit_offset_bps", "limit_timeout_s", "limit_fallback"):
            if facts.given("execution", key):
                message = "has no effect: execution.order_type is market"
                yield source.problem(("execution", key), message, severity=WARNING, key=True)
        return
    waits_s, longest_s = facts.number("execution", "limit_timeout_s"), facts.number("execution", "max_unhedged_s")
    if waits_s is not None and longest_s is not None and waits_s >= longest_s:
        message = f"a leg that has partly filled would wait longer than execution.max_unhedged_s, {longest_s:g}"
        yield source.problem(("execution", "limit_timeout_s"), message, expected=f"below {longest_s:g}")
        return
    message = "a backtest fills at the next bar's open whatever the order type; live, entries may be missed or better"
    yield source.problem(path, message, severity=WARNING)


def slices(check: Check) -> Iterator[Problem]:
    """A position of the configured size is no more slices than its number of orders allows."""
    equity, size = check.equity, check.position_size
    notional, orders = check.facts.number("execution", "slice_notional"), check.facts.number(*ORDERS_OF_A_TRADE)
    if equity is None or size is None or notional is None or orders is None or notional <= 0:
        return
    wanted, most = math.ceil(equity * size / notional), max(1, int(orders) // ORDERS_A_SLICE)
    if wanted > most:
        message = (
            f"a position of {equity * size:.0f} would be {wanted} slices; execution.max_orders_per_trade allows {most}"
        )
        expected = f"at least {equity * size / most:.0f}, or more orders per trade"
        yield check.source.problem(("execution", "slice_notional"), message, expected=expected, severity=WARNING)
