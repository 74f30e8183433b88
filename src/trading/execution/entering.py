"""Into a pair: the first leg, then the hedge leg sized by what the first really filled."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.words import Market
from pairs.words import LegOrder, PairOrder, PairState, Refused
from trading.execution.leaving import Leaving
from trading.execution.leg_orders import LegOrders, LegOutcome, LegSend
from trading.execution.pair_book import PairBook
from trading.execution.pre_trade import PreTrade
from trading.execution.quotes import Quotes
from trading.execution.settings import ExecutionSettings

ZERO = Decimal(0)
HEDGE_TRIES = 3
HEDGE_TOLERANCE = Decimal("0.05")  # of the hedge leg: a rest that is too small to be ordered may be this large


class Entering:
    """FLAT → ENTERING → HEDGING → OPEN; UNWINDING when a hedge cannot be had."""

    def __init__(
        self,
        *,
        book: PairBook,
        orders: LegOrders,
        quotes: Quotes,
        checks: PreTrade,
        leaving: Leaving,
        rules: Mapping[str, Market],
        settings: ExecutionSettings,
        clock: Clock,
    ) -> None:
        self._book, self._orders, self._quotes, self._checks = book, orders, quotes, checks
        self._leaving, self._rules, self._settings, self._clock = leaving, rules, settings, clock

    async def enter(self, order: PairOrder) -> None:
        verdict = self._book.guard.check(order)
        if isinstance(verdict, Refused):
            self._book.refuse(order, verdict.reasons)
            return
        reasons = await self._checks.reasons_against(order)
        if reasons:
            self._book.guard.release(order.pair_id)
            self._book.refuse(order, reasons)
            return
        self._book.begin(order)
        first = (await self._quotes.less_liquid_first(order))[0]
        outcome = await self._orders.send(self._entry_send(order, first, first.quantity, first_leg=True))
        if outcome.filled:
            await self.complete(order)
        else:
            self._book.drop(order, outcome.reason)

    async def complete(self, order: PairOrder) -> None:
        """The first leg has filled, whole or in part: hedge what there is, or unwind too little of it."""
        # Which leg came first is what filled more: liquidity may have turned since, and a restart does not know it.
        first, *others = sorted(order.legs, key=lambda leg: self._book.share_filled(order, leg), reverse=True)
        share = self._book.share_filled(order, first)
        if not others:
            self._book.opened(order)
        elif share < Decimal(repr(self._settings.min_fill_ratio)):
            await self._leaving.unwind(order, f"partial_fill:{share:.2f}")
        else:
            await self._hedge(order, first, others[0])

    async def _hedge(self, order: PairOrder, first: LegOrder, hedge: LegOrder) -> None:
        """Fill the hedge leg to match the first; unwind both when that cannot be had in time."""
        started_ms = self._clock.now_ms()
        self._book.set_state(order.pair_id, PairState.HEDGING)
        price_before = await self._quotes.price_soon(hedge.symbol)
        for _ in range(HEDGE_TRIES):
            missing = self._missing_hedge(order, first, hedge)
            if not missing:
                break
            outcome = await self._orders.send(self._entry_send(order, hedge, missing, first_leg=False))
            self._note_legging(order.pair_id, outcome, price_before, await self._quotes.price_soon(hedge.symbol))
            if (self._clock.now_ms() - started_ms) / 1000.0 > self._settings.max_unhedged_s:
                break
        if self._missing_hedge(order, first, hedge):
            await self._leaving.unwind(order, "hedge_failed")
        else:
            self._book.opened(order)

    def is_hedged(self, order: PairOrder) -> bool:
        """All legs hold the same share of what was wanted, to what is too small to be ordered."""
        shares = [self._book.share_filled(order, leg) for leg in order.legs]
        return min(shares) > 0 and max(shares) - min(shares) <= max(shares) * HEDGE_TOLERANCE

    def _missing_hedge(self, order: PairOrder, first: LegOrder, hedge: LegOrder) -> Decimal:
        """Signed, on the venue's step; zero when what is missing is little and too small to be ordered."""
        filled = self._book.ledger.quantity(order.pair_id, first.symbol)
        wanted = hedge.quantity * filled / first.quantity
        missing = self._rules[hedge.symbol].round_amount(
            wanted - self._book.ledger.quantity(order.pair_id, hedge.symbol)
        )
        reference = Decimal(repr(hedge.reference_price))
        little = abs(missing) <= abs(wanted) * HEDGE_TOLERANCE
        if little and self._rules[hedge.symbol].shortfall(missing, reference):
            return ZERO
        return missing if missing * hedge.quantity > 0 else ZERO

    def _entry_send(self, order: PairOrder, leg: LegOrder, amount: Decimal, *, first_leg: bool) -> LegSend:
        return LegSend(
            pair_id=order.pair_id,
            ref=order.ref,
            action="enter",
            leg=order.legs.index(leg),
            symbol=leg.symbol,
            amount=amount,
            reduce_only=False,
            reference_price=Decimal(repr(leg.reference_price)),
            timeout_s=self._settings.first_leg_timeout_s if first_leg else self._settings.max_unhedged_s,
        )

    def _note_legging(self, pair_id: str, outcome: LegOutcome, before: Decimal | None, after: Decimal | None) -> None:
        """What the market moved against the hedge between the first leg's fill and the hedge's."""
        if before is not None and after is not None and outcome.filled:
            self._book.ledger.add_legging_cost(pair_id, -outcome.filled * (after - before))
