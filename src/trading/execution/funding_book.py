"""Funding payments shared out to the pairs that held the symbol when they fell due, whenever they are heard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.words import FundingPayment
from pairs.words import entry_ref
from trading.events import EventBus, FundingBooked
from trading.execution.foreign_book import ForeignBook
from trading.execution.leg_orders import LegOrders
from trading.execution.pair_ledger import PairLedger
from trading.execution.strangers import NOBODY
from trading.journal.errors import JournalError
from trading.journal.writer import Journal
from trading.records import TradeRecord

ZERO = Decimal(0)
MINUTE_MS = 60_000
SETTLING_MS = 15_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """A pair's round trip that held a symbol. ``quantity`` signed; ``trade`` is None while the pair is open."""

    pair_id: str
    entry_time: datetime
    quantity: Decimal
    trade: TradeRecord | None


class FundingBook:
    """Books each payment once, whole: into open pairs, or into the trades that they have become since.

    Who held what is read from the journal's fills, so that a payment heard after an exit, or by a later process,
    finds the same holders. What cannot be booked yet is kept in memory, and asked for again by the next process.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        ledger: PairLedger,
        orders: LegOrders,
        foreign: ForeignBook,
        clock: Clock,
        bus: EventBus,
        on_unwritable: Callable[[JournalError], None],
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._orders = orders
        self._foreign = foreign
        self._clock = clock
        self._bus = bus
        self._on_unwritable = on_unwritable
        self._owed: dict[tuple[str, str], FundingPayment] = {}
        self._is_refused = False

    @property
    def is_owed(self) -> bool:
        """Something that was told is not booked yet."""
        return bool(self._owed)

    def book(self, payment: FundingPayment) -> None:
        """Share a payment among those that held the symbol, by quantity; the share of others is booked nowhere."""
        self._owed[payment.symbol, payment.payment_id] = payment
        self.book_owed()

    def book_owed(self) -> None:
        """What a disk refused, or what an order was under way for."""
        refusal = None
        for key, payment in list(self._owed.items()):
            try:
                if self._is_booked(payment):
                    del self._owed[key]
            except JournalError as error:
                refusal = error
        if refusal is not None and not self._is_refused:
            self._on_unwritable(refusal)
        self._is_refused = refusal is not None

    def _is_booked(self, payment: FundingPayment) -> bool:
        """Now or before; not while nobody can know who held the symbol."""
        if self._journal.has_funding(payment):
            return True
        held = self._held(payment)
        if held is None:
            return False
        shares = _shares(payment.amount, *held)
        if not shares:
            log.info("funding_of_no_pair symbol=%s amount=%s", payment.symbol, payment.amount)
        with self._journal.transaction():
            self._journal.record_funding(payment, {holder.pair_id: share for holder, share in shares})
            for holder, share in shares:
                if holder.trade is not None:
                    self._journal.update_trade(holder.trade.with_funding(payment.symbol, share))
        for holder, share in shares:
            self._apply(payment.symbol, holder, share)
        return True

    def is_of_open_pair(self, pair_id: str, payment: FundingPayment) -> bool:
        """Whether a share that was booked to a pair belongs to the position it has now, not to an earlier trade."""
        for moment_ms in _moments(payment):
            holder = self._holder(pair_id, payment.symbol, moment_ms)
            if holder is not None:
                return holder.trade is None
        return False

    def _held(self, payment: FundingPayment) -> tuple[list[Holder], Decimal] | None:
        """By pairs, and by others. None while an order under way may have filled before it fell due."""
        working_since_ms = self._orders.working_since_ms(payment.symbol)
        for moment_ms in _moments(payment):
            if working_since_ms < moment_ms:
                return None
            pairs = self._ledger.pairs_with(payment.symbol)
            found = [self._holder(pair_id, payment.symbol, moment_ms) for pair_id in pairs]
            holders, others = (
                [holder for holder in found if holder is not None],
                self._others(payment.symbol, moment_ms),
            )
            if holders or others:
                return holders, others
        return [], ZERO

    def _others(self, symbol: str, moment_ms: int) -> Decimal:
        """What is known of the account beside the pairs just before a moment."""
        fills = self._journal.fills_of(NOBODY, NOBODY, self._journal.run)
        later = (fill.position_change for fill in fills if fill.symbol == symbol and fill.time_ms >= moment_ms)
        return self._foreign.amount(symbol) - sum(later, ZERO)

    def _holder(self, pair_id: str, symbol: str, moment_ms: int) -> Holder | None:
        """What a pair held just before a moment: an order decided at that moment comes after it."""
        entered = self._entered_before(pair_id, ms_to_datetime(moment_ms))
        if entered is None:
            return None
        entry_time, trade = entered
        fills = self._journal.fills_of(pair_id, entry_ref(pair_id, entry_time), self._journal.run)
        earlier = (fill.position_change for fill in fills if fill.symbol == symbol and fill.time_ms < moment_ms)
        quantity = sum(earlier, ZERO)
        return Holder(pair_id, entry_time, quantity, trade) if quantity else None

    def _entered_before(self, pair_id: str, moment: datetime) -> tuple[datetime, TradeRecord | None] | None:
        """The pair's last entry that was decided before a moment, and the trade it became."""
        position = self._ledger.position(pair_id)
        if position is not None and position.entry_time < moment:
            return position.entry_time, None
        for trade in reversed(self._ledger.trades):
            if trade.pair_id == pair_id and trade.entry_time < moment:
                return trade.entry_time, trade
        return None

    def _apply(self, symbol: str, holder: Holder, share: Decimal) -> None:
        trade = holder.trade
        if trade is None:
            self._ledger.apply_funding(holder.pair_id, symbol, share)
        else:
            trade = trade.with_funding(symbol, share)
            self._ledger.replace_trade(trade)
        now = ms_to_datetime(self._clock.now_ms())
        self._bus.publish(FundingBooked(now, holder.pair_id, symbol, share, trade))


def _moments(payment: FundingPayment) -> tuple[int, int]:
    """When it fell due (payments are stamped seconds after), and until when an entry may still be charged.

    Funding falls due at full hours; Binance may charge who enters within 15 seconds of it.
    """
    due_ms = payment.time_ms - payment.time_ms % MINUTE_MS
    return due_ms, due_ms + SETTLING_MS


def _shares(amount: Decimal, holders: Sequence[Holder], others: Decimal) -> list[tuple[Holder, Decimal]]:
    """Where nobody else held any they sum to the amount."""
    net, left, shares = sum((holder.quantity for holder in holders), others), amount, []
    for number, holder in enumerate(holders, start=1):
        is_rest = not net or (number == len(holders) and not others)
        share = left if is_rest else amount * holder.quantity / net
        left -= share
        shares.append((holder, share))
    return shares
