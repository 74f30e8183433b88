"""Into a pair: the first leg, then the hedge leg sized by what the first really filled; slice by slice, if large."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ccxt_bt_bridge.words import Market
from pairs.words import LegOrder, PairOrder, PairState, Refused
from trading.execution.evenness import Evenness
from trading.execution.funds import Funds
from trading.execution.leaving import Leaving
from trading.execution.leg_orders import LegOrders, LegOutcome, LegSend
from trading.execution.pair_book import PairBook
from trading.execution.pre_trade import PreTrade
from trading.execution.quotes import Quotes
from trading.execution.settings import ExecutionSettings
from trading.execution.slicing import Slicing
from trading.execution.unhedged import UnhedgedWatch
from trading.execution.urgency import Urgency

ZERO = Decimal(0)
HEDGE_TRIES = 3
SHORTEST_TIMEOUT_S = 1.0
UNDER_WAY = (PairState.ENTERING, PairState.HEDGING)


class Entering:
    """FLAT → ENTERING → HEDGING → OPEN, with ENTERING again before each further slice; UNWINDING when a hedge cannot
    be had and nothing was hedged before."""

    def __init__(
        self,
        *,
        book: PairBook,
        orders: LegOrders,
        quotes: Quotes,
        checks: PreTrade,
        funds: Funds,
        leaving: Leaving,
        evenness: Evenness,
        slicing: Slicing,
        unhedged: UnhedgedWatch,
        urgency: Urgency,
        rules: Mapping[str, Market],
        settings: ExecutionSettings,
    ) -> None:
        self._book, self._orders, self._quotes, self._checks, self._funds = book, orders, quotes, checks, funds
        self._leaving, self._evenness, self._slicing, self._unhedged = leaving, evenness, slicing, unhedged
        self._rules, self._settings, self._urgency = rules, settings, urgency
        self._min_share = Decimal(repr(settings.min_fill_ratio))

    async def enter(self, order: PairOrder) -> None:
        verdict = self._book.guard.check(order)
        if isinstance(verdict, Refused):
            self._book.refuse(order, verdict.reasons)
            return
        try:
            await self._enter_if_fit(order)
        finally:
            self._funds.release(order.pair_id)

    async def _enter_if_fit(self, order: PairOrder) -> None:
        try:
            reasons = await self._checks.reasons_against(order) or self._book.reasons_against_adding()
        except BaseException:
            self._book.guard.withdraw(order.pair_id)
            raise
        if reasons:
            self._book.guard.withdraw(order.pair_id)
            self._book.refuse(order, reasons)
            return
        self._book.begin(order)
        await self._fill(order, self._quotes.by_liquidity(order.legs)[0])

    async def complete(self, order: PairOrder) -> None:
        """After a restart: hedge what has filled of the first leg, or unwind too little of it. No further slice."""
        if not self._book.has_filled(order):
            await self._give_up(order, "interrupted")
            return
        first, *others = self._evenness.larger_first(order)
        if not others:
            self._book.opened(order)
            return
        of_slice = self._evenness.held(order, first) / self._slicing.targets(order, first)[0]
        if not self._evenness.held(order, others[0]) and of_slice < self._min_share:
            await self._leaving.unwind(order, f"partial_fill:{of_slice:.2f}")
            return
        await self._hedge(order, first, others[0])
        if self._book.ledger.state(order.pair_id) in UNDER_WAY:
            self._book.opened(order)

    # slice by slice

    async def _fill(self, order: PairOrder, first: LegOrder) -> None:
        """Each slice completes both legs before the next; what is hedged when one fails is the position."""
        reason = ""
        for number, target in enumerate(self._slicing.targets(order, first)):
            if number and not await self._may_go_on(order):
                break
            reason = await self._fill_slice(order, first, target)
            if reason:
                break
        if self._book.ledger.state(order.pair_id) not in UNDER_WAY:
            return  # it was unwound
        if self._book.has_filled(order):
            self._book.opened(order)
        else:
            await self._give_up(order, reason)

    async def _give_up(self, order: PairOrder, reason: str) -> None:
        """Nothing is held. What had filled and was closed by somebody else is a trade of its own."""
        if self._book.ledger.has_traded(order.pair_id):
            await self._leaving.unwind(order, self._book.robbed.get(order.pair_id, reason))
        else:
            self._book.drop(order, reason)

    async def _fill_slice(self, order: PairOrder, first: LegOrder, target: Decimal) -> str:
        """Both legs, up to ``target`` of the first. Why no further slice may follow, empty when one may."""
        before = self._evenness.held(order, first)
        wanted = target - before
        if wanted * first.quantity <= 0:
            return ""  # the venue has filled more than it was asked for
        reason = await self._fill_first(order, first, wanted)
        filled = (self._evenness.held(order, first) - before) / wanted
        hedges = [leg for leg in order.legs if leg is not first]
        if not filled:
            return reason
        if not hedges:
            return "" if filled >= self._min_share else reason
        if filled < self._min_share:
            kept = self._evenness.share(order, hedges[0])
            return await self._give_back(order, first, hedges[0], kept=kept, reason=f"partial_fill:{filled:.2f}")
        return await self._hedge(order, first, hedges[0])

    async def _may_go_on(self, order: PairOrder) -> bool:
        await self._urgency.pause(self._settings.slice_pause_s, order.pair_id)
        if self._urgency.has_no_time_for(order.pair_id):
            return False
        if not self._book.reasons_against_adding() and not await self._quotes.without_quote(order):
            self._book.set_state(order.pair_id, PairState.ENTERING)
            return True
        return False

    async def _fill_first(self, order: PairOrder, first: LegOrder, amount: Decimal) -> str:
        """Send so much of the first leg. Why it came to nothing, if it did."""
        if self._settings.order_type != "limit":
            return (await self._orders.send(self._entry_send(order, first, amount))).reason
        outcome = await self._orders.send(self._limit_send(order, first, amount))
        rest = amount - outcome.filled
        if not outcome.placed or self._settings.limit_fallback != "market" or not self._can_follow(first, rest):
            return outcome.reason
        return (await self._orders.send(self._entry_send(order, first, rest))).reason

    def _can_follow(self, first: LegOrder, rest: Decimal) -> bool:
        """The rest of a limit order may go to the market: it is large enough, and nothing speaks against it."""
        too_small = self._rules[first.symbol].shortfall(rest, Decimal(repr(first.reference_price)))
        return rest * first.quantity > 0 and not (too_small or self._book.reasons_against_adding())

    # the hedge

    async def _hedge(self, order: PairOrder, first: LegOrder, hedge: LegOrder) -> str:
        """Fill the hedge leg to match the first. Empty, or why what could not be hedged in time was given back."""
        self._book.set_state(order.pair_id, PairState.HEDGING)
        kept = self._evenness.share(order, hedge)
        price_before = asyncio.ensure_future(self._quotes.price_soon(hedge.symbol))  # the hedge waits for no statistics
        for _ in range(HEDGE_TRIES):
            missing = self._evenness.missing(order, first, hedge)
            if not missing:
                return await self._without_excess(order, first, hedge)
            outcome = await self._orders.send(self._hedge_send(order, hedge, missing))
            price_after = await self._quotes.price_soon(hedge.symbol)
            self._note_legging(order.pair_id, outcome, await price_before, price_after)
            if self._unhedged.lasting_s(order.pair_id) > self._settings.max_unhedged_s:
                break
        if not self._evenness.missing(order, first, hedge):
            return await self._without_excess(order, first, hedge)
        return await self._give_back(order, first, hedge, kept=kept, reason="hedge_failed")

    async def _without_excess(self, order: PairOrder, first: LegOrder, hedge: LegOrder) -> str:
        """The venue may have filled more of the hedge than it was asked for: that much goes back."""
        too_much = self._evenness.missing(order, hedge, first)
        if not too_much or await self._leaving.trim(order, hedge, first, "overfilled"):
            return ""
        await self._leaving.unwind(order, "overfilled")
        return "overfilled"

    async def _give_back(
        self, order: PairOrder, first: LegOrder, hedge: LegOrder, *, kept: Decimal, reason: str
    ) -> str:
        """What an earlier slice has hedged stays (``kept``: its share); without one, all of it goes."""
        is_a_slice = kept * self._slicing.count(order) >= self._min_share
        if not is_a_slice or not await self._leaving.trim(order, first, hedge, reason):
            await self._leaving.unwind(order, reason)
        return reason

    # the orders

    def _hedge_send(self, order: PairOrder, leg: LegOrder, amount: Decimal) -> LegSend:
        """A market order: an unhedged leg does not wait for a better price."""
        left_s = self._settings.max_unhedged_s - self._unhedged.lasting_s(order.pair_id)
        return self._entry_send(order, leg, amount, timeout_s=max(left_s, SHORTEST_TIMEOUT_S))

    def _limit_send(self, order: PairOrder, leg: LegOrder, amount: Decimal) -> LegSend:
        price = self._limit_price(leg)
        return self._entry_send(order, leg, amount, timeout_s=self._settings.limit_timeout_s, limit_price=price)

    def _limit_price(self, leg: LegOrder) -> Decimal:
        """Better than the last price by the offset, on the tick, rounded to the better side."""
        tick, is_buy = self._rules[leg.symbol].price_tick, leg.quantity > 0
        offset = Decimal(repr(self._settings.limit_offset_bps)) / 10_000
        price = self._quotes.last[leg.symbol] * (1 - offset if is_buy else 1 + offset)
        return (price / tick).to_integral_value(rounding=ROUND_FLOOR if is_buy else ROUND_CEILING) * tick

    def _entry_send(
        self,
        order: PairOrder,
        leg: LegOrder,
        amount: Decimal,
        *,
        timeout_s: float | None = None,
        limit_price: Decimal | None = None,
    ) -> LegSend:
        return LegSend(
            pair_id=order.pair_id,
            ref=order.ref,
            action="enter",
            leg=order.legs.index(leg),
            symbol=leg.symbol,
            amount=amount,
            reduce_only=False,
            reference_price=Decimal(repr(leg.reference_price)),
            timeout_s=self._settings.first_leg_timeout_s if timeout_s is None else timeout_s,
            limit_price=limit_price,
        )

    def _note_legging(self, pair_id: str, outcome: LegOutcome, before: Decimal | None, after: Decimal | None) -> None:
        """What the market moved against the hedge between the first leg's fill and the hedge's."""
        if before is not None and after is not None and outcome.filled:
            self._book.ledger.add_legging_cost(pair_id, -outcome.filled * (after - before))
