"""Whether the exchange takes an order at this moment, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from brokers.simulated.accounts import TradingAccount
from brokers.simulated.ledger import ZERO
from brokers.simulated.order_book import OrderBook
from brokers.simulated.rules import OrderRules
from brokers.simulated.settings import SettingsBook
from brokers.simulated.tape import Tape
from ccxt_bt_bridge.words import Market, NotPlaced, OrderRequest


def is_trading(tape: Tape, symbol: str) -> bool:
    """False before the symbol's first bar and after its last."""
    return tape.has_begun(symbol) and not tape.is_over(symbol)


def reducible(account: TradingAccount, request: OrderRequest, amount: Decimal) -> Decimal:
    """The part of ``amount`` that makes a position smaller."""
    held = account.amount(request.symbol)
    return min(amount, abs(held)) if held * request.signed_amount < 0 else ZERO


class Admission:
    """Asks the rules, the market, the settings and the account, in the exchange's order."""

    def __init__(
        self,
        markets: Mapping[str, Market],
        tape: Tape,
        account: TradingAccount,
        *,
        orders: OrderBook,
        settings: SettingsBook,
    ) -> None:
        self._rules = OrderRules(markets)
        self._tape, self._account, self._orders, self._settings = tape, account, orders, settings
        self._is_spot = next(iter(markets.values())).kind == "spot"

    def admit(self, request: OrderRequest) -> OrderRequest | NotPlaced:
        refusal = self._rules.refusal_of_form(request) or self._refusal_of_moment(request)
        if refusal is not None:
            return refusal
        price = self._tape.price(request.symbol)
        clamped = self._clamped(request)
        if isinstance(clamped, NotPlaced):
            return clamped
        refusal = None if price is None else self._rules.refusal_at(request, price)
        own = clamped.price or clamped.trigger_price or self._tape.valuation(request.symbol) or ZERO
        refusal = refusal or self._rules.refusal_of_size(clamped, own)
        return refusal or self._account.refusal(clamped, own, list(self._orders.open.values())) or clamped

    def _refusal_of_moment(self, request: OrderRequest) -> NotPlaced | None:
        if not is_trading(self._tape, request.symbol):
            return NotPlaced("-1013", f"market closed: {request.symbol} does not trade")
        if self._is_spot and request.type == "market" and self._tape.price(request.symbol) is None:
            return NotPlaced("-1013", "Market is closed.")
        if self._settings.position_mode == "hedge":
            return NotPlaced("-4061", "Order's position side does not match user's setting.")
        if self._orders.is_taken(request.client_order_id):
            code = self._rules.codes(request.symbol).duplicate
            return NotPlaced(code, f"Duplicate order sent: {request.client_order_id} is that of an open order")
        return None

    def _clamped(self, request: OrderRequest) -> OrderRequest | NotPlaced:
        """A reduce-only order cut to the position it reduces; others as they are. On spot every sale reduces."""
        if not request.reduce_only or self._is_spot:
            return request
        amount = reducible(self._account, request, request.amount)
        if not amount:
            held = self._account.amount(request.symbol)
            return NotPlaced("-2022", f"ReduceOnly Order is rejected: {request.side.value} meets a position of {held}")
        return replace(request, amount=amount)
