"""Trades that no order under way explains: the exchange's own closing, a person's, or a late one of ours.

What takes away from a pair is booked to it, so that the ledger stays true, and the rest of that pair is closed: one leg
is never left alone. What is beside our pairs goes to the foreign book and is never traded; on spot it lies in its
owner's wallet, and a sale takes from a pair only what is missing there. What takes away from a difference that nobody
could explain only mends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from ccxt_bt_bridge.words import Fill
from trading.events import LegFilled
from trading.execution.foreign_book import ForeignBook
from trading.execution.pair_book import PairBook
from trading.journal.errors import JournalUnwritable
from trading.journal.writer import Journal

EXCHANGE_IDS = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
NOBODY = ""
ZERO = Decimal(0)


class Strangers:
    """``own_prefix``: what every client order id of this bot begins with. ``close_rest(pair_id, symbol)`` is called for
    each pair that lost something; ``on_unwritable`` when the disk refused: then nothing was booked, and the next
    reconciliation asks for it again."""

    def __init__(
        self,
        *,
        journal: Journal,
        book: PairBook,
        foreign: ForeignBook,
        own_prefix: str,
        close_rest: Callable[[str, str], None],
        on_unwritable: Callable[[JournalUnwritable], None],
    ) -> None:
        self._journal, self._book, self._foreign, self._own_prefix = journal, book, foreign, own_prefix
        self._close_rest, self._on_unwritable = close_rest, on_unwritable

    def take(self, fill: Fill) -> None:
        """Book a fill of nobody's order, once."""
        if self._journal.has_fill(fill):
            return
        is_of_another_copy = self.is_ours(fill) and not self._journal.has_intent(fill.client_order_id)
        parts, mended = self._parts(fill)
        beside = sum((part.signed_amount for pair_id, part in parts if not pair_id), ZERO) - mended
        try:
            with self._journal.transaction():
                for pair_id, part in parts:
                    ref = self._book.entry(pair_id).ref if pair_id else NOBODY
                    self._journal.record_fill(part, pair_id, ref)
                if beside:
                    self._foreign.add({fill.symbol: beside})
        except JournalUnwritable as error:
            self._foreign.restore()
            self._on_unwritable(error)
            return
        if self._is_owners(fill):
            self._foreign.note_owners(fill)
        if mended:
            self._foreign.mend(fill.symbol, mended)
        self._tell(
            fill,
            [pair_id for pair_id, _ in parts if pair_id],
            is_mending=bool(mended) and not beside,
            is_of_another_copy=is_of_another_copy,
        )
        for pair_id, part in parts:
            if pair_id:
                self._apply(pair_id, part)

    def is_ours(self, fill: Fill) -> bool:
        return fill.client_order_id.startswith(self._own_prefix)

    def _is_owners(self, fill: Fill) -> bool:
        return self._foreign.is_owners(fill.symbol) and not self.is_ours(fill)

    def _parts(self, fill: Fill) -> tuple[list[tuple[str, Fill]], Decimal]:
        """By pair, as far as it takes away from what pairs hold; the rest is nobody's. Beside them, what of it mends an
        unexplained difference.

        A person's trade closes what nobody could explain, then what is a person's; the exchange's what is ours: then
        the other leg is closed too. A trade of before a person was told of a difference explains it.
        """
        left, sign = fill.amount, fill.side.sign
        unexplained = self._foreign.unexplained(fill.symbol, fill.time_ms)
        mended, by_exchange = ZERO, fill.client_order_id.startswith(EXCHANGE_IDS)
        if not by_exchange:
            mended = min(left, max(ZERO, -sign * unexplained))
            left -= mended
            left -= min(left, max(ZERO, -sign * self._foreign.amount(fill.symbol)))
        if self._is_owners(fill):
            left = min(left, self._foreign.uncovered(fill))
        parts: list[tuple[str, Fill]] = []
        for pair_id, held in self._book.ledger.pairs_of(fill.symbol).items():
            share = min(left, max(ZERO, -sign * held))
            if share:
                parts.append((pair_id, _part(fill, share, len(parts))))
                left -= share
        if by_exchange:
            mended = min(left, max(ZERO, -sign * unexplained))
        beside = fill.amount - sum((part.amount for _, part in parts), ZERO)
        if beside:
            parts.append((NOBODY, _part(fill, beside, len(parts))))
        return parts, sign * mended

    def _apply(self, pair_id: str, part: Fill) -> None:
        self._book.ledger.apply_fill(
            pair_id, part.symbol, part.position_change, part.price, fee=part.fee, reference_price=part.price
        )
        self._book.bus.publish(LegFilled(pair_id, self._book.entry(pair_id).ref, part, part.price))
        self._close_rest(pair_id, part.symbol)

    def _tell(self, fill: Fill, pairs: list[str], *, is_mending: bool, is_of_another_copy: bool) -> None:
        what = f"{fill.symbol}: {fill.signed_amount} was traded at {fill.price} by "
        if is_of_another_copy:
            self._book.halt("journal_outdated")
            what += f"order {fill.client_order_id} of this bot, which this journal does not know: it is an older copy, "
            what += "or a second bot of this name trades the account"
        elif self.is_ours(fill):
            self._book.halt(f"late_fill:{fill.symbol}")
            what += f"our own order {fill.client_order_id}, after the exchange had said that it was over"
        elif fill.client_order_id.startswith(EXCHANGE_IDS):
            what += f"the exchange itself ({fill.client_order_id}): a liquidation or deleveraging"
        else:
            what += f"order {fill.client_order_id or '(without an id)'}, which is not this bot's"
        if pairs:
            self._book.halt(f"closed_elsewhere:{fill.symbol}")
            what += f". It closed what {', '.join(pairs)} held: the rest of it is closed too, and nothing is opened"
            what += " until a person has looked"
        elif is_mending:
            what += ". It closed what nobody could explain: `tandem resume` when all of that is gone"
        elif self._foreign.is_owners(fill.symbol):
            what += ". It is left alone: the wallet holds what the pairs do all the same"
        else:
            what += f". It is left alone; nothing is opened in {fill.symbol} until it is gone"
        self._book.alarm(what, pairs[0] if pairs else None, critical=True)


def _part(fill: Fill, amount: Decimal, number: int) -> Fill:
    """``amount`` of a fill with its share of the fee; the first part keeps the fill's own id."""
    if amount == fill.amount:
        return fill
    trade_id = fill.trade_id if not number else f"{fill.trade_id}#{number}"
    share = amount / fill.amount
    return replace(fill, trade_id=trade_id, amount=amount, fee=fill.fee * share, base_fee=fill.base_fee * share)
