"""What the account holds beside the pairs: never traded.

What is somebody else's is a reason to stay out of that symbol. What nobody can explain halts the bot, and a person who
closes it by hand takes it away again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from trading.journal.errors import JournalUnwritable
from trading.journal.writer import Journal

FOREIGN_KEY = "foreign"
UNEXPLAINED_KEY = "unexplained"
ZERO = Decimal(0)


class ForeignBook:
    """Signed amounts by symbol, kept in the journal. A spot wallet is its owner's: there, nothing is foreign."""

    def __init__(self, journal: Journal, rules: Mapping[str, Market]) -> None:
        self._journal, self._rules = journal, rules
        self._amounts: dict[str, Decimal] = {}
        self._unexplained: dict[str, Decimal] = {}
        self.is_known = False

    def restore(self) -> None:
        """From the journal; before the first reconciliation of a journal nothing is known."""
        kept = self._journal.risk_state(FOREIGN_KEY)
        self.is_known = kept is not None
        self._amounts = _decimals(kept or {})
        self._unexplained = _decimals(self._journal.risk_state(UNEXPLAINED_KEY) or {})

    def amount(self, symbol: str) -> Decimal:
        return self._amounts.get(symbol, ZERO)

    def symbols(self) -> tuple[str, ...]:
        return tuple(symbol for symbol, amount in self._amounts.items() if amount)

    def add(self, amounts: Mapping[str, Decimal]) -> None:
        """Durable before it returns, alone or inside the caller's transaction."""
        for symbol, amount in amounts.items():
            self._amounts[symbol] = self.amount(symbol) + amount
        self.is_known = True
        self._journal.save_risk_state(FOREIGN_KEY, _texts(self._amounts))

    def unexplained(self, symbol: str) -> Decimal:
        """What the exchange holds more than the ledger and strangers explain, as a person was told."""
        return self._unexplained.get(symbol, ZERO)

    def note_unexplained(self, amounts: Mapping[str, Decimal]) -> None:
        """What is not named is as it was. On a disk that refuses it, a restart finds it out again."""
        before, self._unexplained = self._unexplained, self._unexplained | dict(amounts)
        if _texts(before) != _texts(self._unexplained):
            with suppress(JournalUnwritable):
                self._journal.save_risk_state(UNEXPLAINED_KEY, _texts(self._unexplained))

    def difference(self, symbol: str, ledger: Decimal, exchange: Decimal) -> Decimal:
        """What neither the ledger nor strangers explain. On spot only what is missing counts."""
        if self._rules[symbol].kind == "spot":
            return min(exchange - ledger, ZERO)
        return exchange - self.amount(symbol) - ledger

    def reasons_against(self, symbols: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"foreign_position:{symbol}" for symbol in symbols if self.amount(symbol))


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {symbol: str(amount) for symbol, amount in amounts.items() if amount}


def _decimals(texts: Mapping[str, str]) -> dict[str, Decimal]:
    return {symbol: Decimal(amount) for symbol, amount in texts.items()}
