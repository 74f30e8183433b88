"""The rules by which the exchange refuses an order, in its order and with Binance's codes for each kind of market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from brokers.simulated.matching import is_marketable, is_triggering
from brokers.simulated.orders import LIMITS, STOPS
from ccxt_bt_bridge.words import ORDER_TYPES, TIMES_IN_FORCE, Market, NotPlaced, OrderRequest, Side

LONGEST_CLIENT_ID = 36
MISSING = "-1102"


@dataclass(frozen=True, slots=True)
class Codes:
    """One kind of market's codes."""

    client_id: str
    amount: str
    least_amount: str
    most_amount: str
    notional: str
    price: str
    tick: str
    trigger: str
    duplicate: str
    post_only: str


CODES = {
    "usdm": Codes("-4015", "-4003", "-4004", "-4005", "-4164", "-4001", "-4014", "-2021", "-4116", "-5022"),
    "spot": Codes("-1100", "-1013", "-1013", "-1013", "-1013", "-1013", "-1013", "-2010", "-2010", "-2010"),
}


class OrderRules:
    """What is wrong with an order by itself, at a price, or beside the open orders."""

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self._markets = dict(markets)

    def codes(self, symbol: str) -> Codes:
        return CODES[self._markets[symbol].kind]

    def refusal_of_form(self, request: OrderRequest) -> NotPlaced | None:
        """What is wrong with the request by itself."""
        market = self._markets.get(request.symbol)
        if market is None:
            return NotPlaced("-1121", f"unknown symbol {request.symbol}")
        if request.type not in ORDER_TYPES:
            return NotPlaced("-1116", f"order type {request.type!r} is unknown; known: {', '.join(ORDER_TYPES)}")
        if request.time_in_force not in TIMES_IN_FORCE:
            return NotPlaced("-1115", f"time in force {request.time_in_force!r}; known: {', '.join(TIMES_IN_FORCE)}")
        if not 0 < len(request.client_order_id) <= LONGEST_CLIENT_ID:
            return NotPlaced(CODES[market.kind].client_id, f"a client order id has 1 to {LONGEST_CLIENT_ID} characters")
        if request.reduce_only and market.kind == "spot" and request.side is Side.BUY:
            return NotPlaced("-2010", "a purchase on spot reduces nothing")
        return self._refusal_of_amount(market, request.amount) or self._refusal_of_prices(market, request)

    def refusal_at(self, request: OrderRequest, price: Decimal) -> NotPlaced | None:
        """What the market's price forbids: a stop that is past its trigger, a post-only order that would trade."""
        codes = self.codes(request.symbol)
        if request.type in STOPS:
            if is_triggering(request, price):
                return NotPlaced(codes.trigger, f"Order would immediately trigger: the price is {price}")
        elif request.type in LIMITS and request.time_in_force == "PO" and is_marketable(request, price):
            return NotPlaced(codes.post_only, f"a post-only order would trade at once: the price is {price}")
        return None

    def refusal_of_size(self, request: OrderRequest, price: Decimal) -> NotPlaced | None:
        """Minimums at the order's own price, else at the market's; a futures account's reduce-only ones are free."""
        if request.reduce_only and self._markets[request.symbol].kind != "spot":
            return None
        market, codes = self._markets[request.symbol], self.codes(request.symbol)
        short = market.shortfall(request.amount, price)
        if short is None:
            return None
        return NotPlaced(codes.least_amount if request.amount < market.min_amount else codes.notional, short)

    def _refusal_of_amount(self, market: Market, amount: Decimal) -> NotPlaced | None:
        codes = CODES[market.kind]
        if not amount.is_finite() or amount <= 0:
            return NotPlaced(codes.amount, f"amount {amount} is not a positive number")
        if market.max_amount is not None and amount > market.max_amount:
            return NotPlaced(codes.most_amount, f"amount {amount} is above the maximum {market.max_amount}")
        if market.round_amount(amount) != amount:
            return NotPlaced("-1111", f"amount {amount} is not on the step {market.amount_step}")
        return None

    def _refusal_of_prices(self, market: Market, request: OrderRequest) -> NotPlaced | None:
        wanted = {"price": request.type in LIMITS, "trigger_price": request.type in STOPS}
        for name, is_needed in wanted.items():
            price = getattr(request, name)
            if price is None and is_needed:
                return NotPlaced(MISSING, f"a {request.type} order needs a {name}")
            if price is not None and not is_needed:
                return NotPlaced("-1106", f"a {request.type} order takes no {name}, found {price}")
            refusal = None if price is None else self._refusal_of_price(market, price)
            if refusal is not None:
                return refusal
        return None

    def _refusal_of_price(self, market: Market, price: Decimal) -> NotPlaced | None:
        codes = CODES[market.kind]
        if not price.is_finite() or price <= 0:
            return NotPlaced(codes.price, f"price {price} is not a positive number")
        if price % market.price_tick:
            return NotPlaced(codes.tick, f"price {price} is not on the tick {market.price_tick}")
        return None
