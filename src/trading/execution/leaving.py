"""Out of a pair: both legs reduce-only until it is flat, also when an entry went wrong half-way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from pairs.words import Action, LegOrder, PairOrder, PairState
from trading.execution.evenness import Evenness
from trading.execution.foreign_book import ForeignBook
from trading.execution.leg_orders import LOST, LegOrders, LegOutcome, LegSend
from trading.execution.pair_book import PairBook
from trading.execution.quotes import Quotes, Trading
from trading.execution.slicing import Slicing
from trading.execution.urgency import Urgency
from trading.journal.errors import JournalUnwritable

ZERO = Decimal(0)
FLATTEN_TRIES = 120  # within four minutes
FLATTEN_WAIT_S = (0.0, 1.0, 2.0)
HALTED_POLL_S = 30.0
# What the exchange refused to look at was not tried: our own silence, a ban, too many orders, maintenance.
UNSENT = ("local not sent", "-1003", "-1015", "-1016")
NOTHING_TO_REDUCE = "-2022"
MOST_DENIALS = 3
TRIM_WAIT_S = (0.0, 1.0, 2.0, 3.0)
# Decided by a rule that has time. A stop, a risk limit and a person have none: those close at once.
PATIENT = ("reversion", "half_life_timeout", "time", "take_profit", "rsi_reversal", "band_touch")


class Patience:
    """How long to wait before the next try to close: longer with every refusal, shortly when something has filled or
    the exchange takes orders again, and not at all after a lost order: it has had the exchange's horizon."""

    def __init__(self) -> None:
        self._waits = 0
        self._was_lost = False
        self.was_unsent = False

    @property
    def wait_s(self) -> float:
        return 0.0 if self._was_lost else FLATTEN_WAIT_S[self._waits]

    def note(self, outcomes: Sequence[LegOutcome]) -> None:
        """What the last try came to."""
        was_unsent, self.was_unsent = self.was_unsent, _is_unsent(outcomes)
        self._was_lost = bool(outcomes) and all(outcome.reason == LOST for outcome in outcomes)
        if any(outcome.filled for outcome in outcomes) or was_unsent > self.was_unsent:
            self._waits = 1
        elif not self._was_lost:
            self._waits = min(self._waits + 1, len(FLATTEN_WAIT_S) - 1)


def _is_unsent(outcomes: Sequence[LegOutcome]) -> bool:
    return bool(outcomes) and all(outcome.reason.startswith(UNSENT) for outcome in outcomes)


