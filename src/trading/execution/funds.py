"""Whether the account can carry both legs of an entry, before the first is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.words import Account, Market
from pairs.words import PairOrder
from trading.execution.pair_ledger import PairLedger

ZERO = Decimal(0)
FRESH_MS = 10_000
PATIENCE_S = 5.0


class Funds:
    """Keeps the last account that said what is free, and what entries under way will still take of that.

    ``leverage``: of futures; margin is notional divided by it. An account that cannot be read carries nothing.
    """

    def __init__(
        self, trading: TradingPort, ledger: PairLedger, clock: Clock, rules: Mapping[str, Market], *, leverage: Decimal
    ) -> None:
        self._trading, self._ledger, self._clock, self._rules = trading, ledger, clock, rules
        self._leverage = leverage
        self._account: Account | None = None
        self._noted_ms = 0
        self._under_way: dict[str, PairOrder] = {}
        self._claims: dict[str, Decimal] = {}
        self._asking: asyncio.Task[None] | None = None

    def note(self, account: Account) -> None:
        """An account that was read, for whatever reason: it knows of what has filled of the entries under way."""
        if account.free is None or self._account is not None and account.time_ms < self._account.time_ms:
            return
        self._account, self._noted_ms = account, self._clock.now_ms()
        self._claims = {pair_id: self._quote_needed(order) for pair_id, order in self._under_way.items()}

    async def reasons_against(self, order: PairOrder) -> tuple[str, ...]:
        """None: then what the order needs is claimed until ``release``."""
        account = await self._known()
        if account is None or account.free is None:
            return ("account_unknown",)
        needed = self._quote_needed(order)
        if needed > account.free - sum(self._claims.values(), ZERO):
            return ("insufficient_funds",)
        self._under_way[order.pair_id], self._claims[order.pair_id] = order, needed
        return ()

    def release(self, pair_id: str) -> None:
        """The entry is over. What it holds stays claimed until an account is read that knows of it."""
        order = self._under_way.pop(pair_id, None)
        if order is not None and not any(self._ledger.quantity(pair_id, leg.symbol) for leg in order.legs):
            self._claims.pop(pair_id, None)

    def _quote_needed(self, order: PairOrder) -> Decimal:
        """Of what has not filled yet: margin (futures) or the price (spot purchases), and fees."""
        needed = ZERO
        for leg in order.legs:
            rules, missing = self._rules[leg.symbol], leg.quantity - self._ledger.quantity(order.pair_id, leg.symbol)
            notional = abs(missing) * Decimal(repr(leg.reference_price))
            if rules.kind != "spot":
                needed += notional / self._leverage
            elif missing > 0:
                needed += notional
            needed += notional * rules.taker_fee
        return needed

    async def _known(self) -> Account | None:
        """The account as of a few seconds ago; one question for all who ask meanwhile."""
        if self._account is not None and self._clock.now_ms() - self._noted_ms <= FRESH_MS:
            return self._account
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.shield(self._asking)
        except TimeoutError:
            return None
        is_fresh = self._clock.now_ms() - self._noted_ms <= FRESH_MS
        return self._account if is_fresh else None

    async def _ask(self) -> None:
        try:
            self.note(await self._trading.account())
        except ExchangeUnreachable:
            return
