"""Orders as the simulated exchange keeps them, and the rules by which it refuses one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from brokers.fills import quantise
from brokers.simulated.ledger import ZERO, Ledger
from ccxt_bt_bridge.words import Fill, Market, NotPlaced, OrderReport, OrderRequest, OrderStatus, Side

LONGEST_CLIENT_ID = 36


@dataclass(slots=True)
class Order:
    """``value``: Σ amount · price of what filled; ``time_ms``: of the last change. Times and money as in the words."""

    order_id: int
    request: OrderRequest
    time_ms: int
    status: OrderStatus = OrderStatus.OPEN
    filled: Decimal = ZERO
    value: Decimal = ZERO

    @classmethod
    def restored(
        cls, *, order_id, time_ms, status: OrderStatus, filled: Decimal, value: Decimal, client_order_id: str,
        symbol: str, side: Side, amount: Decimal, reduce_only: bool,
    ) -> Order:  # fmt: skip
        """From the columns of a store."""
        request = OrderRequest(client_order_id, symbol, side, amount, reduce_only=reduce_only)
        return cls(order_id, request, time_ms, status, filled, value)

    @property
    def is_open(self) -> bool:
        return not self.status.is_done

    def fill(self, fill: Fill) -> None:
        self.filled += fill.amount
        self.value += fill.amount * fill.price

    def end(self, status: OrderStatus, time_ms: int) -> None:
        self.status, self.time_ms = status, time_ms

    def report(self) -> OrderReport:
        request = self.request
        average = quantise(self.value / self.filled) if self.filled else None
        ids = (request.client_order_id, str(self.order_id), request.symbol, request.side)
        return OrderReport(*ids, self.status, request.amount, self.filled, average, self.time_ms)


class OrderRules:
    """What the exchange checks before it takes an order, in its order and with its codes (Binance USD-M)."""

    def __init__(self, markets: dict[str, Market], ledger: Ledger, *, leverage: Decimal) -> None:
        self._markets = markets
        self._ledger = ledger
        self._leverage = leverage

    def refusal_of_form(self, request: OrderRequest) -> NotPlaced | None:
        """What is wrong with the request by itself."""
        market = self._markets.get(request.symbol)
        if market is None:
            return NotPlaced("-1121", f"unknown symbol {request.symbol}")
        if request.type != "market":
            return NotPlaced("-1116", f"order type {request.type!r} is not supported; only market orders are")
        if not 0 < len(request.client_order_id) <= LONGEST_CLIENT_ID:
            return NotPlaced("-4015", f"a client order id has 1 to {LONGEST_CLIENT_ID} characters")
        if not request.amount.is_finite() or request.amount <= 0:
            return NotPlaced("-4003", f"amount {request.amount} is not a positive number")
        if market.round_amount(request.amount) != request.amount:
            return NotPlaced("-1111", f"amount {request.amount} is not on the step {market.amount_step}")
        return None

    def clamped(self, request: OrderRequest) -> OrderRequest | NotPlaced:
        """A reduce-only order cut to the position it reduces; others as they are."""
        if not request.reduce_only:
            return request
        held = self._ledger.amount(request.symbol)
        if held * request.signed_amount >= 0:
            return NotPlaced(
                "-2022", f"a reduce-only {request.side.value} of {request.symbol} meets a position of {held}"
            )
        return replace(request, amount=min(request.amount, abs(held)))

    def refusal_of_size(self, request: OrderRequest, price_of: Callable[[str], Decimal | None]) -> NotPlaced | None:
        """Minimums and margin at the last prices known; reduce-only orders are free of them."""
        if request.reduce_only:
            return None
        price = price_of(request.symbol) or ZERO
        market = self._markets[request.symbol]
        short = market.shortfall(request.amount, price)
        if short is not None:
            return NotPlaced("-4004" if request.amount < market.min_amount else "-4164", short)
        return self._refusal_of_margin(request, price, price_of)

    def _refusal_of_margin(
        self, request: OrderRequest, price: Decimal, price_of: Callable[[str], Decimal | None]
    ) -> NotPlaced | None:
        held = self._ledger.amount(request.symbol)
        after = held + request.signed_amount
        if abs(after) <= abs(held):
            return None
        gross = self._ledger.gross(price_of) + (abs(after) - abs(held)) * price
        equity = self._ledger.equity(price_of)
        if gross / self._leverage > equity:
            return NotPlaced(
                "-2019",
                f"a gross of {gross:.2f} needs a margin of {gross / self._leverage:.2f}, equity is {equity:.2f}",
            )
        return None
