"""The last prices between bars that may be believed: finite, not a lone jump, and of one moment for both legs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ccxt_bt_bridge.words import Quote

TOGETHER_MS = 5_000  # prices of legs that are further apart than this make a spread that never was


@dataclass(frozen=True, slots=True)
class _Seen:
    price: float
    time_ms: int


class LivePrices:
    """``max_jump_pct``: a price further than this from the symbol's last is believed once a later one is near it.

    ``tell`` gets a sentence for every price that is not believed at first; once until one is.
    """

    def __init__(self, *, max_jump_pct: float, tell: Callable[[str], None]) -> None:
        self._most, self._tell = max_jump_pct / 100.0, tell
        self._last: dict[str, _Seen] = {}
        self._closes: dict[str, float] = {}
        self._suspects: dict[str, _Seen] = {}

    def note_close(self, symbol: str, price: float) -> None:
        """A bar's close: what the first price between bars is compared with."""
        self._closes[symbol] = price

    def admit(self, quote: Quote) -> bool:
        """Take a price; False when it says nothing: no number, older than the last, or a jump that stands alone."""
        seen, last = _Seen(float(quote.price), quote.time_ms), self._last.get(quote.symbol)
        if last is not None and seen.time_ms < last.time_ms:
            return False
        if not self._is_believed(quote.symbol, seen, last):
            return False
        self._last[quote.symbol] = seen
        self._suspects.pop(quote.symbol, None)
        return True

    def together(self, symbols: Iterable[str]) -> dict[str, float] | None:
        """The price of each symbol, when all are known and of one moment."""
        seen = {symbol: self._last.get(symbol) for symbol in symbols}
        known = {symbol: one for symbol, one in seen.items() if one is not None}
        times = [one.time_ms for one in known.values()]
        if len(known) < len(seen) or max(times) - min(times) > TOGETHER_MS:
            return None
        return {symbol: one.price for symbol, one in known.items()}

    def _is_believed(self, symbol: str, seen: _Seen, last: _Seen | None) -> bool:
        reference = last.price if last is not None else self._closes.get(symbol, seen.price)
        is_number = math.isfinite(seen.price) and seen.price > 0.0
        if is_number and self._is_near(seen.price, reference):
            return True
        suspect = self._suspects.get(symbol)
        if is_number and suspect and seen.time_ms > suspect.time_ms and self._is_near(seen.price, suspect.price):
            return True
        if suspect is None:
            self._tell(f"a price of {symbol} is not believed before a second one is near it: {seen.price:g}")
        # What is no number can be confirmed by nothing: the next price begins anew.
        self._suspects[symbol] = seen
        return False

    def _is_near(self, price: float, reference: float) -> bool:
        return abs(price - reference) <= self._most * reference
