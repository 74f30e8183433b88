"""Public market data as both dialects write them: klines, tickers, trades, the top of the book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.desk.core import DAY_MS, Core, Day
from brokers.desk.params import Params, plain
from brokers.desk.refusals import Refusal
from brokers.fills import as_decimal
from brokers.simulated.liquidity import Part
from ccxt_bt_bridge.series import INTERVALS
from ccxt_bt_bridge.words import Bar

ZERO = Decimal(0)
BOOK_AMOUNT = Decimal(1000)  # steps at the best price: the book is as deep as anyone asks


class MarketData:
    """``most_klines``: the largest page of this dialect."""

    def __init__(self, core: Core, *, most_klines: int) -> None:
        self._core, self._most_klines = core, most_klines
        self._trade_id = 0

    # answers

    async def klines(self, params: Params) -> list[list[Any]]:
        """Rows of ``[open time, o, h, l, c, v, close time, …]``; the last one is the bar that is still forming."""
        symbol = params.symbol()
        self._core.market(symbol)
        self._check_interval(params.text("interval"))
        limit = min(max(1, params.integer("limit", 500)), self._most_klines)
        since_ms = params.integer("startTime") if "startTime" in params else None
        until_ms = params.integer("endTime") if "endTime" in params else None
        await self._core.exchange.history(symbol, limit=0)
        bars = self._core.closed(symbol, since_ms=since_ms, until_ms=until_ms, limit=limit)
        forming = self._core.forming(symbol)
        if forming is not None and self._is_within(forming, since_ms, until_ms):
            bars.append(forming)
        return [self._row(bar) for bar in (bars[-limit:] if since_ms is None else bars[:limit])]

    async def ticker_24h(self, params: Params) -> Any:
        return self._each(params, self._statistics)

    async def price(self, params: Params) -> Any:
        return self._each(params, lambda s: {"symbol": s, "price": plain(self._core.price(s)), "time": self._now()})

    async def book_ticker(self, params: Params) -> Any:
        return self._each(params, self._book)

    async def trades(self, params: Params) -> list[dict[str, Any]]:
        """The market's last trade: the tape knows no more."""
        symbol = params.symbol()
        self._core.market(symbol)
        price, now = plain(self._core.price(symbol)), self._now()
        trade = {"id": self._trade_id, "price": price, "qty": "1", "quoteQty": price, "time": now}
        return [trade | {"isBuyerMaker": False}]

    async def depth(self, params: Params) -> dict[str, Any]:
        """The simulated book's levels, none while the symbol does not trade."""
        symbol, limit, now = params.symbol(), params.integer("limit", 500), self._now()
        self._core.market(symbol)
        bids, asks = (
            [[plain(p.price), plain(p.amount)] for p in side[:limit]] for side in self._core.venue.book(symbol)
        )
        return {"lastUpdateId": now, "E": now, "T": now, "bids": bids, "asks": asks}

    # events

    def kline_event(self, bar: Bar, *, closed: bool) -> dict[str, Any]:
        opened_ms = bar.time_ms - self._core.interval_ms
        quote = plain(bar.volume * bar.close)
        return {
            "e": "kline", "E": self._now(), "s": bar.symbol,
            "k": {
                "t": opened_ms, "T": bar.time_ms - 1, "s": bar.symbol, "i": self._core.interval, "f": 1, "L": 2,
                "o": plain(bar.open), "c": plain(bar.close), "h": plain(bar.high), "l": plain(bar.low),
                "v": plain(bar.volume), "n": 2, "x": closed, "q": quote, "V": "0", "Q": "0", "B": "0",
            },
        }  # fmt: skip

    def mini_ticker_event(self, symbol: str) -> dict[str, Any]:
        day = self._statistics(symbol)
        return {
            "e": "24hrMiniTicker", "E": self._now(), "s": symbol, "c": day["lastPrice"], "o": day["openPrice"],
            "h": day["highPrice"], "l": day["lowPrice"], "v": day["volume"], "q": day["quoteVolume"],
        }  # fmt: skip

    def ticker_event(self, symbol: str) -> dict[str, Any]:
        day = self._statistics(symbol)
        return self.mini_ticker_event(symbol) | {
            "e": "24hrTicker", "p": day["priceChange"], "P": day["priceChangePercent"], "w": day["weightedAvgPrice"],
            "Q": "1", "O": day["openTime"], "C": day["closeTime"], "F": 1, "L": 2, "n": day["count"],
        }  # fmt: skip

    def trade_event(self, symbol: str, name: str = "trade") -> dict[str, Any]:
        """``name``: "trade" or "aggTrade"."""
        self._trade_id += 1
        now = self._now()
        ids = {"a": self._trade_id, "f": self._trade_id, "l": self._trade_id} if name == "aggTrade" else {}
        return {
            "e": name, "E": now, "T": now, "s": symbol, "t": self._trade_id, "p": plain(self._core.price(symbol)),
            "q": plain(self._core.market(symbol).amount_step), "X": "MARKET", "m": False, **ids,
        }  # fmt: skip

    def book_event(self, symbol: str) -> dict[str, Any]:
        book = self._book(symbol)
        return {
            "u": self._now(), "s": symbol, "b": book["bidPrice"], "B": book["bidQty"], "a": book["askPrice"],
            "A": book["askQty"],
        }  # fmt: skip

    # pieces

    def _each(self, params: Params, answer: Any) -> Any:
        """For one symbol, or a list for all when none is named."""
        if "symbol" in params:
            self._core.market(params.symbol())
            return answer(params.symbol())
        return [answer(symbol) for symbol in self._core.markets]

    def _is_within(self, bar: Bar, since_ms: int | None, until_ms: int | None) -> bool:
        opened_ms = bar.time_ms - self._core.interval_ms
        return (since_ms is None or since_ms <= opened_ms) and (until_ms is None or opened_ms <= until_ms)

    def _check_interval(self, interval: str) -> None:
        if interval not in INTERVALS or INTERVALS[interval] != self._core.interval_ms:
            raise Refusal(-1120, f"Invalid interval: this market has {self._core.interval} bars.")

    def _row(self, bar: Bar) -> list[Any]:
        prices = [plain(number) for number in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
        opened_ms = bar.time_ms - self._core.interval_ms
        return [opened_ms, *prices, bar.time_ms - 1, plain(bar.volume * bar.close), 2, "0", "0", "0"]

    def _statistics(self, symbol: str) -> dict[str, Any]:
        price, now = self._core.price(symbol), self._now()
        flat = float(price)
        day = self._core.last_day(symbol) or Day(flat, flat, flat, 0.0, 0)
        opened = as_decimal(day.open)
        change = price - opened
        return {
            "symbol": symbol, "priceChange": plain(change), "weightedAvgPrice": plain(price),
            "priceChangePercent": plain(round(100 * change / opened, 3) if opened else None),
            "lastPrice": plain(price), "lastQty": "1", "openPrice": plain(opened), "highPrice": plain(day.high),
            "lowPrice": plain(day.low), "volume": plain(day.volume), "quoteVolume": plain(day.volume * flat),
            "openTime": now - DAY_MS, "closeTime": now, "firstId": 1, "lastId": 2, "count": 2 * day.bars,
        }  # fmt: skip

    def _book(self, symbol: str) -> dict[str, Any]:
        """Nothing bid and nothing asked while the symbol does not trade."""
        market, price = self._core.market(symbol), self._core.price(symbol)
        is_trading = self._core.venue.tape.price(symbol) is not None
        bid, ask = max(price - market.price_tick, market.price_tick), price + market.price_tick
        bid, ask, amount = (bid, ask, market.amount_step * BOOK_AMOUNT) if is_trading else (ZERO, ZERO, ZERO)
        return {
            "symbol": symbol, "bidPrice": plain(bid), "bidQty": plain(amount),
            "askPrice": plain(ask), "askQty": plain(amount), "time": self._now(),
        }  # fmt: skip

    def _now(self) -> int:
        return self._core.now_ms()


def _levels(side: list[Part]) -> list[list[str]]:
    return [[plain(one.price), plain(one.amount)] for one in side]
