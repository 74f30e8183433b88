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
STREAM_LATE_MS = 500  # the stream's time to bring the account that a fill has changed, before it is asked for

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
        self._changed_ms = 0

    async def start(self) -> tuple[PositionReport, ...]:
        """The positions from before. Raises ``ExchangeUnreachable``."""
        account, fills = await self._settled(self._clock.now_ms() - LOOK_BACK_MS)
        self._ledger.begin({position.symbol: position.amount for position in account.positions}, fills)
        self.account.take_account(account)
        return account.positions

    async def follow(self) -> None:
        """Read the account when it has changed and the stream did not say how, for ever."""
        pause = Pause(self._clock)
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            await self._clock.sleep_until(self._clock.now_ms() + STREAM_LATE_MS)
            if self.account.account.time_ms >= self._changed_ms:
                continue
            try:
                self.account.take_account(await self._trading.account())
                pause.reset()
            except ExchangeUnreachable as error:
                log.warning("account_unreachable reason=%s", error)
                self._is_wanted.set()
                await pause.sleep()

    def hear(self, account: Account) -> None:
        """The stream's account. Where it leaves out what is free, that is read."""
        self.account.take_account(account)
        if account.free is None:
            self.has_changed(account.time_ms + 1)

    def has_changed(self, time_ms: int) -> None:
        """At this time, by the exchange's word: an account from before it is not true any more."""
        self._changed_ms = max(self._changed_ms, time_ms)
        self._is_wanted.set()

    def book(self, fills: Sequence[Fill]) -> None:
        """Count the fills that were not counted before."""
        news = [fill for fill in fills if self._ledger.book(fill)]
        if news:
            self.has_changed(max(fill.time_ms for fill in news))

    async def correct_positions(self) -> None:
        """After a silence, when the port has told all that it missed: what no fill explains still moves a position.

        An account may show a fill before the list of trades does: only a difference that stays is believed, and none
        of a symbol that has an order under way.
        """
        pause = Pause(self._clock)
        seen: dict[str, Decimal] = {}
        while self._differs(self.account.account):
            try:
                account, fills = await self._settled(self._clock.now_ms() - LOOK_BACK_MS)
            except ExchangeUnreachable as error:
                log.warning("positions_unreachable reason=%s", error)
                await pause.sleep()
                continue
            self.book(fills)
            self.account.take_account(account)
            busy = {order.request.symbol for order in self._ledger.orders}
            now = {
                symbol: account.amount(symbol) - self._ledger.held.get(symbol, 0) for symbol in self._symbols(account)
            }
            for symbol, difference in now.items():
                if difference and seen.get(symbol) == difference and symbol not in busy:
                    self._correct(symbol, account)
            seen = now
            if self._differs(account):
                await pause.sleep()

    def _differs(self, account: Account) -> bool:
        return any(account.amount(symbol) != self._ledger.held.get(symbol, 0) for symbol in self._symbols(account))

    def _symbols(self, account: Account) -> set[str]:
        return {*self._ledger.held, *(position.symbol for position in account.positions)}

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
        """A transfer, or a fee in the coin."""
        entries = (position.entry_price for position in account.positions if position.symbol == symbol)
        price = next(entries, None) or self.account.close(symbol) or Decimal(0)
        change = self._ledger.correct(symbol, account.amount(symbol), price, account.time_ms)
        if change:
            self._say(f"{symbol}: the exchange holds {account.amount(symbol)}, {change:+} against what was counted")
