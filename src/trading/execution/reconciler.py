"""Ledger and exchange compared, at the start and ever after: fills are adopted, never invented.

A read that failed says nothing: it is never "flat". A difference must show twice, and survive one question for the
fills behind it, before anything is done about it; what stays unexplained halts the bot until a person has looked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.words import Account, Market
from trading.execution.foreign_book import ForeignBook
from trading.execution.leg_orders import LegOrders
from trading.execution.pair_book import PairBook
from trading.journal.errors import JournalUnwritable
from trading.journal.writer import Journal

SECOND_LOOK_S = 2.0
FIRST_LOOKS = 4  # what a start reads may be older than the fills that it has heard of
AGREED_KEY = "agreed"
KEEP_AGREED_MS = 3_600_000
OVERLAP_MS = 60_000
LOOK_BACK_MS = 7 * 86_400_000  # for whose trades made a position that no journal knows; what Binance gives at once
UNREACHABLE_ALARM_S = 120.0
ZERO = Decimal(0)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Ledger and exchange disagree on a symbol of ours; ``foreign``: what is known to be somebody else's."""

    symbol: str
    ledger: Decimal
    exchange: Decimal
    foreign: Decimal = ZERO

    def __str__(self) -> str:
        beside = f", of which {self.foreign} is not the bot's" if self.foreign else ""
        return f"{self.symbol}: the journal holds {self.ledger}, the exchange {self.exchange}{beside}"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """When both were last seen to agree, and what the exchange held then, by symbol."""

    time_ms: int
    exchange: Mapping[str, Decimal]


