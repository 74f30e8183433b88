"""A market's rules, exact, from the exchange's own filters."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.errors import MarketClosed, NotSupported
from ccxt_bt_bridge.words import Market

ZERO = Decimal(0)


def market_from(raw: dict[str, Any], *, kind: str, symbol: str) -> Market:
    """From ccxt's market. Raises ``NotSupported`` where the exchange states no price or amount step."""
    info = raw.get("info") or {}
    filters = {f["filterType"]: f for f in info.get("filters", [])} if isinstance(info, dict) else {}
    return _from_filters(raw, filters, kind, symbol) if filters else _from_unified(raw, kind, symbol)


def require_open(markets: Iterable[Market]) -> None:
    """Raises ``MarketClosed`` that names those which do not trade: neither a bar nor a fill would ever come."""
    closed = [market.symbol for market in markets if not market.is_open]
    if closed:
        raise MarketClosed(
            f"the exchange lists {', '.join(closed)}, but nothing trades there (halted, delisted, or the market is "
            "over): wait until it does, or leave what is closed out"
        )


def _from_filters(raw: dict[str, Any], filters: dict[str, dict[str, Any]], kind: str, symbol: str) -> Market:
    """One rule for market and limit orders: the stricter of the two lots."""
    lots = [filters[name] for name in ("LOT_SIZE", "MARKET_LOT_SIZE") if name in filters]
    most = [_number(lot, "maxQty") for lot in lots if _number(lot, "maxQty")]
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    return Market(
        symbol=symbol,
        quote=raw["quote"],
        kind=kind,
        price_tick=_number(filters["PRICE_FILTER"], "tickSize"),
        amount_step=max(_number(lot, "stepSize") for lot in lots),
        min_amount=max(_number(lot, "minQty") for lot in lots),
        min_notional=_number(notional, "notional") or _number(notional, "minNotional"),
        taker_fee=_fraction(raw.get("taker")) or ZERO,
        maker_fee=_fraction(raw.get("maker")),
        base=raw["base"],
        max_amount=min(most) if most else None,
        is_open=raw["info"].get("status") == "TRADING",
    )


def _from_unified(raw: dict[str, Any], kind: str, symbol: str) -> Market:
    """Of any exchange; amounts in base units even where it counts in contracts."""
    size, precision, limits = _contract_size(raw), raw["precision"], raw["limits"]
    tick, step = _fraction(precision.get("price")), _fraction(precision.get("amount"))
    if not tick or not step:
        raise NotSupported(f"{symbol}: the exchange states no price or amount step; nothing can be ordered there")
    least, most = _fraction(limits["amount"].get("min")), _fraction(limits["amount"].get("max"))
    return Market(
        symbol=symbol,
        quote=raw["quote"],
        kind=kind,
        price_tick=tick,
        amount_step=step * size,
        min_amount=(least or step) * size,
        min_notional=_fraction(limits["cost"].get("min")) or ZERO,
        taker_fee=_fraction(raw.get("taker")) or ZERO,
        maker_fee=_fraction(raw.get("maker")),
        base=raw["base"],
        max_amount=most * size if most else None,
        is_open=raw.get("active") is not False,
    )


def _contract_size(raw: dict[str, Any]) -> Decimal:
    return (_fraction(raw.get("contractSize")) or Decimal(1)) if raw.get("contract") else Decimal(1)


def _number(row: dict[str, Any], name: str) -> Decimal:
    return Decimal(str(row.get(name, 0)))


def _fraction(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))
