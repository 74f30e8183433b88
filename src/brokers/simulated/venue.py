"""The exchange's inside: matching, funding, liquidation and memory. Synchronous; nothing happens between two lines.

What changes is committed to the store first, and published after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from brokers.funding import FundingEvent, FundingSchedule, funding_amount
from brokers.simulated.accounts import TradingAccount
from brokers.simulated.futures_account import FuturesAccount
from brokers.simulated.ledger import ZERO
from brokers.simulated.liquidity import Liquidity, Part
from brokers.simulated.matching import Range, Touch, in_the_order_of_harm, touch_at_price, touch_in_bar
from brokers.simulated.order_book import OrderBook
from brokers.simulated.orders import LIMITS, Order
from brokers.simulated.rules import OrderRules
from brokers.simulated.settings import Refused, SettingsBook, Ties
from brokers.simulated.spot_account import SpotAccount
from brokers.simulated.store import ExchangeStore
from brokers.simulated.tape import Tape
from brokers.simulated.views import Balance, NextFunding, PositionView
from ccxt_bt_bridge.words import (
    Account,
    AccountSettings,
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
AUTOCLOSE, ADL = "autoclose-", "adl_autoclose-"
OPENING_SETTINGS = AccountSettings("one_way", ())


@dataclass(frozen=True, slots=True)
class VenueTerms:
    """``taker_fee`` as a fraction; ``maintenance_margin_pct`` of gross notional, 0 to 100.

    ``settings``: the account's own at its opening. ``max_volume_share``: of a bar's volume that our orders may take,
    ``book_depth``: quote currency per level of the book; None: no end.
    """

    taker_fee: Decimal
    slippage_bps: Decimal
    leverage: Decimal
    maintenance_margin_pct: Decimal
    settings: AccountSettings = OPENING_SETTINGS
    max_volume_share: Decimal | None = None
    book_depth: Decimal | None = None


class Venue:
    """One unfinished run of ``store``, played on ``tape``. The kind of its first market is that of the account."""

    def __init__(
        self,
        tape: Tape,
        store: ExchangeStore,
        *,
        markets: Mapping[str, Market],
        funding: Mapping[str, FundingSchedule],
        terms: VenueTerms,
        publish: Callable[[UserEvent], None],
    ) -> None:
        remembered = store.load()
        self._store, self._terms, self._funding, self._publish = store, terms, dict(funding), publish
        self.tape, self.markets = tape, dict(markets)
        self.kind = next(iter(self.markets.values())).kind
        self.settings = SettingsBook(
            self.markets,
            terms.settings,
            leverage=terms.leverage,
            remembered=remembered.settings,
            save=store.save_setting,
        )
        self.account: TradingAccount = (
            SpotAccount(remembered, store, markets=self.markets, prices=tape, slippage_bps=terms.slippage_bps)
            if self.kind == "spot"
            else FuturesAccount(
                remembered,
                store,
                quote=next(iter(self.markets.values())).quote,
                prices=tape,
                settings=self.settings,
                maintenance_margin_pct=terms.maintenance_margin_pct,
            )
        )
        self.fills, self.payments = list(remembered.fills), list(remembered.payments)
        self._maker_ids = set(remembered.maker_ids)
        self._rules = OrderRules(self.markets)
        self._liquidity = Liquidity(
            slippage_bps=terms.slippage_bps, max_volume_share=terms.max_volume_share, book_depth=terms.book_depth
        )
        self.orders = OrderBook(remembered.orders)
        self._last_order_id, self._last_trade_id = store.last_ids()
        self._settled_ms = remembered.market_ms
        self._next_funding_ms = self._funding_after(self._settled_ms)
        self._news: list[UserEvent] = []
        for bar in tape.last_bars():
            self._liquidity.refresh(bar.symbol, bar.volume)

    # the market's side

    def step(self, moment_ms: int, *, is_last: bool) -> tuple[Bar, ...]:
        """Everything that happens at one moment of the market; the bars that closed at it.

        What a closed bar's range did to resting orders happened before the funding of the moment it closed at.
        """
        with self._store.transaction():
            self._settle_until(moment_ms - 1)
            bars = self.tape.advance(moment_ms)
            self._match_ranges(bars, moment_ms)
            self._settle_until(moment_ms)
            self._liquidate(moment_ms)
            self._match_prices(moment_ms)
            self._store.save_market_time(moment_ms, ended=is_last)
        self._tell()
        return bars

    def match_at_prices(self, now_ms: int) -> None:
        """Measure the resting orders against the prices of this moment."""
        with self._store.transaction():
            self._match_prices(now_ms)
        self._tell()

    def close_position(self, symbol: str, *, prefix: str, now_ms: int) -> None:
        """The exchange closes what is held, at the mark price, as it does when it deleverages."""
        with self._store.transaction():
            self._force_close(symbol, prefix, now_ms)
        self._tell()

    def _settle_until(self, until_ms: int) -> None:
        """Funding up to ``until_ms``, on the positions and closes of this instant."""
        if until_ms < self._next_funding_ms:
            return
        for position in self.account.positions():
            schedule = self._funding.get(position.symbol)
            for event in schedule.between(self._settled_ms, until_ms) if schedule else ():
                self._pay(position, event)
        self._settled_ms = until_ms
        self._next_funding_ms = self._funding_after(until_ms)

    def _pay(self, position: PositionView, event: FundingEvent) -> None:
        symbol = position.symbol
        mark = event.mark_price or self.tape.last_close(symbol) or position.entry_price
        change = funding_amount(position.amount, mark, event.rate)
        # A later run plays the same times again: an id is given once in the file's life.
        payment_id = f"{self._store.run}-{symbol}-{event.time_ms}"
        payment = FundingPayment(payment_id, symbol, change, event.rate, mark, event.time_ms)
        self.account.apply_funding(payment)
        self._store.save_payment(payment)
        self.payments.append(payment)
        self._news.append(payment)

    def _funding_after(self, time_ms: int) -> int:
        times = (schedule.next_after(time_ms) for schedule in self._funding.values())
        return min((at for at in times if at is not None), default=NEVER_MS)

    def _liquidate(self, now_ms: int) -> None:
        """Close what its margin no longer carries; its open orders are cancelled first."""
        symbols = self.account.overdrawn()
        for symbol in symbols:
            for order in self.orders.open_of(symbol):
                self._end(order, OrderStatus.CANCELED, now_ms)
        for symbol in symbols:
            self._force_close(symbol, AUTOCLOSE, now_ms)

    def _force_close(self, symbol: str, prefix: str, now_ms: int) -> None:
        held = self.account.amount(symbol)
        if not held:
            return
        client_id, side = f"{prefix}{self._last_order_id + 1}", Side.SELL if held > 0 else Side.BUY
        request = OrderRequest(client_id, symbol, side, abs(held), reduce_only=self.kind != "spot")
        price = self.tape.mark(symbol) or self.account.position(symbol).entry_price
        order = self._new_order(request, now_ms)
        self._fill(order, self._liquidity.unlimited(side, price, abs(held)), now_ms=now_ms)

    def _match_ranges(self, bars: tuple[Bar, ...], now_ms: int) -> None:
        for bar in bars:
            self._liquidity.refresh(bar.symbol, bar.volume)
            for order in in_the_order_of_harm(self.orders.open_of(bar.symbol)):
                if self.tape.covers(bar, order.created_ms):
                    was_triggered = order.is_triggered
                    reached = touch_in_bar(order, Range.of(bar))
                    self._meet(order, reached, was_triggered=was_triggered, now_ms=now_ms)

    def _match_prices(self, now_ms: int) -> None:
        for order in in_the_order_of_harm(list(self.orders.open.values())):
            price = self.tape.price(order.request.symbol)
            if price is not None:
                was_triggered = order.is_triggered
                reached = touch_at_price(order, price, has_rested=True)
                self._meet(order, reached, was_triggered=was_triggered, now_ms=now_ms)

    def _meet(self, order: Order, touch: Touch | None, *, was_triggered: bool, now_ms: int) -> None:
        """A resting order and what has reached it."""
        if touch is not None:
            self._trade(order, touch, now_ms=now_ms)
        elif order.is_triggered != was_triggered:
            self._rest_or_expire(order, now_ms)

    # the client's side

    def place(self, request: OrderRequest, *, now_ms: int, fill_ratio: Decimal | None = None) -> Placed | NotPlaced:
        """Take an order: it fills now, rests, or expires. ``fill_ratio``: a scripted fault."""
        admitted = self._admit(request)
        if isinstance(admitted, NotPlaced):
            return admitted
        with self._store.transaction():
            order = self._new_order(admitted, now_ms)
            price = self.tape.price(request.symbol)
            touch = None if price is None else touch_at_price(order, price, has_rested=False)
            if touch is not None:
                self._trade(order, touch, now_ms=now_ms, fill_ratio=fill_ratio)
            elif price is None and order.request.type not in LIMITS or order.waits_for_trigger:
                self._remember(order)
            else:
                self._rest_or_expire(order, now_ms)
        self._tell()
        return Placed(order.report())

    def cancel(self, symbol: str, client_order_id: str, *, now_ms: int) -> Order | None:
        """The order as cancelled, None when there is no such open order."""
        order = self.order(symbol, client_order_id)
        if order is None or not order.is_open:
            return None
        self._cancel([order], now_ms)
        return order

    def cancel_all(self, symbol: str, *, now_ms: int) -> list[Order]:
        """The orders as cancelled."""
        orders = self.orders.open_of(symbol)
        self._cancel(orders, now_ms)
        return orders

    def fill_now(self, symbol: str, client_order_id: str, *, now_ms: int) -> None:
        """Fill an open order whole, at its own price or the market's: what a cancel may come too late for."""
        order = self.order(symbol, client_order_id)
        price = self.tape.valuation(symbol)
        if order is None or not order.is_open or price is None:
            return
        with self._store.transaction():
            self._trade(order, Touch(order.request.price or price, is_maker=True), now_ms=now_ms)
        self._tell()

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """The latest order with this id: an exchange lets an id be used again once its order is done."""
        return self.orders.latest(symbol, client_order_id)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        return list(self.orders.open.values()) if symbol is None else self.orders.open_of(symbol)

    def is_maker(self, trade_id: str) -> bool:
        return trade_id in self._maker_ids

    def report(self, now_ms: int) -> Account:
        return self.account.report(now_ms, self.open_orders())

    def balances(self) -> tuple[Balance, ...]:
        return self.account.balances(self.open_orders())

    def positions(self) -> tuple[PositionView, ...]:
        return self.account.positions()

    def position(self, symbol: str) -> PositionView:
        return self.account.position(symbol)

    def mark_price(self, symbol: str) -> Decimal | None:
        return self.tape.mark(symbol)

    def book(self, symbol: str) -> tuple[list[Part], list[Part]]:
        """Bids and asks, the best first; none while the symbol does not trade."""
        price = self.tape.price(symbol)
        return ([], []) if price is None else self._liquidity.book(self.markets[symbol], price)

    def next_funding(self, symbol: str) -> NextFunding:
        schedule = self._funding.get(symbol)
        at = None if schedule is None else schedule.next_after(self.tape.time_ms)
        if schedule is None or at is None:
            return NextFunding(ZERO, 0)
        return NextFunding(schedule.between(at - 1, at)[0].rate, at)

    def is_trading(self, symbol: str) -> bool:
        """False before the symbol's first bar and after its last."""
        return self.tape.has_begun(symbol) and not self.tape.is_over(symbol)

    def set_leverage(self, symbol: str, leverage: Decimal | int | str) -> Refused | None:
        with self._store.transaction():
            return self.settings.set_leverage(symbol, leverage, self._ties(symbol))

    def set_margin_mode(self, symbol: str, mode: str) -> Refused | None:
        with self._store.transaction():
            return self.settings.set_margin_mode(symbol, mode, self._ties(symbol))

    def set_position_mode(self, mode: str) -> Refused | None:
        with self._store.transaction():
            return self.settings.set_position_mode(mode, Ties(bool(self.account.positions()), bool(self.orders.open)))

    def _ties(self, symbol: str) -> Ties:
        return Ties(symbol in self.markets and bool(self.account.amount(symbol)), bool(self.orders.open_of(symbol)))

    def _admit(self, request: OrderRequest) -> OrderRequest | NotPlaced:
        refusal = self._rules.refusal_of_form(request) or self._refusal_of_moment(request)
        if refusal is not None:
            return refusal
        price = self.tape.price(request.symbol)
        clamped = self._clamped(request)
        if isinstance(clamped, NotPlaced):
            return clamped
        refusal = None if price is None else self._rules.refusal_at(request, price)
        own = clamped.price or clamped.trigger_price or self.tape.valuation(request.symbol) or ZERO
        refusal = refusal or self._rules.refusal_of_size(clamped, own)
        return refusal or self.account.refusal(clamped, own, self.open_orders()) or clamped

    def _refusal_of_moment(self, request: OrderRequest) -> NotPlaced | None:
        if not self.is_trading(request.symbol):
            return NotPlaced("-1013", f"market closed: {request.symbol} does not trade")
        if self.kind == "spot" and request.type == "market" and self.tape.price(request.symbol) is None:
            return NotPlaced("-1013", "Market is closed.")
        if self.settings.position_mode == "hedge":
            return NotPlaced("-4061", "Order's position side does not match user's setting.")
        if self.orders.is_taken(request.client_order_id):
            code = self._rules.codes(request.symbol).duplicate
            return NotPlaced(code, f"Duplicate order sent: {request.client_order_id} is that of an open order")
        return None

    def _clamped(self, request: OrderRequest) -> OrderRequest | NotPlaced:
        """A reduce-only order cut to the position it reduces; others as they are. On spot every sale reduces."""
        if not request.reduce_only or self.kind == "spot":
            return request
        amount = self._reducible(request, request.amount)
        if not amount:
            held = self.account.amount(request.symbol)
            return NotPlaced("-2022", f"ReduceOnly Order is rejected: {request.side.value} meets a position of {held}")
        return replace(request, amount=amount)

    def _reducible(self, request: OrderRequest, amount: Decimal) -> Decimal:
        held = self.account.amount(request.symbol)
        return min(amount, abs(held)) if held * request.signed_amount < 0 else ZERO

    # filling

    def _trade(self, order: Order, touch: Touch, *, now_ms: int, fill_ratio: Decimal | None = None) -> None:
        """Fill what the position, the balance and the market allow (a reduce-only order at most to flat)."""
        request, market = order.request, self.markets[order.request.symbol]
        wanted = self._reducible(request, order.remaining) if request.reduce_only else order.remaining
        if fill_ratio is not None:
            wanted = market.round_amount(wanted * fill_ratio)
        wanted = self.account.affordable(order, wanted, touch.price, self.open_orders())
        parts = self._liquidity.parts(market, request.side, touch, wanted)
        if request.time_in_force == "FOK" and sum((part.amount for part in parts), ZERO) < order.remaining:
            parts = []
        self._fill(order, parts, now_ms=now_ms, is_maker=touch.is_maker)

    def _fill(self, order: Order, parts: list[Part], *, now_ms: int, is_maker: bool = False) -> None:
        """The order's report comes before its fills."""
        fills = [self._book(order, part, now_ms=now_ms, is_maker=is_maker) for part in parts]
        if not order.remaining:
            self._end(order, OrderStatus.CLOSED, now_ms)
        else:
            self._rest_or_expire(order, now_ms)
        self._news.extend(fills)

    def _book(self, order: Order, part: Part, *, now_ms: int, is_maker: bool) -> Fill:
        request = order.request
        charge = self.account.charge(request.side, part.amount, part.price, self._rate(request.symbol, is_maker))
        self._last_trade_id += 1
        ids = (str(self._last_trade_id), str(order.order_id), request.client_order_id, request.symbol)
        fill = Fill(*ids, request.side, part.amount, part.price, charge.fee, now_ms, charge.base_fee)
        order.fill(fill)
        self.account.apply_fill(fill)
        self._liquidity.consume(request.symbol, part.amount)
        self._store.save_fill(fill, is_maker=is_maker)
        self.fills.append(fill)
        if is_maker:
            self._maker_ids.add(fill.trade_id)
        return fill

    def _rate(self, symbol: str, is_maker: bool) -> Decimal:
        maker_fee = self.markets[symbol].maker_fee
        return maker_fee if is_maker and maker_fee is not None else self._terms.taker_fee

    def _rest_or_expire(self, order: Order, now_ms: int) -> None:
        request = order.request
        has_use = not request.reduce_only or self._reducible(request, order.remaining)
        if order.may_rest and has_use:
            self._remember(order)
        else:
            self._end(order, OrderStatus.EXPIRED, now_ms)

    def _new_order(self, request: OrderRequest, now_ms: int) -> Order:
        self._last_order_id += 1
        return Order(self._last_order_id, request, now_ms, now_ms)

    def _cancel(self, orders: list[Order], now_ms: int) -> None:
        with self._store.transaction():
            for order in orders:
                self._end(order, OrderStatus.CANCELED, now_ms)
        self._tell()

    def _end(self, order: Order, status: OrderStatus, now_ms: int) -> None:
        order.end(status, now_ms)
        self._remember(order)

    def _remember(self, order: Order) -> None:
        self.orders.keep(order)
        self._store.save_order(order)
        self._news.append(order.report())

    def _tell(self) -> None:
        news, self._news = self._news, []
        for event in news:
            self._publish(event)
