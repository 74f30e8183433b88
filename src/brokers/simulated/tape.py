"""What the venue reads of its market: recorded or live, never more than can be known now."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from ccxt_bt_bridge.words import Bar


class Tape(Protocol):
    """Moves forward only. Symbols are those of the venue's markets."""

    time_ms: int

    def advance(self, time_ms: int) -> tuple[Bar, ...]:
        """Go to ``time_ms`` and return the bars that closed on the way."""

    def price(self, symbol: str) -> Decimal | None:
        """The price now; None when there is none: halted, not begun or over."""

    def last_bars(self) -> list[Bar]:
        """The last closed bar of each symbol that has one."""

    def last_close(self, symbol: str) -> Decimal | None: ...

    def valuation(self, symbol: str) -> Decimal | None:
        """The price now, else the last close."""

    def mark(self, symbol: str) -> Decimal | None:
        """The last close, before the first the price now."""

    def has_begun(self, symbol: str) -> bool: ...

    def is_over(self, symbol: str) -> bool: ...

    def covers(self, bar: Bar, created_ms: int) -> bool:
        """True when an order of that time may be measured against the whole range of the bar."""

    def halt(self, symbol: str, until_ms: int) -> None:
        """There is no price of the symbol until then."""
