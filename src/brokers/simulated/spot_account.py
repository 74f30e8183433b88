"""One spot account: balances by asset, exact in Decimal. No shorting, no leverage, no funding.

A sale's fee is taken in the quote currency; a purchase's in the base currency, from what was received, or, where
``fees_in_base`` is off, in the quote currency too (as for those who hold the exchange's own coin).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from brokers.fills import fee, market_fill_price, quantise
from brokers.simulated.accounts import Charge, Prices
from brokers.simulated.ledger import ZERO
from brokers.simulated.orders import LIMITS, Order
from brokers.simulated.store import ExchangeStore, Remembered
from brokers.simulated.views import Balance, PositionView
from ccxt_bt_bridge.words import Account, Fill, FundingPayment, Market, NotPlaced, OrderRequest, PositionReport, Side


class SpotAccount:
    """A ``TradingAccount``. Opened with the initial balance in the quote currency of the first market."""

    def __init__(
        self,
        remembered: Remembered,
        store: ExchangeStore,
        *,
        markets: Mapping[str, Market],
        prices: Prices,
        slippage_bps: Decimal,
        taker_fee: Decimal,
        fees_in_base: bool,
    ) -> None:
        self._fee_on_top = Decimal(0) if fees_in_base else taker_fee
        self._fees_in_base = fees_in_base
        self._store, self._markets, self._prices, self._slippage_bps = store, markets, prices, slippage_bps
        self._quote = next(iter(markets.values())).quote
        self._totals = {self._quote: remembered.totals.initial} | remembered.balances

    def total(self, asset: str) -> Decimal:
        return self._totals.get(asset, ZERO)

    def amount(self, symbol: str) -> Decimal:
        return self.total(self._markets[symbol].base)

    def refusal(self, request: OrderRequest, price: Decimal, open_orders: Sequence[Order]) -> NotPlaced | None:
        asset, wanted = self._spent(request, request.amount, price)
        free = self.total(asset) - self._locked(asset, open_orders)
        if wanted <= free:
            return None
        return NotPlaced(
            "-2010", f"Account has insufficient balance for requested action: {wanted} {asset}, free {free}"
        )

    def affordable(self, order: Order, amount: Decimal, price: Decimal, open_orders: Sequence[Order]) -> Decimal:
        """Less than was asked for when a resting order trades at a price beyond the one it was admitted at."""
        others = [one for one in open_orders if one.order_id != order.order_id]
        asset, wanted = self._spent(order.request, amount, price)
        free = self.total(asset) - self._locked(asset, others)
        if wanted <= free:
            return amount
        return self._markets[order.request.symbol].round_amount(max(amount * free / wanted, ZERO))

    def charge(self, side: Side, amount: Decimal, price: Decimal, rate: Decimal) -> Charge:
        """A purchase's fee is not rounded in quote: the two sides of it stay equal to the last digit."""
        if side is Side.SELL or not self._fees_in_base:
            return Charge(fee(amount, price, rate), ZERO)
        base_fee = quantise(amount * rate)
        return Charge(base_fee * price, base_fee)

    def apply_fill(self, fill: Fill) -> None:
        market = self._markets[fill.symbol]
        quote_fee = ZERO if fill.base_fee else fill.fee
        self._add(market.base, fill.position_change)
        self._add(market.quote, -fill.signed_amount * fill.price - quote_fee)

    def apply_funding(self, payment: FundingPayment) -> None:
        raise AssertionError(f"a spot account pays no funding, found {payment}")

    def overdrawn(self) -> list[str]:
        return []

    def report(self, now_ms: int, open_orders: Sequence[Order]) -> Account:
        """Holdings as positions without an entry price: a spot exchange keeps none."""
        free = self.total(self._quote) - self._locked(self._quote, open_orders)
        return Account(now_ms, self.total(self._quote), tuple(self._holdings()), free)

    def balances(self, open_orders: Sequence[Order]) -> tuple[Balance, ...]:
        locked = {asset: self._locked(asset, open_orders) for asset in sorted(self._totals)}
        return tuple(
            Balance(asset, self.total(asset), self.total(asset) - held, held) for asset, held in locked.items()
        )

    def positions(self) -> tuple[PositionView, ...]:
        return ()

    def position(self, symbol: str) -> PositionView:
        mark = self._prices.mark(symbol) or ZERO
        return PositionView(symbol, self.amount(symbol), ZERO, mark, "cross", Decimal(1), ZERO, ZERO, ZERO, ZERO)

    def _holdings(self) -> list[PositionReport]:
        """Each base currency once, under the first symbol that trades it for the account's quote currency."""
        symbols: dict[str, str] = {}
        for market in self._markets.values():
            if market.quote == self._quote:
                symbols.setdefault(market.base, market.symbol)
        held = ((symbol, self.total(base)) for base, symbol in symbols.items())
        return [PositionReport(symbol, amount, ZERO) for symbol, amount in sorted(held) if amount]

    def _spent(self, request: OrderRequest, amount: Decimal, price: Decimal) -> tuple[str, Decimal]:
        """What an order gives away, at most: which asset and how much."""
        market = self._markets[request.symbol]
        if request.side is Side.SELL:
            return market.base, amount
        is_bound = request.type in LIMITS
        paid = price if is_bound else market_fill_price(price, 1, self._slippage_bps)
        return market.quote, amount * paid * (1 + self._fee_on_top)

    def _locked(self, asset: str, open_orders: Sequence[Order]) -> Decimal:
        return sum((amount for kept, amount in map(self._spent_by, open_orders) if kept == asset), ZERO)

    def _spent_by(self, order: Order) -> tuple[str, Decimal]:
        valuation = self._prices.valuation(order.request.symbol)
        return self._spent(order.request, order.remaining, order.reserved_price(valuation))

    def _add(self, asset: str, change: Decimal) -> None:
        self._totals[asset] = self.total(asset) + change
        self._store.save_balance(asset, self._totals[asset])