class Reconciler:
    """``every_s`` seconds pass between looks. ``last``: None until ledger and exchange have agreed once.

    ``on_agreed(symbols)`` after each look at those that agree, ``on_whole`` when none differs.
    """

    def __init__(
        self,
        *,
        trading: TradingPort,
        orders: LegOrders,
        journal: Journal,
        book: PairBook,
        foreign: ForeignBook,
        rules: Mapping[str, Market],
        clock: Clock,
        every_s: float,
        account: str = "",
    ) -> None:
        self.last: Reconciled | None = None
        self.on_account: Callable[[Account], None] = lambda account: None
        self._trading, self._orders, self._journal = trading, orders, journal
        self._book, self._foreign = book, foreign
        self._rules, self._clock, self._every_s = rules, clock, every_s
        self._account = account  # its name, where one guard has several
        self._suspects: dict[str, Decimal] = {}
        self._wants_second_look = False
        self._told = ""
        self.on_agreed: Callable[[Collection[str]], None] = lambda symbols: None
        self.on_whole: Callable[[], None] = lambda: None
        self._wanted = asyncio.Event()
        self._unreachable_since_s: float | None = None
        self._agreed_ms: dict[str, int] = {}
        self._begun_ms = self._kept_ms = 0
        self._new: frozenset[str] = frozenset()

    # at the start

    def restore(self) -> None:
        """From the journal alone, before anything is heard: who holds what beside the pairs, and since when to ask."""
        self._foreign.restore()
        self._begun_ms = self._clock.now_ms()
        self._agreed_ms = self._journal.risk_state(AGREED_KEY) or self._guessed_ms()
        self._new = frozenset(self._rules) - self._agreed_ms.keys()

    def _guessed_ms(self) -> dict[str, int]:
        """Of a journal that does not say since when: nothing has been missed before the newest fill."""
        last_fills_ms = self._journal.last_fills_ms()
        if not last_fills_ms and not self._foreign.is_known:
            return {}
        since_ms = max(last_fills_ms.values(), default=self._begun_ms)
        return dict.fromkeys(self._rules, since_ms) | last_fills_ms

    async def begin(self, symbols: Iterable[str]) -> tuple[Mismatch, ...]:
        """Compare before anything is traded, after ``restore``. Raises ExchangeUnreachable when the exchange cannot be
        asked.

        What is held of a symbol that this journal never had to do with is taken for somebody else's, unless this bot's
        orders made it.
        """
        symbols, asked_ms = tuple(symbols), self._clock.now_ms()
        account = await self._trading.account()
        await self._take_over(account, self._new.intersection(symbols))
        differing = self._mismatches(account, symbols)
        for look in range(FIRST_LOOKS):
            if not differing:
                break
            await asyncio.sleep(SECOND_LOOK_S if look else 0.0)
            await self._adopt_fills(m.symbol for m in differing)
            asked_ms = self._clock.now_ms()
            account = await self._trading.account()
            differing = self._mismatches(account, symbols)
        self._note_unexplained(symbols, differing)
        self._note(account, symbols, differing, asked_ms)
        self._keep_agreed()
        for symbol in self._foreign.symbols():
            self._book.alarm(f"{symbol}: the account holds {self._foreign.amount(symbol)} that is not this bot's", None)
        return differing

    async def _take_over(self, account: Account, symbols: Collection[str]) -> None:
        if not symbols:
            return
        held = {m.symbol: m.exchange - m.foreign - m.ledger for m in self._mismatches(account, symbols)}
        held = {symbol: amount for symbol, amount in held.items() if self._rules[symbol].kind != "spot"}
        orphans = await self._orphans(held)
        self._foreign.add({symbol: amount for symbol, amount in held.items() if symbol not in orphans})
        if orphans:
            text = ", ".join(f"{symbol} {held[symbol]}" for symbol in sorted(orphans))
            self._book.alarm(
                f"the account holds {text}, which orders of this bot have made and this new journal does not know: "
                "bring the former journal back, or close it by hand; nothing is opened until then",
                None,
                critical=True,
            )

    async def _orphans(self, held: Iterable[str]) -> set[str]:
        """Those of ``held`` that this bot has traded lately."""
        if not held:
            return set()
        fills = await self._trading.fills(since_ms=max(0, self._clock.now_ms() - LOOK_BACK_MS))
        return {fill.symbol for fill in fills if fill.symbol in held and self._orders.is_own(fill.client_order_id)}

    # ever after

    async def run(self, *, by_itself: bool = True) -> None:
        """Until cancelled: whenever ``soon`` is called, and by itself every so often."""
        while True:
            await self.once()
            await self._next_look(SECOND_LOOK_S if self._wants_second_look else self._every_s if by_itself else None)

    async def _next_look(self, wait_s: float | None) -> None:
        """After ``wait_s``, None: whenever that is, or as soon as one is wanted."""
        timer = None if wait_s is None else asyncio.get_running_loop().call_later(wait_s, self._wanted.set)
        try:
            await self._wanted.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._wanted.clear()

    def soon(self) -> None:
        """Something happened that a look should follow: a reconnect, an uncertain order."""
        self._wanted.set()

    async def once(self) -> None:
        """One look. Symbols with an order under way are left out: their truth is being made."""
        booked, asked_ms = self._orders.bookings, self._clock.now_ms()
        busy = self._orders.working_symbols()
        try:
            account = await self._trading.account()
        except ExchangeUnreachable as error:
            self._wants_second_look = bool(self._suspects)
            self._note_unreachable(str(error))
            return
        self._unreachable_since_s = None
        self.on_account(account)
        if account.margin is not None:
            margin = account.margin
            self._book.guard.note_margin(float(margin.balance), float(margin.maintenance), self._account)
        if booked != self._orders.bookings:
            return  # what was read is older than what was booked meanwhile
        busy |= self._orders.working_symbols()
        idle = [symbol for symbol in self._rules if symbol not in busy]
        differing = {m.symbol: m for m in self._mismatches(account, idle)}
        repeated = [m for s, m in differing.items() if self._suspects.get(s) == m.exchange - m.ledger]
        self._suspects = {s: m.exchange - m.ledger for s, m in differing.items()}
        self._wants_second_look = len(differing) > len(repeated)
        self._note(account, idle, differing.values(), asked_ms)
        self.on_agreed([symbol for symbol in idle if symbol not in differing])
        if repeated:
            await self._explain(repeated)
        elif not differing:
            self._told = ""
            self._note_unexplained(idle, ())
            if self._clock.now_ms() - self._kept_ms >= KEEP_AGREED_MS:
                self._keep_agreed()
            self.on_whole()

    def differences(self, account: Account, symbols: Iterable[str]) -> tuple[Mismatch, ...]:
        """Between the ledger now and what was read."""
        return self._mismatches(account, symbols)

    async def settle(self, symbol: str) -> None:
        """Ask now for the fills behind what the exchange says of a symbol, and adopt them."""
        try:
            await self._adopt_fills((symbol,))
        except ExchangeUnreachable as error:
            self._note_unreachable(f"{symbol}: {error}")

    async def _explain(self, differing: Sequence[Mismatch]) -> None:
        try:
            await self._adopt_fills(m.symbol for m in differing)
            account = await self._trading.account()
        except ExchangeUnreachable as error:
            self._wants_second_look = True
            self._note_unreachable(str(error))
            return
        symbols = [m.symbol for m in differing if m.symbol not in self._orders.working_symbols()]
        left = self._mismatches(account, symbols)
        self._suspects = {s: d for s, d in self._suspects.items() if s in {m.symbol for m in left}}
        self._note_unexplained(symbols, left)
        told, self._told = self._told, "; ".join(map(str, left))
        if left:
            self._book.halt("ledger_mismatch")
        if left and self._told != told:
            text = f"nothing more is opened: {self._told}. Close the difference by hand."
            self._book.alarm(text, None, critical=True)

    async def _adopt_fills(self, symbols: Iterable[str]) -> None:
        """Since these were last seen to agree: one that was busy ever since may have been traded long ago."""
        since_ms = max(0, min(self._agreed_ms.get(symbol, self._begun_ms) for symbol in symbols) - OVERLAP_MS)
        for fill in await self._trading.fills(since_ms=since_ms):
            if fill.symbol in self._rules:
                self._orders.book(fill)

    # the parts

    def _mismatches(self, account: Account, symbols: Iterable[str]) -> tuple[Mismatch, ...]:
        held = account.amounts()
        rows = ((s, self._book.ledger.net(s), held.get(s, ZERO)) for s in symbols)
        return tuple(Mismatch(*row, self._foreign.amount(row[0])) for row in rows if self._foreign.difference(*row))

    def _note_unexplained(self, symbols: Iterable[str], differing: Iterable[Mismatch]) -> None:
        found = {m.symbol: m.exchange - m.foreign - m.ledger for m in differing}
        self._foreign.note_unexplained(dict.fromkeys(symbols, ZERO) | found, self._clock.now_ms())

    def _note(self, account: Account, symbols: Collection[str], differing: Collection[Mismatch], asked_ms: int) -> None:
        """Each symbol that agrees; ``last`` only when all of ``symbols`` do."""
        now_ms, others, held = self._clock.now_ms(), {m.symbol for m in differing}, account.amounts()
        agreed = [symbol for symbol in symbols if symbol not in others]
        self._agreed_ms |= dict.fromkeys(agreed, now_ms)
        wallets = [symbol for symbol in agreed if self._foreign.is_owners(symbol)]
        self._foreign.note_wallets({s: held.get(s, ZERO) - self._book.ledger.net(s) for s in wallets}, asked_ms)
        if not differing:
            known = dict(self.last.exchange) if self.last else {}
            self.last = Reconciled(now_ms, known | {symbol: held.get(symbol, ZERO) for symbol in symbols})

    def _keep_agreed(self) -> None:
        """For the next start. On a disk that refuses it, that start asks for more than it needs."""
        with suppress(JournalUnwritable):
            self._journal.save_risk_state(AGREED_KEY, self._agreed_ms)
            self._kept_ms = self._clock.now_ms()

    def _note_unreachable(self, reason: str) -> None:
        now_s = asyncio.get_running_loop().time()  # the market's time may run ahead of what a person waits for
        log.warning("not_reconciled reason=%s", reason)
        if self._unreachable_since_s is None:
            self._unreachable_since_s = now_s
        elif now_s - self._unreachable_since_s > UNREACHABLE_ALARM_S:
            self._unreachable_since_s = now_s
            self._book.alarm(f"the account has not been seen for two minutes ({reason})", None, critical=True)
