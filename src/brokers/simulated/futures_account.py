"""One netted USD-M account: wallet, positions, margin by leverage, liquidation.

Cross: all positions stand on the wallet together. Isolated: a position stands on its initial margin alone and is closed
by itself; what a gap loses beyond that margin is still taken from the wallet (no insurance fund is played).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from brokers.fills import fee
from brokers.simulated.accounts import Charge, Prices
from brokers.simulated.ledger import ZERO, Ledger, Position
from brokers.simulated.orders import Order
from brokers.simulated.settings import SettingsBook
from brokers.simulated.store import ExchangeStore, Remembered
from brokers.simulated.views import Balance, PositionView
from ccxt_bt_bridge.words import Account, Fill, FundingPayment, NotPlaced, OrderRequest, Side


class FuturesAccount:
    """A ``TradingAccount``. ``maintenance_margin_pct`` of gross notional, 0 to 100."""

    def __init__(
        self,
        remembered: Remembered,
        store: ExchangeStore,
        *,
        quote: str,
        prices: Prices,
        settings: SettingsBook,
        maintenance_margin_pct: Decimal,
    ) -> None:
        self.ledger = Ledger(remembered.totals, remembered.positions)
        self._store, self._quote, self._prices, self._settings = store, quote, prices, settings
        self._maintenance = maintenance_margin_pct / 100

    def amount(self, symbol: str) -> Decimal:
        return self.ledger.amount(symbol)

    def refusal(self, request: OrderRequest, price: Decimal, open_orders: Sequence[Order]) -> NotPlaced | None:
        """-2019 when the order would need more margin than there is; what makes a position smaller needs none."""
        held = self.amount(request.symbol)
        after = held + request.signed_amount
        if request.reduce_only or abs(after) <= abs(held):
            return None
        more = (abs(after) - abs(held)) * price / self._settings.leverage(request.symbol)
        free = self._free(open_orders)
        if more <= free:
            return None
        return NotPlaced("-2019", f"Margin is insufficient: {more:.2f} more is needed, {free:.2f} is free")

    def affordable(self, order: Order, amount: Decimal, price: Decimal, open_orders: Sequence[Order]) -> Decimal:
        """All of it: margin was asked for when the order came, and a loss beyond it is for the liquidation."""
        return amount

    def charge(self, side: Side, amount: Decimal, price: Decimal, rate: Decimal) -> Charge:
        return Charge(fee(amount, price, rate), ZERO)

    def apply_fill(self, fill: Fill) -> None:
        self._store.save_position(self.ledger.apply_fill(fill))
        self._store.save_totals(self.ledger.totals)

    def apply_funding(self, payment: FundingPayment) -> None:
        self.ledger.apply_funding(payment)
        self._store.save_totals(self.ledger.totals)

    def overdrawn(self) -> list[str]:
        isolated = [one for one in self.ledger.positions if self._is_isolated(one) and self._is_gone(one)]
        return [one.symbol for one in isolated] + [one.symbol for one in self._cross_overdrawn()]

    def report(self, now_ms: int, open_orders: Sequence[Order]) -> Account:
        free = max(self._free(open_orders), ZERO)
        return Account(now_ms, self.ledger.wallet, self.ledger.report(), free)

    def balances(self, open_orders: Sequence[Order]) -> tuple[Balance, ...]:
        required = self._positions_margin() + self._orders_margin(open_orders)
        return (Balance(self._quote, self.ledger.wallet, max(self._free(open_orders), ZERO), required),)

    def positions(self) -> tuple[PositionView, ...]:
        return tuple(self.position(one.symbol) for one in self.ledger.positions)

    def position(self, symbol: str) -> PositionView:
        held = self.ledger.position(symbol)
        mark = self._prices.mark(symbol) or held.entry_price
        notional = abs(held.amount) * mark
        leverage = self._settings.leverage(symbol)
        return PositionView(
            symbol,
            held.amount,
            held.entry_price,
            mark,
            self._settings.margin_mode(symbol),
            leverage,
            held.amount * mark - held.cost,
            notional / leverage,
            notional * self._maintenance,
            self._liquidation_price(held),
        )

    def _free(self, open_orders: Sequence[Order]) -> Decimal:
        """What new orders may use; negative when the market has taken it."""
        free = self.ledger.wallet - self._orders_margin(open_orders)
        for one in self.ledger.positions:
            price = self._prices.valuation(one.symbol)
            free -= self._margin_of(one, price)
            if price is not None and not self._is_isolated(one):
                free += one.amount * price - one.cost
        return free

    def _positions_margin(self) -> Decimal:
        """Initial margin: cross at the price now, isolated at what was paid."""
        positions = self.ledger.positions
        return sum((self._margin_of(one, self._prices.valuation(one.symbol)) for one in positions), ZERO)

    def _margin_of(self, position: Position, price: Decimal | None) -> Decimal:
        if self._is_isolated(position):
            return self._isolated_margin(position)
        return abs(position.amount) * (price or position.entry_price) / self._settings.leverage(position.symbol)

    def _orders_margin(self, open_orders: Sequence[Order]) -> Decimal:
        return sum((self._margin_of_order(order) for order in open_orders), ZERO)

    def _margin_of_order(self, order: Order) -> Decimal:
        request = order.request
        held = self.amount(request.symbol)
        if request.reduce_only or held * request.signed_amount < 0 and order.remaining <= abs(held):
            return ZERO
        price = order.reserved_price(self._prices.valuation(request.symbol))
        return order.remaining * price / self._settings.leverage(request.symbol)

    def _cross_profit(self) -> Decimal:
        """Unrealised, at the mark; nothing where there is none."""
        profits = ((one, self._prices.mark(one.symbol)) for one in self._cross())
        return sum((one.amount * price - one.cost for one, price in profits if price is not None), ZERO)

    def _cross_overdrawn(self) -> list[Position]:
        """Every cross position when the wallet no longer covers their maintenance margin."""
        positions = self._cross()
        maintenance = sum((self._maintenance_of(one) for one in positions), ZERO)
        return positions if positions and self._cross_equity() <= maintenance else []

    def _cross_equity(self) -> Decimal:
        locked = sum((self._isolated_margin(one) for one in self.ledger.positions if self._is_isolated(one)), ZERO)
        return self.ledger.wallet - locked + self._cross_profit()

    def _is_gone(self, position: Position) -> bool:
        profit = position.amount * self._mark(position) - position.cost
        return self._isolated_margin(position) + profit <= self._maintenance_of(position)

    def _liquidation_price(self, held: Position) -> Decimal:
        """The mark at which this position alone brings the account to its maintenance margin; 0 when none does."""
        if not held.amount:
            return ZERO
        mark, cover, others = self._mark(held), self._isolated_margin(held), ZERO
        if not self._is_isolated(held):
            cover = self._cross_equity() - (held.amount * mark - held.cost)
            others = sum((self._maintenance_of(one) for one in self._cross() if one.symbol != held.symbol), ZERO)
        slope = held.amount - self._maintenance * abs(held.amount)
        price = (others - cover + held.cost) / slope if slope else ZERO
        return max(price, ZERO)

    def _cross(self) -> list[Position]:
        return [one for one in self.ledger.positions if not self._is_isolated(one)]

    def _is_isolated(self, position: Position) -> bool:
        return self._settings.margin_mode(position.symbol) == "isolated"

    def _isolated_margin(self, position: Position) -> Decimal:
        return abs(position.cost) / self._settings.leverage(position.symbol)

    def _maintenance_of(self, position: Position) -> Decimal:
        return abs(position.amount) * self._mark(position) * self._maintenance

    def _mark(self, position: Position) -> Decimal:
        return self._prices.mark(position.symbol) or position.entry_price
