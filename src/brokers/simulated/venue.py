"""The exchange's inside: matching, funding, liquidation and memory. Synchronous; nothing happens between two lines.

What changes is committed to the store first, and published after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from brokers.fills import fee, market_fill_price
from brokers.funding import FundingEvent, FundingSchedule, funding_amount
from brokers.simulated.orders import Order, OrderRules
from brokers.simulated.source import MarketSource, Tape
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.words import (
    Account,
    Bar,
    Fill,
    FundingPayment,
    Market,
    NotPlaced,
    OrderRequest,
    OrderStatus,
    Placed,
    Side,
    UserEvent,
)

NEVER_MS = 2**62
AUTOCLOSE = "autoclose-"


@dataclass(frozen=True, slots=True)
class VenueTerms:
    """``taker_fee`` as a fraction; ``maintenance_margin_pct`` of gross notional, 0 to 100."""

    taker_fee: Decimal
    slippage_bps: Decimal
    leverage: Decimal
    maintenance_margin_pct: Decimal


class Venue:
    """One unfinished run of ``store``, played on ``source``."""

    def __init__(
        self,
        source: MarketSource,
        store: ExchangeStore,
        *,
        markets: Mapping[str, Market],
        funding: Mapping[str, FundingSchedule],
        terms: VenueTerms,
        publish: Callable[[UserEvent], None],
    ) -> None:
        remembered = store.load()
        self._store, self._terms, self._funding, self._publish = store, terms, dict(funding), publish
        self.markets = dict(markets)
        self.tape = Tape(source, remembered.market_ms)
        self.ledger = remembered.ledger
        self.fills, self.payments = list(remembered.fills), list(remembered.payments)
        self._rules = OrderRules(self.markets, self.ledger, leverage=terms.leverage)
        self._latest = {order.request.client_order_id: order for order in remembered.orders}
        self._by_id = {order.order_id: order for order in remembered.orders}
        self._open = {order.order_id: order for order in remembered.orders if order.is_open}
        self._last_order_id, self._last_trade_id = store.last_ids()
        self._settled_ms = remembered.market_ms
        self._next_funding_ms = self._funding_after(self._settled_ms)
        self._news: list[UserEvent] = []

    @property
    def leverage(self) -> Decimal:
        return self._terms.leverage

    # the market's side

    def step(self, moment_ms: int, *, is_last: bool) -> tuple[Bar, ...]:
        """Everything that happens at one moment of the market; the bars that closed at it."""
        with self._store.transaction():
            self._settle_until(moment_ms - 1)
            bars = self.tape.advance(moment_ms)
            self._settle_until(moment_ms)
            self._liquidate(moment_ms)
            self._fill_resting(moment_ms)
            self._store.save_market_time(moment_ms, ended=is_last)
        self._tell()
        return bars

    def _settle_until(self, until_ms: int) -> None:
        """Funding up to ``until_ms``, on the positions and closes of this instant."""
        if until_ms < self._next_funding_ms:
            return
        for position in self.ledger.positions:
            schedule = self._funding.get(position.symbol)
            for event in schedule.between(self._settled_ms, until_ms) if schedule else ():
                self._pay(position.symbol, position.amount, event)
        self._settled_ms = until_ms
        self._next_funding_ms = self._funding_after(until_ms)

    def _pay(self, symbol: str, amount: Decimal, event: FundingEvent) -> None:
        mark = event.mark_price or self.tape.last_close(symbol) or self.ledger.position(symbol).entry_price
        change = funding_amount(amount, mark, event.rate)
        # A later run plays the same times again: an id is given once in the file's life.
        payment_id = f"{self._store.run}-{symbol}-{event.time_ms}"
        payment = FundingPayment(payment_id, symbol, change, event.rate, mark, event.time_ms)
        self.ledger.apply_funding(payment)
        self._store.save_payment(payment, self.ledger)
        self.payments.append(payment)
        self._news.append(payment)

    def _funding_after(self, time_ms: int) -> int:
        times = (schedule.next_after(time_ms) for schedule in self._funding.values())
        return min((at for at in times if at is not None), default=NEVER_MS)

    def _liquidate(self, now_ms: int) -> None:
        """Close everything when equity at the closes no longer covers the maintenance margin."""
        gross = self.ledger.gross(self.tape.last_close)
        if not gross or self.ledger.equity(self.tape.last_close) > gross * self._terms.maintenance_margin_pct / 100:
            return
        for order in list(self._open.values()):
            self._end(order, OrderStatus.CANCELED, now_ms)
        for position in self.ledger.positions:
            side = Side.SELL if position.amount > 0 else Side.BUY
            client_id = f"{AUTOCLOSE}{self._last_order_id + 1}"
            request = OrderRequest(client_id, position.symbol, side, abs(position.amount), reduce_only=True)
            price = self.tape.last_close(position.symbol) or position.entry_price
            self._trade(self._new_order(request, now_ms), price, now_ms=now_ms)

    def _fill_resting(self, now_ms: int) -> None:
        for order in list(self._open.values()):
            price = self.tape.price(order.request.symbol)
            if price is not None:
                self._trade(order, price, now_ms=now_ms)

    # the client's side

    def place(self, request: OrderRequest, *, now_ms: int, fill_ratio: Decimal | None = None) -> Placed | NotPlaced:
        """Take a market order: it fills now, or rests while the symbol is halted. ``fill_ratio``: a scripted fault."""
        admitted = self._admit(request)
        if isinstance(admitted, NotPlaced):
            return admitted
        with self._store.transaction():
            order = self._new_order(admitted, now_ms)
            price = self.tape.price(request.symbol)
            if price is None:
                self._remember(order)
            else:
                self._trade(order, price, now_ms=now_ms, fill_ratio=fill_ratio)
        self._tell()
        return Placed(order.report())

    def cancel(self, symbol: str, client_order_id: str, *, now_ms: int) -> Order | None:
        """The order as cancelled, None when there is no such open order."""
        order = self._latest.get(client_order_id)
        if order is None or not order.is_open or order.request.symbol != symbol:
            return None
        with self._store.transaction():
            self._end(order, OrderStatus.CANCELED, now_ms)
        self._tell()
        return order

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """The latest order with this id: an exchange lets an id be used again once its order is done."""
        order = self._latest.get(client_order_id)
        return order if order is not None and order.request.symbol == symbol else None

    def order_by_id(self, order_id: int) -> Order | None:
        return self._by_id.get(order_id)

    def open_orders(self) -> list[Order]:
        return list(self._open.values())

    def account(self, now_ms: int) -> Account:
        return Account(now_ms, self.ledger.wallet, self.ledger.report())

    def valuation(self, symbol: str) -> Decimal | None:
        """The price now, else the last close."""
        return self.tape.price(symbol) or self.tape.last_close(symbol)

    def _admit(self, request: OrderRequest) -> OrderRequest | NotPlaced:
        refusal = self._rules.refusal_of_form(request) or self._refusal_of_moment(request)
        if refusal is not None:
            return refusal
        clamped = self._rules.clamped(request)
        if isinstance(clamped, NotPlaced):
            return clamped
        return self._rules.refusal_of_size(clamped, self.valuation) or clamped

    def _refusal_of_moment(self, request: OrderRequest) -> NotPlaced | None:
        if self.tape.is_over(request.symbol) or not self.tape.has_begun(request.symbol):
            return NotPlaced("-1013", f"market closed: {request.symbol} does not trade")
        same = self._latest.get(request.client_order_id)
        if same is not None and same.is_open:
            return NotPlaced("-4116", f"client order id {request.client_order_id} is that of an open order")
        return None

    def _trade(self, order: Order, price: Decimal, *, now_ms: int, fill_ratio: Decimal | None = None) -> None:
        """Fill the order (a reduce-only one at most to flat) and end it."""
        wanted = self._tradable(order.request)
        amount = wanted if fill_ratio is None else self._partly(order.request.symbol, wanted * fill_ratio)
        fill = self._fill(order, amount, price, now_ms=now_ms) if amount else None
        self._end(order, OrderStatus.CLOSED if order.filled == order.request.amount else OrderStatus.EXPIRED, now_ms)
        if fill is not None:
            self._news.append(fill)

    def _tradable(self, request: OrderRequest) -> Decimal:
        held = self.ledger.amount(request.symbol)
        if not request.reduce_only:
            return request.amount
        return min(request.amount, abs(held)) if held * request.signed_amount < 0 else Decimal(0)

    def _partly(self, symbol: str, amount: Decimal) -> Decimal:
        return self.markets[symbol].round_amount(amount)

    def _fill(self, order: Order, amount: Decimal, price: Decimal, *, now_ms: int) -> Fill:
        request = order.request
        paid = market_fill_price(price, request.side.sign, self._terms.slippage_bps)
        cost = fee(amount, paid, self._terms.taker_fee)
        self._last_trade_id += 1
        ids = (str(self._last_trade_id), str(order.order_id), request.client_order_id, request.symbol)
        fill = Fill(*ids, request.side, amount, paid, cost, now_ms)
        order.fill(fill)
        self.ledger.apply_fill(fill)
        self._store.save_fill(fill, self.ledger)
        self.fills.append(fill)
        return fill

    def _new_order(self, request: OrderRequest, now_ms: int) -> Order:
        self._last_order_id += 1
        return Order(self._last_order_id, request, now_ms)

    def _end(self, order: Order, status: OrderStatus, now_ms: int) -> None:
        order.end(status, now_ms)
        self._remember(order)

    def _remember(self, order: Order) -> None:
        self._latest[order.request.client_order_id] = order
        self._by_id[order.order_id] = order
        if order.is_open:
            self._open[order.order_id] = order
        else:
            self._open.pop(order.order_id, None)
        self._store.save_order(order)
        self._news.append(order.report())

    def _tell(self) -> None:
        news, self._news = self._news, []
        for event in news:
            self._publish(event)
