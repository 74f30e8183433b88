"""The account as REST answers and the user stream tell it together, whichever comes late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from ccxt_bt_bridge.account_rows import merge_spot, merge_usdm
from ccxt_bt_bridge.binance_account import BinanceAccount
from ccxt_bt_bridge.order_rows import Row
from ccxt_bt_bridge.words import Account

MERGEABLE = ("ACCOUNT_UPDATE", "outboundAccountPosition")
MOST_QUESTIONS = 3  # for an account that also says what is free, while the stream goes on talking


class MergedAccount:
    """``account`` is the latest known, None before the first answer; its time never goes back.

    An event tells balances and positions as they are, not what they changed by: what was heard while a question was
    out is put on top of its answer, whether that knew of it or not.
    """

    def __init__(self, reads: BinanceAccount, names: Mapping[str, str]) -> None:
        self._reads, self._names = reads, names
        self.account: Account | None = None
        self._numbers = count(1)
        self._answered = 0
        self._questions: dict[int, list[Row]] = {}

    async def ask(self) -> Account:
        """Never older than anything heard before. Raises ``ExchangeUnreachable``."""
        for _ in range(MOST_QUESTIONS):
            account = await self._ask_once()
            if account.free is not None:
                break
        return account

    def hear(self, event: Row) -> Account | None:
        """The account after an event; None when only asking can tell. Raises what an unreadable event raises."""
        if self.account is None or event.get("e") not in MERGEABLE:
            return None
        self.account = self._merged(self.account, event)
        for heard in self._questions.values():
            heard.append(event)
        return self.account

    async def _ask_once(self) -> Account:
        number = next(self._numbers)
        heard = self._questions[number] = []
        try:
            answer = await self._reads.account()
        finally:
            del self._questions[number]
        known = self.account
        if known is not None and number < self._answered:
            return known  # a later question was answered sooner
        self._answered = number
        account = replace(answer, time_ms=max(answer.time_ms, known.time_ms if known else 0))
        for event in heard:
            account = self._merged(account, event)
        self.account = account
        return account

    def _merged(self, account: Account, event: Row) -> Account:
        time_ms, quote, change = max(account.time_ms, int(event.get("E") or 0)), self._reads.quote, event.get("a")
        if isinstance(change, dict):
            return merge_usdm(account, change, quote=quote, names=self._names, time_ms=time_ms)
        return merge_spot(account, event, quote=quote, bases=self._reads.bases, time_ms=time_ms)
