"""What the server reads of the simulated exchange beyond its ports, with Binance's refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from brokers.desk.params import plain
from brokers.desk.refusals import unknown_symbol
from brokers.simulated.exchange import SimulatedExchange
from brokers.simulated.orders import Order
from ccxt_bt_bridge.series import INTERVALS
from ccxt_bt_bridge.words import Bar, Fill, Market

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Progress:
    """An order's cumulative amount and value right after one fill."""

    amount: Decimal
    value: Decimal


class Core:
    """One simulated exchange and its clock, shared by every dialect in front of it."""

    def __init__(self, exchange: SimulatedExchange, now_ms: Callable[[], int]) -> None:
        self.exchange, self.now_ms = exchange, now_ms
        self.interval_ms = exchange.source.interval_ms
        self.interval = next(text for text, length in INTERVALS.items() if length == self.interval_ms)
        self._progress: dict[str, Progress] = {}
        self._sums: dict[str, Progress] = {}
        self._fills_read = 0

    @property
    def markets(self) -> dict[str, Market]:
        return self.exchange.venue.markets

    def market(self, symbol: str) -> Market:
        """Raises -1121."""
        if symbol not in self.markets:
            raise unknown_symbol()
        return self.markets[symbol]

    def base(self, market: Market) -> str:
        """The base asset's name."""
        return market.base or market.symbol.removesuffix(market.quote)

    def is_trading(self, symbol: str) -> bool:
        tape = self.exchange.venue.tape
        return tape.has_begun(symbol) and not tape.is_over(symbol)

    def price(self, symbol: str) -> Decimal:
        """The price now, else the last close, else 0 before the first bar."""
        tape = self.exchange.venue.tape
        return tape.price(symbol) or tape.last_close(symbol) or Decimal(0)

    # bars

    def closed(self, symbol: str, *, since_ms: int, until_ms: int, limit: int, newest: bool) -> list[Bar]:
        """Closed bars whose *open* lies in ``[since_ms, until_ms]``: the first ``limit`` of them, or the newest."""
        series = self.exchange.source.series[symbol]
        opens = series.time_ms - self.interval_ms
        start = int(np.searchsorted(opens, since_ms, side="left"))
        stop = int(np.searchsorted(opens, until_ms, side="right"))
        stop = min(stop, int(np.searchsorted(series.time_ms, self.exchange.market_ms, side="right")))
        chosen = range(max(start, stop - limit), stop) if newest else range(start, min(stop, start + limit))
        return [series.bar(at) for at in chosen]

    def forming(self, symbol: str) -> Bar | None:
        """The bar that is open now, of which nothing but the open is known; None while the symbol is halted."""
        price = self.exchange.venue.tape.price(symbol)
        if price is None:
            return None
        opened_ms = self.exchange.market_ms // self.interval_ms * self.interval_ms
        now = float(price)
        return Bar(symbol, opened_ms + self.interval_ms, now, now, now, now, 0.0)

    def last_day(self, symbol: str) -> list[Bar]:
        """Closed bars of the last 24 hours."""
        since_ms = self.exchange.market_ms - DAY_MS
        return self.closed(symbol, since_ms=since_ms, until_ms=2**62, limit=1_500, newest=True)

    # orders

    def order(self, symbol: str, *, order_id: int | None, client_id: str) -> Order | None:
        """By the exchange's id, else the latest with this client id."""
        if order_id is not None:
            order = self.exchange.venue.orders.by_id(order_id)
            return order if order is not None and order.request.symbol == symbol else None
        return self.exchange.venue.order(symbol, client_id)

    def order_of(self, fill: Fill) -> Order | None:
        return self.exchange.venue.orders.by_id(int(fill.order_id))

    def commission(self, fill: Fill) -> tuple[Decimal, str]:
        """What a trade cost, and in which asset."""
        market = self.markets[fill.symbol]
        return (fill.base_fee, self.base(market)) if fill.base_fee else (fill.fee, market.quote)

    def spot_balances(self) -> list[dict[str, str]]:
        """Every asset of the account; a holding is a position."""
        account = self.exchange.venue.report(self.now_ms())
        quote = next(iter(self.markets.values())).quote
        totals = {
            quote: account.wallet,
            **{self.base(self.markets[one.symbol]): one.amount for one in account.positions},
        }
        return [{"asset": asset, "free": plain(total), "locked": "0"} for asset, total in totals.items()]

    def progress(self, fill: Fill) -> Progress:
        """How far the order was right after this fill."""
        fills: Sequence[Fill] = self.exchange.venue.fills
        for one in fills[self._fills_read :]:
            was = self._sums.get(one.order_id, Progress(Decimal(0), Decimal(0)))
            now = Progress(was.amount + one.amount, was.value + one.amount * one.price)
            self._sums[one.order_id] = self._progress[one.trade_id] = now
        self._fills_read = len(fills)
        return self._progress[fill.trade_id]
