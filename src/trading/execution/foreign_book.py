"""What the account holds beside the pairs: never traded.

What is somebody else's is a reason to stay out of that symbol. What nobody can explain halts the bot, and a person who
closes it by hand takes it away again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from ccxt_bt_bridge.words import Fill, Market
from trading.journal.errors import JournalUnwritable
from trading.journal.writer import Journal

FOREIGN_KEY = "foreign"
UNEXPLAINED_KEY = "unexplained"
ZERO = Decimal(0)


class Unexplained(NamedTuple):
    """Signed, in base units, and since when a person knows of it, ms UTC."""

    amount: Decimal
    since_ms: int


NOTHING = Unexplained(ZERO, 0)


class ForeignBook:
    """Signed amounts by symbol, kept in the journal. A spot wallet is its owner's: there, nothing is foreign."""

    def __init__(self, journal: Journal, rules: Mapping[str, Market]) -> None:
        self._journal, self._rules = journal, rules
        self._amounts: dict[str, Decimal] = {}
        self._unexplained: dict[str, Unexplained] = {}
        self._wallets: dict[str, tuple[Decimal, int]] = {}
        self.is_known = False

    def restore(self) -> None:
        """From the journal; before the first reconciliation of a journal nothing is known."""
        kept = self._journal.risk_state(FOREIGN_KEY)
        self.is_known = kept is not None
        amounts = {symbol: Decimal(amount) for symbol, amount in (kept or {}).items()}
        self._amounts = {symbol: amount for symbol, amount in amounts.items() if not self.is_owners(symbol)}
        unexplained = self._journal.risk_state(UNEXPLAINED_KEY) or {}
        self._unexplained = {symbol: _unexplained(text) for symbol, text in unexplained.items()}

    def amount(self, symbol: str) -> Decimal:
        return self._amounts.get(symbol, ZERO)

    def symbols(self) -> tuple[str, ...]:
        return tuple(symbol for symbol, amount in self._amounts.items() if amount)

    def add(self, amounts: Mapping[str, Decimal]) -> None:
        """Durable before it returns, alone or inside the caller's transaction."""
        for symbol, amount in amounts.items():
            if not self.is_owners(symbol):
                self._amounts[symbol] = self.amount(symbol) + amount
        self.is_known = True
        kept = {symbol: str(amount) for symbol, amount in self._amounts.items() if amount}
        self._journal.save_risk_state(FOREIGN_KEY, kept)

    def is_owners(self, symbol: str) -> bool:
        """What is not a pair's lies in its owner's wallet."""
        return symbol in self._rules and self._rules[symbol].kind == "spot"

    def note_wallets(self, beside: Mapping[str, Decimal], now_ms: int) -> None:
        """What the wallet of an owner was seen to hold beside the pairs. ``now_ms``: not after what was seen."""
        self._wallets |= {symbol: (amount, now_ms) for symbol, amount in beside.items()}

    def uncovered(self, fill: Fill) -> Decimal:
        """How much of an owner's trade their own coins do not cover: all, while nobody knows how many there are."""
        if fill.symbol not in self._wallets:
            return fill.amount
        return min(fill.amount, max(ZERO, -self._beside_after(fill)))

    def note_owners(self, fill: Fill) -> None:
        """An owner's trade that is booked."""
        if fill.symbol in self._wallets:
            _, seen_ms = self._wallets[fill.symbol]
            self._wallets[fill.symbol] = max(ZERO, self._beside_after(fill)), seen_ms

    def _beside_after(self, fill: Fill) -> Decimal:
        beside, seen_ms = self._wallets[fill.symbol]
        return beside + fill.position_change if fill.time_ms > seen_ms else beside

    def unexplained(self, symbol: str, at_ms: int) -> Decimal:
        """What the exchange holds more than the ledger and strangers explain, as a person had been told at a moment."""
        known = self._unexplained.get(symbol, NOTHING)
        return known.amount if at_ms >= known.since_ms else ZERO

    def note_unexplained(self, amounts: Mapping[str, Decimal], now_ms: int) -> None:
        """What is not named is as it was. On a disk that refuses it, a restart finds it out again."""
        known = self._unexplained
        changed = {s: amount for s, amount in amounts.items() if amount != known.get(s, NOTHING).amount}
        self._keep_unexplained({symbol: Unexplained(amount, now_ms) for symbol, amount in changed.items()})

    def mend(self, symbol: str, amount: Decimal) -> None:
        """So much of what could not be explained has been closed."""
        known = self._unexplained[symbol]
        self._keep_unexplained({symbol: Unexplained(known.amount + amount, known.since_ms)})

    def _keep_unexplained(self, changed: Mapping[str, Unexplained]) -> None:
        if changed:
            self._unexplained = {s: one for s, one in (self._unexplained | dict(changed)).items() if one.amount}
            kept = {symbol: [str(one.amount), one.since_ms] for symbol, one in self._unexplained.items()}
            with suppress(JournalUnwritable):
                self._journal.save_risk_state(UNEXPLAINED_KEY, kept)

    def difference(self, symbol: str, ledger: Decimal, exchange: Decimal) -> Decimal:
        """What neither the ledger nor strangers explain. On spot only what is missing counts."""
        if self.is_owners(symbol):
            return min(exchange - ledger, ZERO)
        return exchange - self.amount(symbol) - ledger

    def reasons_against(self, symbols: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"foreign_position:{symbol}" for symbol in symbols if self.amount(symbol))


def _unexplained(kept: Any) -> Unexplained:
    """Journals of before a time was kept hold the amount alone."""
    amount, since_ms = kept if isinstance(kept, list) else (kept, 0)
    return Unexplained(Decimal(amount), since_ms)
