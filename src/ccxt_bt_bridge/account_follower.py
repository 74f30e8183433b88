"""The account as it is at the exchange: read at the start, after every fill and after every silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from ccxt_bt_bridge.account_view import AccountView
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.order_ledger import OrderLedger
from ccxt_bt_bridge.pause import Pause
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.words import Account, Fill, Market, PositionReport

LOOK_BACK_MS = 60_000  # fills are asked for from before the moment in question: clocks differ

log = logging.getLogger(__name__)


class AccountFollower:
    """Keeps ``account`` (an ``AccountView``) true, and the ledger's holdings with it. All on the exchange loop."""

    def __init__(
        self,
        trading: TradingPort,
        markets: Mapping[str, Market],
        ledger: OrderLedger,
        *,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self.account = AccountView(markets, Account(0, Decimal(0), ()))
        self._trading, self._ledger, self._clock, self._say = trading, ledger, clock, tell
        self._is_wanted = asyncio.Event()

    async def start(self) -> tuple[PositionReport, ...]:
        """The positions from before. Raises ``ExchangeUnreachable``."""
        account, fills = await self._settled(self._clock.now_ms() - LOOK_BACK_MS)
        self._ledger.begin({position.symbol: position.amount for position in account.positions}, fills)
        self.account.take_account(account)
        return account.positions

    async def follow(self) -> None:
        """Read the account whenever it has changed, for ever."""
        pause = Pause(self._clock)
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            try:
                self.account.take_account(await self._trading.account())
                pause.reset()
            except ExchangeUnreachable as error:
                log.warning("account_unreachable reason=%s", error)
                self._is_wanted.set()
                await pause.sleep()

    def has_changed(self) -> None:
        self._is_wanted.set()

    def book(self, fills: Sequence[Fill]) -> None:
        """Count the fills that were not counted before."""
        news = [fill for fill in fills if self._ledger.book(fill)]
        if news:
            self.has_changed()

    async def catch_up(self, since_ms: int) -> None:
        """Every fill since then, and the positions as they are; asks until there is an answer."""
        account = await self._booked(since_ms - LOOK_BACK_MS)
        self.account.take_account(account)
        for symbol in {*self._ledger.held, *(position.symbol for position in account.positions)}:
            self._correct(symbol, account)

    async def _booked(self, since_ms: int) -> Account:
        pause = Pause(self._clock)
        while True:
            try:
                account, fills = await self._settled(since_ms)
                self.book(fills)
                return account
            except ExchangeUnreachable as error:
                log.warning("catching_up_failed reason=%s", error)
                await pause.sleep()

    async def _settled(self, since_ms: int) -> tuple[Account, Sequence[Fill]]:
        """An account and the fills since a time that are all in it: none came while it was read."""
        fills = await self._trading.fills(since_ms=since_ms)
        while True:
            account = await self._trading.account()
            later = await self._trading.fills(since_ms=since_ms)
            if len(later) == len(fills):
                return account, fills
            fills = later

    def _correct(self, symbol: str, account: Account) -> None:
        """What no fill explains (a transfer, a fee in the coin) still moves the position, and is told."""
        entries = (position.entry_price for position in account.positions if position.symbol == symbol)
        price = next(entries, None) or self.account.close(symbol) or Decimal(0)
        change = self._ledger.correct(symbol, account.amount(symbol), price, account.time_ms)
        if change:
            self._say(f"{symbol}: the exchange holds {account.amount(symbol)}, {change:+} against what was counted")
