"""How orders become fills: booked on the account, kept in the store, told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from brokers.simulated.accounts import TradingAccount
from brokers.simulated.admission import reducible
from brokers.simulated.ledger import ZERO
from brokers.simulated.liquidity import Liquidity, Part
from brokers.simulated.matching import Touch
from brokers.simulated.order_book import OrderBook
from brokers.simulated.orders import Order
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.words import Fill, Market, OrderRequest, OrderStatus, UserEvent


class Clearing:
    """Works inside the venue's transaction; ``tell`` gets each order and fill. ``taker_fee`` as a fraction."""

    def __init__(
        self,
        markets: Mapping[str, Market],
        store: ExchangeStore,
        account: TradingAccount,
        *,
        orders: OrderBook,
        liquidity: Liquidity,
        taker_fee: Decimal,
        fills: Iterable[Fill],
        maker_ids: Iterable[str],
        tell: Callable[[UserEvent], None],
    ) -> None:
        self._markets, self._store, self._account = markets, store, account
        self._orders, self._liquidity, self._taker_fee, self._tell = orders, liquidity, taker_fee, tell
        self.fills, self.maker_ids = list(fills), set(maker_ids)
        self.last_order_id, self._last_trade_id = store.last_ids()

    def trade(self, order: Order, touch: Touch, *, now_ms: int, fill_ratio: Decimal | None = None) -> None:
        """Fill what the position, the balance and the market allow (a reduce-only order at most to flat)."""
        request, market = order.request, self._markets[order.request.symbol]
        wanted = order.remaining
        if request.reduce_only:
            wanted = reducible(self._account, request, wanted)
        if fill_ratio is not None:
            wanted = market.round_amount(wanted * fill_ratio)
        wanted = self._account.affordable(order, wanted, touch.price, list(self._orders.open.values()))
        parts = self._liquidity.parts(market, request.side, touch, wanted)
        if request.time_in_force == "FOK" and sum((part.amount for part in parts), ZERO) < order.remaining:
            parts = []
        self.fill(order, parts, now_ms=now_ms, is_maker=touch.is_maker)

    def fill(self, order: Order, parts: list[Part], *, now_ms: int, is_maker: bool = False) -> None:
        """The order's report comes before its fills."""
        fills = [self._book(order, part, now_ms=now_ms, is_maker=is_maker) for part in parts]
        if not order.remaining:
            self.end(order, OrderStatus.CLOSED, now_ms)
        else:
            self.rest_or_expire(order, now_ms)
        for fill in fills:
            self._tell(fill)

    def _book(self, order: Order, part: Part, *, now_ms: int, is_maker: bool) -> Fill:
        request = order.request
        charge = self._account.charge(request.side, part.amount, part.price, self._rate(request.symbol, is_maker))
        self._last_trade_id += 1
        ids = (str(self._last_trade_id), str(order.order_id), request.client_order_id, request.symbol)
        fill = Fill(*ids, request.side, part.amount, part.price, charge.fee, now_ms, charge.base_fee)
        order.fill(fill)
        self._account.apply_fill(fill)
        self._liquidity.consume(request.symbol, part.amount)
        self._store.save_fill(fill, is_maker=is_maker)
        self.fills.append(fill)
        if is_maker:
            self.maker_ids.add(fill.trade_id)
        return fill

    def _rate(self, symbol: str, is_maker: bool) -> Decimal:
        maker_fee = self._markets[symbol].maker_fee
        return maker_fee if is_maker and maker_fee is not None else self._taker_fee

    def rest_or_expire(self, order: Order, now_ms: int) -> None:
        request = order.request
        has_use = not request.reduce_only or reducible(self._account, request, order.remaining)
        if order.may_rest and has_use:
            self.keep(order)
        else:
            self.end(order, OrderStatus.EXPIRED, now_ms)

    def new_order(self, request: OrderRequest, now_ms: int) -> Order:
        self.last_order_id += 1
        return Order(self.last_order_id, request, now_ms, now_ms)

    def end(self, order: Order, status: OrderStatus, now_ms: int) -> None:
        order.end(status, now_ms)
        self.keep(order)

    def keep(self, order: Order) -> None:
        self._orders.keep(order)
        self._store.save_order(order)
        self._tell(order.report())