class Leaving:
    """OPEN → EXITING → FLAT; UNWINDING → FLAT; HALTED when a pair will not close.

    ``on_nothing_to_reduce(symbol)`` is asked when the exchange holds nothing that an order could reduce: who
    can find out why books the truth, and the closing goes on from there.
    """

    def __init__(
        self,
        *,
        book: PairBook,
        orders: LegOrders,
        quotes: Quotes,
        evenness: Evenness,
        slicing: Slicing,
        rules: Mapping[str, Market],
        foreign: ForeignBook,
        slice_pause_s: float,
        on_nothing_to_reduce: Callable[[str], Awaitable[None]],
        urgency: Urgency,
    ) -> None:
        self._book, self._orders, self._quotes, self._rules, self._foreign = book, orders, quotes, rules, foreign
        self._evenness, self._slicing, self._slice_pause_s = evenness, slicing, slice_pause_s
        self._on_nothing_to_reduce, self._urgency = on_nothing_to_reduce, urgency
        self._waiting: set[str] = set()

    @staticmethod
    def has_no_time(order: PairOrder) -> bool:
        """An exit that is not to be made in slices."""
        return order.action is Action.EXIT and order.reason not in PATIENT

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
        _, _, reason = self._book.ledger.exit_of(entry.pair_id)
        closed = await self._wait_for_quotes(entry, reason)
        if not closed:
            if reason in PATIENT:
                await self._leave_in_slices(entry, order)
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
        await self.go_on_unwinding(order)

    async def go_on_unwinding(self, order: PairOrder) -> None:
        """To its end, also after a restart or a disk that refused. ``order``: the entry that came to nothing."""
        _, _, reason = self._book.ledger.exit_of(order.pair_id)
        await self.flatten(order.pair_id, PairState.UNWINDING, None, reason)
        self._book.guard.entry_failed(order.pair_id, reason, self._book.now())
        if self._book.ledger.state(order.pair_id) is PairState.FLAT:
            self._book.guard.release(order.pair_id)
        self._book.fail(order, reason)

    async def trim(self, order: PairOrder, lead: LegOrder, hedge: LegOrder, reason: str) -> bool:
        """Close what of the lead is more than the hedge matches, and nothing else. Whether that is done."""
        text = f"{order.pair_id} is entered no further ({reason}): what is not hedged is closed, the rest stays"
        self._book.alarm(text, order.pair_id)
        for wait_s in TRIM_WAIT_S:
            await asyncio.sleep(wait_s)
            reference = await self._closing_reference(lead, None)
            excess = self._evenness.excess(order, lead, hedge)
            if not excess:
                break
            await self._orders.send(self._closing_send(order.pair_id, lead, "unwind", reference, amount=-excess))
        return not self._evenness.excess(order, lead, hedge)

    async def flatten(self, pair_id: str, state: PairState, order: PairOrder | None, reason: str) -> None:
        """Close whatever the pair holds, reduce-only, until it is flat; a pair that will not close is HALTED."""
        action = "exit" if state is PairState.EXITING else "unwind"
        self._book.set_state(pair_id, state)
        tries, patience = 0, Patience()
        denied: Counter[str] = Counter()
        while tries < FLATTEN_TRIES:
            await asyncio.sleep(patience.wait_s)
            outcomes = await self._close_legs(pair_id, action, order, denied)
            await self._heed(outcomes, denied)
            patience.note([outcome for _, outcome in outcomes])
            # While the exchange wants silence nothing was tried: it is tried for as long as that lasts.
            tries += not patience.was_unsent
            if not any(self._closable(pair_id, leg) for leg in self._book.entry(pair_id).legs):
                self._close(pair_id, order)
                return
            if not self._may_go_on(pair_id, denied):
                break
        self._halt(pair_id, order, reason, denied)

    async def _heed(self, outcomes: list[tuple[LegOrder, LegOutcome]], denied: Counter[str]) -> None:
        """The exchange says that there is nothing to reduce: somebody else has closed it, or our books are wrong. While
        another pair's order of the symbol is under way, it may have traded what nobody has heard of yet."""
        for leg, outcome in outcomes:
            if not outcome.placed and outcome.reason.startswith(NOTHING_TO_REDUCE):
                denied[leg.symbol] += leg.symbol not in self._orders.working_symbols()
                await self._on_nothing_to_reduce(leg.symbol)

    def _may_go_on(self, pair_id: str, denied: Counter[str]) -> bool:
        """Whether any leg is left that the exchange has not denied again and again."""
        legs = [leg for leg in self._book.entry(pair_id).legs if self._closable(pair_id, leg)]
        return any(denied[leg.symbol] < MOST_DENIALS for leg in legs)

    def _halt(self, pair_id: str, order: PairOrder | None, reason: str, denied: Counter[str]) -> None:
        for symbol in (symbol for symbol, times in denied.items() if times >= MOST_DENIALS):
            held = self._book.ledger.quantity(pair_id, symbol)
            text = f"{symbol}: our books hold {held} for {pair_id}, the exchange has nothing of it to close"
            self._book.alarm(f"{text}; somebody else closed it, find out who", pair_id, critical=True)
        self._book.halt(f"cannot_close:{pair_id}")
        self._book.alarm(f"{pair_id} could not be closed ({reason}); close it by hand", pair_id, critical=True)
        if order is not None:
            self._book.fail(order, "cannot_close")
        self._book.set_state(pair_id, PairState.HALTED)

    async def _leave_in_slices(self, entry: PairOrder, order: PairOrder | None) -> None:
        """All slices but the last; fewer when one does not close both legs alike."""
        first, *others = await self._quotes.less_liquid_first(entry)
        for left in range(self._slicing.count(entry) - 1, 0, -1):
            share = Decimal(left) / (left + 1)
            await self._close_part(entry, first, self._evenness.held(entry, first) * share, order)
            for hedge in others:
                await self._close_part(entry, hedge, hedge.quantity * self._evenness.share(entry, first), order)
            if not self._evenness.is_even(entry):
                return
            await self._urgency.pause(self._slice_pause_s, entry.pair_id)
            if self._book.reasons_against_adding() or self._urgency.has_no_time_for(entry.pair_id):
                return  # the bot is stopping, something is wrong, or a stop was hit: the rest at once

    async def _close_part(self, entry: PairOrder, leg: LegOrder, keep: Decimal, order: PairOrder | None) -> None:
        reference = await self._closing_reference(leg, order)
        held = self._evenness.held(entry, leg)
        surplus = held - self._rules[leg.symbol].round_amount(keep)
        if surplus * held > 0:
            await self._orders.send(self._closing_send(entry.pair_id, leg, "exit", reference, amount=-surplus))

    async def _wait_for_quotes(self, order: PairOrder, reason: str) -> list[str]:
        """A hedged pair is left with both legs or not yet: while one is halted, selling the other would bare it.

        Returns the symbols that will never trade again, if any. An emergency waits for none, and no rest of a pair; an
        exit that has no time waits for what the exchange says is halted, not for what it says nothing of.
        """

        def is_over() -> bool:
            return self._urgency.is_on or order.pair_id in self._book.robbed

        try:
            while not is_over():
                trading = await self._quotes.trading(order)
                if closed := [symbol for symbol, said in trading.items() if said is Trading.NEVER_AGAIN]:
                    return closed
                has_time = reason in PATIENT and not self._urgency.has_no_time_for(order.pair_id)
                worth_waiting = {Trading.NOT_NOW, Trading.SILENT} if has_time else {Trading.NOT_NOW}
                if worth_waiting.isdisjoint(trading.values()):
                    break
                self._waiting.add(order.pair_id)
                await self._urgency.sleep(HALTED_POLL_S, order.pair_id, is_over)
        finally:
            self._waiting.discard(order.pair_id)
        return []

    async def _legs_to_close(self, pair_id: str, denied: Counter[str]) -> list[LegOrder]:
        return [
            leg
            for leg in await self._quotes.less_liquid_first(self._book.entry(pair_id))
            if self._closable(pair_id, leg) and denied[leg.symbol] < MOST_DENIALS
        ]

    async def _close_legs(
        self, pair_id: str, action: str, order: PairOrder | None, denied: Counter[str]
    ) -> list[tuple[LegOrder, LegOutcome]]:
        """One after the other; in an emergency both at once, since one whose market is halted may take for ever."""
        legs = await self._legs_to_close(pair_id, denied)
        if self._urgency.is_on:
            closed = await asyncio.gather(*(self._close_leg(pair_id, leg, action, order) for leg in legs))
        else:
            closed = [await self._close_leg(pair_id, leg, action, order) for leg in legs]
        return [one for one in closed if one is not None]

    async def _close_leg(
        self, pair_id: str, leg: LegOrder, action: str, order: PairOrder | None
    ) -> tuple[LegOrder, LegOutcome] | None:
        """None when it was closed while a price was asked for: a fill that was heard late, or another's."""
        reference = await self._closing_reference(leg, order)
        amount = -self._closable(pair_id, leg)
        if not amount:
            return None
        return leg, await self._orders.send(self._closing_send(pair_id, leg, action, reference, amount=amount))

    def _closing_send(
        self, pair_id: str, leg: LegOrder, action: str, reference_price: Decimal, *, amount: Decimal
    ) -> LegSend:
        entry = self._book.entry(pair_id)
        return LegSend(
            pair_id=pair_id,
            ref=entry.ref,
            action=action,
            leg=entry.legs.index(leg),
            symbol=leg.symbol,
            amount=amount,
            reduce_only=self._only_reduces(leg.symbol, -amount),
            reference_price=reference_price,
        )

    def _closable(self, pair_id: str, leg: LegOrder) -> Decimal:
        """What the pair holds, as far as an order can close it. On spot a fee in the base leaves less than a step; on
        futures there is no least size for what reduces the account's position, but another pair may hold against it."""
        held, rules = self._book.ledger.quantity(pair_id, leg.symbol), self._rules[leg.symbol]
        if rules.kind != "spot" and self._only_reduces(leg.symbol, held):
            return held
        whole = rules.round_amount(held)
        return ZERO if rules.shortfall(whole, self._last_price(leg)) else whole

    def _close(self, pair_id: str, order: PairOrder | None) -> None:
        """What is left is written off, on disk together with the rest; what a disk refuses is undone here as well."""
        ledger, guard = self._book.ledger, self._book.guard
        before = guard.snapshot()
        dust = {leg.symbol: ledger.write_off(pair_id, leg.symbol) for leg in self._book.entry(pair_id).legs}
        nobodys = {symbol: amount for symbol, amount in dust.items() if amount and self._rules[symbol].kind != "spot"}
        try:
            with self._book.at_once():
                if nobodys:
                    self._foreign.add(nobodys)
                self._book.write_closed(pair_id)
        except JournalUnwritable:
            for symbol, amount in dust.items():
                ledger.take_back(pair_id, symbol, amount)
            guard.restore(before)
            self._foreign.restore()
            raise
        self._book.closed(pair_id, order)
        for symbol, amount in dust.items():
            self._tell_of_dust(pair_id, symbol, amount)

    def _tell_of_dust(self, pair_id: str, symbol: str, dust: Decimal) -> None:
        if not dust:
            return
        if self._rules[symbol].kind != "spot":
            text = f"{dust} of {symbol} is too little to be closed beside what other pairs hold of it"
            self._book.alarm(f"{text}; it is nobody's now, until it goes out against another such rest", pair_id)
        elif dust > 0:
            self._book.alarm(f"{dust} of {symbol} is too little to be sold; it stays in the wallet", pair_id)
        else:
            self._book.halt(f"oversold:{symbol}")
            text = (
                f"{-dust} of {symbol} more than {pair_id} held was sold: it is missing from what else is in the wallet"
            )
            self._book.alarm(f"{text}, perhaps from another pair; buy it back by hand", pair_id, critical=True)

    async def _closing_reference(self, leg: LegOrder, order: PairOrder | None) -> Decimal:
        """The close that the exit was decided on; the price now, or the last one, where the engine decided it."""
        decided = {wanted.symbol: wanted.reference_price for wanted in order.legs} if order else {}
        if leg.symbol in decided:
            return Decimal(repr(decided[leg.symbol]))
        return await self._quotes.price_soon(leg.symbol) or self._last_price(leg)

    def _last_price(self, leg: LegOrder) -> Decimal:
        return self._quotes.last.get(leg.symbol, Decimal(repr(leg.reference_price)))

    def _only_reduces(self, symbol: str, held: Decimal) -> bool:
        """With shared symbols the account holds the net: an exit is reduce-only as far as it reduces that."""
        net = self._book.ledger.net(symbol) + self._foreign.amount(symbol)
        return net * held > 0 and abs(net) >= abs(held)
