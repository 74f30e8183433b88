"""Out of a pair: both legs reduce-only until it is flat, also when an entry went wrong half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from pairs.words import LegOrder, PairOrder, PairState
from trading.execution.leg_orders import LegOrders, LegSend
from trading.execution.pair_book import PairBook
from trading.execution.quotes import Quotes
from trading.execution.urgency import Urgency

ZERO = Decimal(0)
FLATTEN_TRIES = 12
FLATTEN_WAIT_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
HALTED_POLL_S = 30.0
UNSENT = "local not sent"


class Leaving:
    """OPEN → EXITING → FLAT; UNWINDING → FLAT; HALTED when a pair will not close."""

    def __init__(
        self, *, book: PairBook, orders: LegOrders, quotes: Quotes, rules: Mapping[str, Market], urgency: Urgency
    ) -> None:
        self._book, self._orders, self._quotes, self._rules = book, orders, quotes, rules
        self._urgency = urgency
        self._waiting: set[str] = set()

    @property
    def waiting(self) -> frozenset[str]:
        """Whole pairs that wait for a halted market: nothing of theirs is under way."""
        return frozenset(self._waiting)

    async def exit(self, order: PairOrder) -> None:
        if self._book.ledger.state(order.pair_id) is not PairState.OPEN:
            self._book.refuse(order, ("not_open",))
            return
        self._book.ledger.begin_exit(order.pair_id, when=order.decided_at, zscore=order.zscore, reason=order.reason)
        self._book.set_state(order.pair_id, PairState.EXITING)
        await self.leave(self._book.entry(order.pair_id), order)

    async def leave(self, entry: PairOrder, order: PairOrder | None) -> None:
        """Close a whole pair once both legs can be; ``order`` None: an exit that an earlier process decided."""
        closed = await self._wait_for_quotes(entry)
        _, _, reason = self._book.ledger.exit_of(entry.pair_id)
        if not closed:
            await self.flatten(entry.pair_id, PairState.EXITING, order, reason)
            return
        # It stays EXITING: asking again at every bar would change nothing.
        if len(closed) < len(entry.legs):
            text = f"{entry.pair_id} cannot be left: {', '.join(closed)} trades no more; close the other leg by hand"
            self._book.alarm(text, entry.pair_id, critical=True)
        deferred = f"exit_deferred:market_closed:{','.join(closed)}"
        self._book.fail(order or entry, deferred)

    async def close_rest(self, pair_id: str, reason: str) -> None:
        """A pair of which somebody else has closed a part: what is left of it is a leg alone."""
        self._book.ledger.begin_exit(pair_id, when=self._book.now(), zscore=None, reason=reason)
        await self.flatten(pair_id, PairState.EXITING, None, reason)

    async def unwind(self, order: PairOrder, reason: str) -> None:
        self._book.alarm(f"{order.pair_id} is unwound: {reason}", order.pair_id, critical=True)
        self._book.ledger.begin_exit(order.pair_id, when=self._book.now(), zscore=None, reason=f"unwound:{reason}")
        await self.flatten(order.pair_id, PairState.UNWINDING, None, reason)
        self._book.guard.entry_failed(order.pair_id, f"unwound:{reason}", self._book.now())
        if self._book.ledger.state(order.pair_id) is PairState.FLAT:
            self._book.guard.release(order.pair_id)
        self._book.fail(order, f"unwound:{reason}")

    async def flatten(self, pair_id: str, state: PairState, order: PairOrder | None, reason: str) -> None:
        """Close whatever the pair holds, reduce-only, until it is flat; a pair that will not close is HALTED."""
        action = "exit" if state is PairState.EXITING else "unwind"
        self._book.set_state(pair_id, state)
        tries = waits = 0
        while tries < FLATTEN_TRIES:
            await self._urgency.sleep(FLATTEN_WAIT_S[min(waits, len(FLATTEN_WAIT_S) - 1)])
            was_sent = await self._close_legs(pair_id, action, order)
            # While the exchange wants silence nothing was tried: it is tried for as long as that lasts.
            tries, waits = tries + (any(was_sent) or not was_sent), waits + 1
            if not any(self._closable(pair_id, leg) for leg in self._book.entry(pair_id).legs):
                self._write_off_dust(pair_id)
                self._book.close(pair_id, order)
                return
        self._book.set_state(pair_id, PairState.HALTED)
        self._book.halt(f"cannot_close:{pair_id}")
        self._book.alarm(f"{pair_id} could not be closed ({reason}); close it by hand", pair_id, critical=True)

    async def _wait_for_quotes(self, order: PairOrder) -> list[str]:
        """A hedged pair is left with both legs or not yet: while one is halted, selling the other would bare it.

        Returns the symbols that will never trade again, if any. An emergency waits for none.
        """
        try:
            while not self._urgency.is_on:
                if closed := await self._quotes.closed_for_good(order):
                    return closed
                if not await self._quotes.without_quote(order):
                    break
                self._waiting.add(order.pair_id)
                await self._urgency.sleep(HALTED_POLL_S)
        finally:
            self._waiting.discard(order.pair_id)
        return []

    async def _legs_to_close(self, pair_id: str) -> list[LegOrder]:
        return [
            leg
            for leg in await self._quotes.less_liquid_first(self._book.entry(pair_id))
            if self._closable(pair_id, leg)
        ]

    async def _close_legs(self, pair_id: str, action: str, order: PairOrder | None) -> list[bool]:
        """One after the other; in an emergency both at once, since one whose market is halted may take for ever."""
        legs = await self._legs_to_close(pair_id)
        if self._urgency.is_on:
            return await asyncio.gather(*(self._close_leg(pair_id, leg, action, order) for leg in legs))
        return [await self._close_leg(pair_id, leg, action, order) for leg in legs]

    async def _close_leg(self, pair_id: str, leg: LegOrder, action: str, order: PairOrder | None) -> bool:
        """False when the order could not even be sent."""
        reference = await self._closing_reference(leg, order)
        outcome = await self._orders.send(self._closing_send(pair_id, leg, action, reference))
        return outcome.placed or not outcome.reason.startswith(UNSENT)

    def _closing_send(self, pair_id: str, leg: LegOrder, action: str, reference_price: Decimal) -> LegSend:
        entry, held = self._book.entry(pair_id), self._closable(pair_id, leg)
        return LegSend(
            pair_id=pair_id,
            ref=entry.ref,
            action=action,
            leg=entry.legs.index(leg),
            symbol=leg.symbol,
            amount=-held,
            reduce_only=self._only_reduces(leg.symbol, held),
            reference_price=reference_price,
        )

    def _closable(self, pair_id: str, leg: LegOrder) -> Decimal:
        """What the pair holds, as far as an order can close it. On spot a fee in the base leaves less than a step."""
        held, rules = self._book.ledger.quantity(pair_id, leg.symbol), self._rules[leg.symbol]
        if rules.kind != "spot":
            return held
        whole = rules.round_amount(held)
        return ZERO if rules.shortfall(whole, Decimal(repr(leg.reference_price))) else whole

    def _write_off_dust(self, pair_id: str) -> None:
        for leg in self._book.entry(pair_id).legs:
            dust = self._book.ledger.write_off(pair_id, leg.symbol)
            if dust:
                self._book.alarm(f"{dust} of {leg.symbol} is too little to be sold; it stays in the wallet", pair_id)

    async def _closing_reference(self, leg: LegOrder, order: PairOrder | None) -> Decimal:
        """The close that the exit was decided on; the price now where the engine itself decided it."""
        decided = {wanted.symbol: wanted.reference_price for wanted in order.legs} if order else {}
        if leg.symbol in decided:
            return Decimal(repr(decided[leg.symbol]))
        return await self._quotes.price(leg.symbol) or Decimal(repr(leg.reference_price))

    def _only_reduces(self, symbol: str, held: Decimal) -> bool:
        """With shared symbols the account holds the net: an exit is reduce-only as far as it reduces that."""
        net = self._book.ledger.net(symbol)
        return net * held > 0 and abs(net) >= abs(held)
