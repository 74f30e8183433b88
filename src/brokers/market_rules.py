"""Trading rules for markets nobody has described: sensible by the size of the price, overridden by the config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.words import Market
from pairs.symbols import compact_symbol, quote_currency

MIN_NOTIONAL = Decimal(5)
TAKER_FEE = Decimal("0.0005")
# price from which the rule holds, price tick, amount step
BY_PRICE = (
    (10_000.0, Decimal("0.1"), Decimal("0.001")),
    (100.0, Decimal("0.01"), Decimal("0.001")),
    (10.0, Decimal("0.001"), Decimal("0.01")),
    (1.0, Decimal("0.0001"), Decimal("0.1")),
    (0.01, Decimal("0.00001"), Decimal(1)),
    (0.0, Decimal("0.0000001"), Decimal(1)),
)
DECIMAL_FIELDS = ("price_tick", "amount_step", "min_amount", "min_notional", "taker_fee")
TEXT_FIELDS = ("quote", "kind")


def tick_and_step(price: float) -> tuple[Decimal, Decimal]:
    """Price tick and amount step that suit a price."""
    return next((tick, step) for least, tick, step in BY_PRICE if price >= least)


def markets_for(
    symbols: Iterable[str],
    prices: Mapping[str, float],
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    kind: str = "usdm",
    taker_fee: Decimal = TAKER_FEE,
) -> dict[str, Market]:
    """Rules by compact symbol. ``prices``: a recent price of each; ``overrides``: ``data.market_info`` of the config.

    Raises ``ValueError`` for an override of an unknown field, or of a number that is not positive.
    """
    given = {compact_symbol(symbol): fields for symbol, fields in (overrides or {}).items()}
    by_symbol = {compact_symbol(symbol): price for symbol, price in prices.items()}
    return {
        symbol: _market(symbol, by_symbol[symbol], given.get(symbol, {}), kind=kind, taker_fee=taker_fee)
        for symbol in map(compact_symbol, symbols)
    }


def _market(symbol: str, price: float, override: Mapping[str, Any], *, kind: str, taker_fee: Decimal) -> Market:
    tick, step = tick_and_step(price)
    quote = quote_currency(symbol) or "USDT"
    fields: dict[str, Any] = {"quote": quote, "base": symbol.removesuffix(quote), "kind": kind, "taker_fee": taker_fee}
    fields |= {"price_tick": tick, "amount_step": step, "min_notional": MIN_NOTIONAL}
    fields |= {name: _value(symbol, name, value) for name, value in override.items()}
    return Market(symbol=symbol, **{"min_amount": fields["amount_step"], **fields})


def _value(symbol: str, name: str, value: Any) -> Decimal | str:
    if name in TEXT_FIELDS:
        return str(value)
    if name not in DECIMAL_FIELDS:
        known = ", ".join((*DECIMAL_FIELDS, *TEXT_FIELDS))
        raise ValueError(f"market_info of {symbol}: unknown field {name!r}; known: {known}")
    number = Decimal(str(value))
    if not number.is_finite() or number < 0 or (number == 0 and name in ("price_tick", "amount_step")):
        raise ValueError(f"market_info of {symbol}: {name} is {value!r}; expected a positive number")
    return number
