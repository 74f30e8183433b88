"""What the account holds that is not the bot's: never traded, and a reason to stay out of that symbol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from trading.journal.writer import Journal

FOREIGN_KEY = "foreign"
ZERO = Decimal(0)


class ForeignBook:
    """Signed amounts by symbol, kept in the journal. A spot wallet is its owner's: there, nothing is foreign."""

    def __init__(self, journal: Journal, rules: Mapping[str, Market]) -> None:
        self._journal, self._rules = journal, rules
        self._amounts: dict[str, Decimal] = {}
        self.is_known = False

    def restore(self) -> None:
        """From the journal; before the first reconciliation of a journal nothing is known."""
        kept = self._journal.risk_state(FOREIGN_KEY)
        self.is_known = kept is not None
        self._amounts = {symbol: Decimal(amount) for symbol, amount in (kept or {}).items()}

    def amount(self, symbol: str) -> Decimal:
        return self._amounts.get(symbol, ZERO)

    def symbols(self) -> tuple[str, ...]:
        return tuple(symbol for symbol, amount in self._amounts.items() if amount)

    def add(self, amounts: Mapping[str, Decimal]) -> None:
        """Durable before it returns, alone or inside the caller's transaction."""
        for symbol, amount in amounts.items():
            self._amounts[symbol] = self.amount(symbol) + amount
        self.is_known = True
        self._journal.save_risk_state(FOREIGN_KEY, {s: str(amount) for s, amount in self._amounts.items() if amount})

    def difference(self, symbol: str, ledger: Decimal, exchange: Decimal) -> Decimal:
        """What neither the ledger nor strangers explain. On spot only what is missing counts."""
        if self._rules[symbol].kind == "spot":
            return min(exchange - ledger, ZERO)
        return exchange - self.amount(symbol) - ledger

    def reasons_against(self, symbols: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"foreign_position:{symbol}" for symbol in symbols if self.amount(symbol))
