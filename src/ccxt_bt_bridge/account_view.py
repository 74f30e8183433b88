"""Cash and value as a strategy may read them at any time: the last account the exchange told, at the last closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from ccxt_bt_bridge.broker import CashView
from ccxt_bt_bridge.words import Account, Market, PositionReport

SPOT = "spot"


class AccountView:
    """``view`` is replaced whole, never changed: any thread may read it. Quote currency.

    Value: the wallet, and for a future its unrealised profit, for a spot holding its worth. A position in a symbol
    whose price was never told counts nothing beyond the wallet.
    """

    def __init__(self, markets: Mapping[str, Market], account: Account) -> None:
        self._markets = markets
        self._account = account
        self._closes: dict[str, float] = {}
        self.view = self._new_view()

    @property
    def account(self) -> Account:
        return self._account

    def take_account(self, account: Account) -> None:
        """An account older than the known one is no news. One that does not say what is free leaves that as it was."""
        if account.time_ms >= self._account.time_ms:
            self._account = account if account.free is not None else replace(account, free=self._account.free)
            self.view = self._new_view()

    def take_closes(self, closes: Mapping[str, float]) -> None:
        self._closes.update(closes)
        self.view = self._new_view()

    def close(self, symbol: str) -> Decimal | None:
        """The symbol's last close."""
        close = self._closes.get(symbol)
        return None if close is None else Decimal(repr(close))

    def _new_view(self) -> CashView:
        wallet, free = self._account.wallet, self._account.free
        worth = sum(map(self._worth, self._account.positions))
        return CashView(float(wallet if free is None else free), float(wallet) + worth)

    def _worth(self, position: PositionReport) -> float:
        close, market = self._closes.get(position.symbol), self._markets.get(position.symbol)
        if close is None or market is None:
            return 0.0
        base = 0.0 if market.kind == SPOT else float(position.entry_price)
        return float(position.amount) * (close - base)
