"""Numbers and trades in words, for notices. Money in the quote currency, times UTC."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from ccxt_bt_bridge.words import Fill
from pairs.words import Direction, PairOrder, PairPosition
from trading.records import LegRecord, TradeRecord

Rows = tuple[tuple[str, str], ...]


def money(amount: Decimal | float, quote: str = "") -> str:
    """``+12.30 USDT``: with its sign."""
    return f"{amount:+,.2f} {quote}".rstrip()


def sum_of_money(amount: Decimal | float, quote: str = "") -> str:
    """``1,234.50 USDT``: a sum, without a sign."""
    return f"{amount:,.2f} {quote}".rstrip()


def exact(number: Decimal) -> str:
    """All its digits, no exponent, no idle zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def z_text(zscore: float | None) -> str:
    return "unknown" if zscore is None or not math.isfinite(zscore) else f"{zscore:+.2f}"


def duration(span: timedelta) -> str:
    """``3 d 4 h``, ``4 h 10 min``, ``10 min``, ``12 s``."""
    seconds = int(span.total_seconds())
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def minute(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def entry_rows(order: PairOrder, position: PairPosition, fills: Iterable[Fill] | None, quote: str) -> Rows:
    """Of a pair that is open now. ``fills``: those of its entry, None where they cannot be known just now."""
    fees = "unknown" if fills is None else money(-sum((fill.fee for fill in fills), Decimal(0)), quote)
    statistics = order.statistics
    rows = [("Direction", _direction(order.direction, [leg.symbol for leg in position.legs]))]
    rows.append(("z", z_text(order.zscore)))
    rows += [(leg.symbol, f"{_signed(leg.quantity)} at {exact(leg.entry_price)}") for leg in position.legs]
    rows += [("Gross", sum_of_money(position.gross_notional, quote)), ("Fees", fees)]
    if statistics is not None:
        rows.append(("Hedge ratio", f"{statistics.hedge_ratio:.4g}"))
    if order.half_life_bars is not None:
        rows.append(("Half-life", f"{order.half_life_bars:.3g} bars"))
    return (*rows, ("Reason", order.reason), ("Decided", minute(order.decided_at)))


def exit_rows(trade: TradeRecord, quote: str) -> Rows:
    """Of a round trip: what it made, and of what."""
    return (
        ("Profit", money(trade.pnl, quote)),
        ("of price", money(trade.pnl_price, quote)),
        ("of fees", money(trade.pnl_fees, quote)),
        ("of funding", money(trade.pnl_funding, quote)),
        ("Legging cost", f"{money(trade.legging_cost, quote)} (within price)"),
        ("Direction", _direction(Direction[trade.direction.upper()], [leg.symbol for leg in trade.legs])),
        ("z", f"{z_text(trade.entry_z)} to {z_text(trade.exit_z)}"),
        *((leg.symbol, _leg(leg)) for leg in trade.legs),
        ("Held", duration(trade.exit_time - trade.entry_time)),
        ("Reason", trade.exit_reason),
    )


def _direction(direction: Direction, symbols: list[str]) -> str:
    """``long: buy ETHUSDT, sell BTCUSDT``."""
    verbs = ("buy", "sell") if direction is Direction.LONG else ("sell", "buy")
    deeds = ", ".join(f"{verb} {symbol}" for verb, symbol in zip(verbs, symbols, strict=False))
    return f"{direction.word}: {deeds}"


def _leg(leg: LegRecord) -> str:
    left = "?" if leg.exit_price is None else exact(leg.exit_price)
    return f"{_signed(leg.quantity)}, {exact(leg.entry_price)} to {left}"


def _signed(quantity: Decimal) -> str:
    return f"{'+' if quantity > 0 else ''}{exact(quantity)}"
