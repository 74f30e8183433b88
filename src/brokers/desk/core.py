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
from brokers.simulated.venue import Venue
from ccxt_bt_bridge.series import INTERVALS
from ccxt_bt_bridge.words import Bar, Fill, Market

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Progress:
    """An order's cumulative amount and value right after one fill."""

    amount: Decimal
    value: Decimal


@dataclass(frozen=True, slots=True)
class Day:
    """``volume`` in base units; ``bars``: how many there were."""

    open: float
    high: float
    low: float
    volume: float
    bars: int


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
    def venue(self) -> Venue:
        """The exchange's inside."""
        return self.exchange.venue

    @property
    def markets(self) -> dict[str, Market]:
        return self.venue.markets

    def market(self, symbol: str) -> Market:
        """Raises -1121."""
        if symbol not in self.markets:
            raise unknown_symbol()
        return self.markets[symbol]

    @property
    def quote(self) -> str:
        """The currency the account is kept in."""
        return next(iter(self.markets.values())).quote

    def base(self, market: Market) -> str:
        """The base asset's name."""
        return market.base or market.symbol.removesuffix(market.quote)

    def is_trading(self, symbol: str) -> bool:
        return self.markets[symbol].is_open and self.venue.is_trading(symbol)

    def price(self, symbol: str) -> Decimal:
        """The price now, else the last close, else 0 before the first bar."""
        return self.venue.tape.valuation(symbol) or Decimal(0)

    # bars

    def closed(self, symbol: str, *, since_ms: int | None, until_ms: int | None, limit: int) -> list[Bar]:
        """Closed bars whose *open* lies in ``[since_ms, until_ms]``: the first ``limit`` of them, without ``since_ms``
        the last."""
        since = None if since_ms is None else since_ms + self.interval_ms
        until = None if until_ms is None else until_ms + self.interval_ms
        return list(self.exchange.tape.klines(symbol, since_ms=since, until_ms=until, limit=limit))

    def forming(self, symbol: str) -> Bar | None:
        """The bar that is open now, of which nothing but the open is known; None while the symbol is halted."""
        forming = self.exchange.tape.forming(symbol)
        if forming is None or self.venue.tape.price(symbol) is None:
            return None
        now = float(forming.open)
        return Bar(symbol, forming.close_ms, now, now, now, now, 0.0)

    def last_day(self, symbol: str) -> Day | None:
        """The closed bars of the last 24 hours in figures, None when there are none."""
        series, now_ms = self.exchange.source.series[symbol], self.exchange.market_ms
        start, stop = np.searchsorted(series.time_ms, (now_ms - DAY_MS, now_ms), side="right")
        if start == stop:
            return None
        high, low = series.high[start:stop].max(), series.low[start:stop].min()
        volume = float(series.volume[start:stop].sum())
        return Day(float(series.open[start]), float(high), float(low), volume, int(stop - start))

    # orders

    def order(self, symbol: str, *, order_id: int | None, client_id: str) -> Order | None:
        """By the exchange's id, else the latest with this client id."""
        if order_id is not None:
            order = self.venue.orders.by_id(order_id)
            return order if order is not None and order.request.symbol == symbol else None
        return self.venue.order(symbol, client_id)

    def order_of(self, fill: Fill) -> Order | None:
        return self.venue.orders.by_id(fill.order_id)

    def commission(self, fill: Fill) -> tuple[Decimal, str]:
        """What a trade cost, and in which asset."""
        market = self.markets[fill.symbol]
        return (fill.base_fee, self.base(market)) if fill.base_fee else (fill.fee, market.quote)

    def spot_balances(self) -> list[dict[str, str]]:
        """Every asset of the account; a holding is a position."""
        if self.venue.kind == "spot":
            return [_balance_row(one.asset, one.free, one.locked) for one in self.venue.balances()]
        account, quote = self.venue.report(self.now_ms()), self.quote
        totals = {
            quote: account.wallet,
            **{self.base(self.markets[one.symbol]): one.amount for one in account.positions},
        }
        return [_balance_row(asset, total, Decimal(0)) for asset, total in totals.items()]

    def progress(self, fill: Fill) -> Progress:
        """How far the order was right after this fill."""
        fills: Sequence[Fill] = self.venue.fills
        for one in fills[self._fills_read :]:
            was = self._sums.get(one.order_id, Progress(Decimal(0), Decimal(0)))
            now = Progress(was.amount + one.amount, was.value + one.amount * one.price)
            self._sums[one.order_id] = self._progress[one.trade_id] = now
        self._fills_read = len(fills)
        return self._progress[fill.trade_id]


def _balance_row(asset: str, free: Decimal, locked: Decimal) -> dict[str, str]:
    return {"asset": asset, "free": plain(free), "locked": plain(locked)}
