"""The exchange's inside: matching, funding, liquidation and memory. Synchronous; nothing happens between two lines.

What changes is committed to the store first, and published after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from brokers.funding import FundingEvent, FundingSchedule
from brokers.simulated.accounts import TradingAccount
from brokers.simulated.admission import Admission, is_trading
from brokers.simulated.clearing import Clearing
from brokers.simulated.futures_account import FuturesAccount
from brokers.simulated.liquidity import Liquidity, Part
from brokers.simulated.matching import Range, Touch, in_the_order_of_harm, touch_at_price, touch_in_bar
from brokers.simulated.order_book import OrderBook
from brokers.simulated.orders import LIMITS, Order
from brokers.simulated.settings import Refused, SettingsBook, Ties
from brokers.simulated.settlement import Settlement
from brokers.simulated.spot_account import SpotAccount
from brokers.simulated.store import ExchangeStore, Remembered
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

AUTOCLOSE, ADL = "autoclose-", "adl_autoclose-"
OPENING_SETTINGS = AccountSettings("one_way", ())


@dataclass(frozen=True, slots=True)
class VenueTerms:
    """``taker_fee`` as a fraction; ``maintenance_margin_pct`` of gross notional, 0 to 100.

    ``settings``: the account's own at its opening. ``max_volume_share``: of a bar's volume that our orders may take,
    ``book_depth``: quote currency per level of the book; None: no end. ``fees_in_base``: of spot purchases.
    """

    taker_fee: Decimal
    slippage_bps: Decimal
    leverage: Decimal
    maintenance_margin_pct: Decimal
    settings: AccountSettings = OPENING_SETTINGS
    max_volume_share: Decimal | None = None
    book_depth: Decimal | None = None
    fees_in_base: bool = True


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
        self._store, self._publish = store, publish
        self.tape, self.markets = tape, dict(markets)
        self.kind = next(iter(self.markets.values())).kind
        self.settings = SettingsBook(
            self.markets,
            terms.settings,
            leverage=terms.leverage,
            remembered=remembered.settings,
            save=store.save_setting,
        )
        self.account = self._account_of(remembered, terms)
        self.orders = OrderBook(remembered.orders)
        self._news: list[UserEvent] = []
        self._liquidity = Liquidity(
            slippage_bps=terms.slippage_bps, max_volume_share=terms.max_volume_share, book_depth=terms.book_depth
        )
        self._admission = Admission(self.markets, tape, self.account, orders=self.orders, settings=self.settings)
        self._clearing = self._clearing_of(remembered, terms)
        self._settlement = Settlement(
            tape, store, self.account, funding=funding, payments=remembered.payments, tell=self._note
        )
        for bar in tape.last_bars():
            self._liquidity.refresh(bar.symbol, bar.volume)

    def _account_of(self, remembered: Remembered, terms: VenueTerms) -> TradingAccount:
        if self.kind == "spot":
            return SpotAccount(
                remembered,
                self._store,
                markets=self.markets,
                prices=self.tape,
                slippage_bps=terms.slippage_bps,
                taker_fee=terms.taker_fee,
                fees_in_base=terms.fees_in_base,
            )
        return FuturesAccount(
            remembered,
            self._store,
            quote=next(iter(self.markets.values())).quote,
            prices=self.tape,
            settings=self.settings,
            maintenance_margin_pct=terms.maintenance_margin_pct,
        )

    def _clearing_of(self, remembered: Remembered, terms: VenueTerms) -> Clearing:
        return Clearing(
            self.markets,
            self._store,
            self.account,
            orders=self.orders,
            liquidity=self._liquidity,
            taker_fee=terms.taker_fee,
            fills=remembered.fills,
            maker_ids=remembered.maker_ids,
            tell=self._note,
        )

    @property
    def fills(self) -> list[Fill]:
        """Every trade of the account, oldest first."""
        return self._clearing.fills

    @property
    def payments(self) -> list[FundingPayment]:
        """Every funding payment, oldest first."""
        return self._settlement.payments

    # the market's side

    def step(self, moment_ms: int, *, is_last: bool) -> tuple[Bar, ...]:
        """Everything that happens at one moment of the market; the bars that closed at it.

        What a closed bar's range did to resting orders happened before the funding of the moment it closed at.
        """
        with self._store.transaction():
            self._settlement.settle_until(moment_ms - 1)
            bars = self.tape.advance(moment_ms)
            self._match_ranges(bars, moment_ms)
            self._settlement.settle_until(moment_ms)
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

    def _liquidate(self, now_ms: int) -> None:
        """Close what its margin no longer carries; its open orders are cancelled first."""
        symbols = self.account.overdrawn()
        for symbol in symbols:
            for order in self.orders.open_of(symbol):
                self._clearing.end(order, OrderStatus.CANCELED, now_ms)
        for symbol in symbols:
            self._force_close(symbol, AUTOCLOSE, now_ms)

    def _force_close(self, symbol: str, prefix: str, now_ms: int) -> None:
        held = self.account.amount(symbol)
        if not held:
            return
        client_id, side = f"{prefix}{self._clearing.last_order_id + 1}", Side.SELL if held > 0 else Side.BUY
        request = OrderRequest(client_id, symbol, side, abs(held), reduce_only=self.kind != "spot")
        price = self.tape.mark(symbol) or self.account.position(symbol).entry_price
        order = self._clearing.new_order(request, now_ms)
        self._clearing.fill(order, self._liquidity.unlimited(side, price, abs(held)), now_ms=now_ms)

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
            self._clearing.trade(order, touch, now_ms=now_ms)
        elif order.is_triggered != was_triggered:
            self._clearing.rest_or_expire(order, now_ms)

    # the client's side

    def place(self, request: OrderRequest, *, now_ms: int, fill_ratio: Decimal | None = None) -> Placed | NotPlaced:
        """Take an order: it fills now, rests, or expires. ``fill_ratio``: a scripted fault."""
        admitted = self._admission.admit(request)
        if isinstance(admitted, NotPlaced):
            return admitted
        with self._store.transaction():
            order = self._clearing.new_order(admitted, now_ms)
            price = self.tape.price(request.symbol)
            touch = None if price is None else touch_at_price(order, price, has_rested=False)
            if touch is not None:
                self._clearing.trade(order, touch, now_ms=now_ms, fill_ratio=fill_ratio)
            elif price is None and order.request.type not in LIMITS or order.waits_for_trigger:
                self._clearing.keep(order)
            else:
                self._clearing.rest_or_expire(order, now_ms)
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
            self._clearing.trade(order, Touch(order.request.price or price, is_maker=True), now_ms=now_ms)
        self._tell()

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        """The latest order with this id: an exchange lets an id be used again once its order is done."""
        return self.orders.latest(symbol, client_order_id)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        return list(self.orders.open.values()) if symbol is None else self.orders.open_of(symbol)

    def is_maker(self, trade_id: str) -> bool:
        return trade_id in self._clearing.maker_ids

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
        return self._settlement.next_funding(symbol)

    def past_funding(self, symbol: str, since_ms: int, until_ms: int) -> list[FundingEvent]:
        """The rates that fell due, whoever held a position."""
        return self._settlement.past_funding(symbol, since_ms, until_ms)

    def is_trading(self, symbol: str) -> bool:
        """False before the symbol's first bar and after its last."""
        return is_trading(self.tape, symbol)

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

    def _cancel(self, orders: list[Order], now_ms: int) -> None:
        with self._store.transaction():
            for order in orders:
                self._clearing.end(order, OrderStatus.CANCELED, now_ms)
        self._tell()

    def _note(self, event: UserEvent) -> None:
        self._news.append(event)

    def _tell(self) -> None:
        news, self._news = self._news, []
        for event in news:
            self._publish(event)
