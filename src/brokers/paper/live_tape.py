"""A live market as the venue's tape: what has been seen of it so far."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from brokers.fills import as_decimal
from ccxt_bt_bridge.words import Bar, Quote


class LiveTape:
    """A ``Tape``. The price is the last that was seen, in a quote or as a bar's close."""

    def __init__(self, interval_ms: int, time_ms: int) -> None:
        self.time_ms = time_ms
        self._interval_ms = interval_ms
        self._incoming: list[Bar] = []
        self._last: dict[str, Bar] = {}
        self._prices: dict[str, Decimal] = {}
        self._over: set[str] = set()
        self._halted_until: dict[str, int] = {}

    def recall(self, bar: Bar) -> None:
        """A bar that the account has seen in an earlier life, or that closed before it was opened."""
        self._last[bar.symbol] = bar
        self._prices[bar.symbol] = as_decimal(bar.close)

    def put(self, bars: Iterable[Bar]) -> None:
        """Closed bars, told of by the next ``advance``; one that is not later than the symbol's last is dropped."""
        for bar in bars:
            last = self._last.get(bar.symbol)
            if last is None or bar.time_ms > last.time_ms:
                self.recall(bar)
                self._incoming.append(bar)

    def observe(self, quote: Quote) -> None:
        self._prices[quote.symbol] = quote.price

    def end(self, symbol: str) -> None:
        """The symbol trades no more."""
        self._over.add(symbol)

    def advance(self, time_ms: int) -> tuple[Bar, ...]:
        self.time_ms = max(self.time_ms, time_ms)
        closed, self._incoming = tuple(self._incoming), []
        return closed

    def price(self, symbol: str) -> Decimal | None:
        is_halted = symbol in self._over or self.time_ms < self._halted_until.get(symbol, 0)
        return None if is_halted else self._prices.get(symbol)

    def last_bars(self) -> list[Bar]:
        return list(self._last.values())

    def last_close(self, symbol: str) -> Decimal | None:
        last = self._last.get(symbol)
        return None if last is None else as_decimal(last.close)

    def valuation(self, symbol: str) -> Decimal | None:
        return self._prices.get(symbol)

    def mark(self, symbol: str) -> Decimal | None:
        return self._prices.get(symbol)

    def has_begun(self, symbol: str) -> bool:
        return symbol in self._prices

    def is_over(self, symbol: str) -> bool:
        return symbol in self._over

    def covers(self, bar: Bar, created_ms: int) -> bool:
        """Only an order that was there when the bar opened: the range may be older than a later one."""
        return created_ms <= bar.time_ms - self._interval_ms

    def halt(self, symbol: str, until_ms: int) -> None:
        self._halted_until[symbol] = until_ms
