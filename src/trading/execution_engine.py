"""Two legs, one at a time, in a written-down order: the only place from which a pair's orders are sent.

FLAT → ENTERING → HEDGING → OPEN → EXITING → FLAT, with UNWINDING when a hedge cannot be had and HALTED when a person
must look. The state is in the journal before each send. The first leg is the less liquid one; the hedge leg is sized
by what the first really filled. Runs on the exchange loop's thread, which is the only writer of ledger and journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketClosed
from ccxt_bt_bridge.port import MarketPort
from ccxt_bt_bridge.words import Fill, Market
from pairs.words import Action, LegOrder, PairOrder, PairPosition, PairState, Refused
from trading.events import (
    Alarm,
    EntryRefused,
    EventBus,
    LegFilled,
    OrderFailed,
    PairClosed,
    PairOpened,
)
from trading.journal.errors import JournalUnwritable
from trading.journal.words import position_payload
from trading.journal.writer import Journal
from trading.order_manager import LegOutcome, LegSend, OrderManager
from trading.position_tracker import PositionTracker
from trading.records import RefusalRecord
from trading.risk_guard import RiskGuard

ZERO = Decimal(0)
HEDGE_TRIES = 3
FLATTEN_TRIES = 12
HALTED_POLL_S = 30.0
DISK_POLL_S = 5.0
UNSENT = "local not sent"
HEDGE_TOLERANCE = Decimal("0.05")  # of the hedge leg: a rest that is too small to be ordered may be this large
PRICE_PATIENCE_S = 0.5
FLATTEN_WAIT_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class ExecutionSettings:
    """``min_fill_ratio``: below this share of the first leg the entry is unwound. Times in seconds.

    ``longest_decision_age_s``: an entry that was decided longer ago saw another market.
    """

    min_fill_ratio: float = 0.5
    max_unhedged_s: float = 30.0
    first_leg_timeout_s: float = 60.0
    longest_decision_age_s: float = float("inf")


class ExecutionEngine:
    """Executes pair orders on one account. Its collaborators are shared with recovery and the bar marker."""

    def __init__(
        self,
        *,
        market: MarketPort,
        orders: OrderManager,
        journal: Journal,
        tracker: PositionTracker,
        guard: RiskGuard,
        clock: Clock,
        bus: EventBus,
        rules: Mapping[str, Market],
        settings: ExecutionSettings,
    ) -> None:
        self._market = market
        self._orders = orders
        self._journal = journal
        self._tracker = tracker
        self._guard = guard
        self._clock = clock
        self._bus = bus
        self._rules = rules
        self._settings = settings
        self._entries: dict[str, PairOrder] = {}
        self._busy: set[str] = set()
        self._traded_value: dict[str, float] = {}
        orders.on_fill = self._on_fill
        orders.on_foreign_fill = self._on_foreign_fill
        orders.on_unwritable = self.on_unwritable
        orders.on_refused_key = self._on_refused_key

    # asked from outside

    async def execute(self, order: PairOrder) -> None:
        """Carry out a pair order, or refuse it. One at a time per pair; never raises for what the venue did."""
        if order.pair_id in self._busy:
            self._refuse(order, ("busy",))
            return
        self._busy.add(order.pair_id)
        try:
            await (self._enter(order) if order.action is Action.ENTER else self._exit(order))
        except JournalUnwritable as error:
            await self._wait_for_disk(order, error)
        finally:
            self._busy.discard(order.pair_id)

    @property
    def is_idle(self) -> bool:
        return not self._busy

    def note_liquidity(self, symbol: str, traded_value: float) -> None:
        """Quote currency traded in the last bar: decides which leg goes first."""
        self._traded_value[symbol] = traded_value

    def adopt(self, entry: PairOrder) -> None:
        """Recovery: the entry order of a pair that an earlier process held."""
        self._entries[entry.pair_id] = entry

    async def finish_interrupted(self, pair_id: str) -> None:
        """Recovery: bring a pair that was under way to OPEN or to FLAT. Needs a market that moves."""
        entry = self._entries[pair_id]
        self._busy.add(pair_id)
        try:
            await self._finish(entry, None)
        except JournalUnwritable as error:
            await self._wait_for_disk(entry, error)
        finally:
            self._busy.discard(pair_id)

    async def _finish(self, entry: PairOrder, order: PairOrder | None) -> None:
        """From whatever state the pair is in; ``order`` is the exit that the strategy waits for, if it does."""
        state = self._tracker.state(entry.pair_id)
        if state in (PairState.ENTERING, PairState.HEDGING):
            if self._first_filled(entry):
                await self._complete(entry)
            else:
                self._drop(entry, "interrupted")
        elif state is PairState.EXITING and not self._tracker.has_left(entry.pair_id):
            await self._leave(entry, order)
        elif state.is_busy:
            _, _, reason = self._tracker.exit_of(entry.pair_id)
            await self._flatten(entry.pair_id, state, order, reason or "recovered")

    async def _wait_for_disk(self, order: PairOrder, error: JournalUnwritable) -> None:
        """Nothing is sent that is not on disk first: a half-done pair waits, with an alarm, until the disk writes."""
        self.on_unwritable(error)
        pair_id = order.pair_id
        entry = self._entries.get(pair_id)
        if entry is None or self._tracker.state(pair_id) is PairState.ENTERING and not self._first_filled(entry):
            self._forget(order)
            self._bus.publish(OrderFailed(self._now(), order, "journal_unwritable"))
            return
        leaving = order if order.action is Action.EXIT else None
        while self._tracker.state(pair_id).is_busy:
            await asyncio.sleep(DISK_POLL_S)
            with suppress(JournalUnwritable):
                await self._finish(entry, leaving)

    # entering

    async def _enter(self, order: PairOrder) -> None:
        verdict = self._guard.check(order)
        if isinstance(verdict, Refused):
            self._refuse(order, verdict.reasons)
            return
        reasons = await self._reasons_of_the_venue(order)
        if reasons:
            self._guard.release(order.pair_id)
            self._refuse(order, reasons)
            return
        self._entries[order.pair_id] = order
        self._tracker.begin(order)
        self._save(order.pair_id)
        first = (await self._ordered(order))[0]
        outcome = await self._orders.send(self._entry_send(order, first, first.quantity, first_leg=True))
        if outcome.filled:
            await self._complete(order)
        else:
            self._drop(order, outcome.reason)

    async def _complete(self, order: PairOrder) -> None:
        """The first leg has filled, whole or in part: hedge what there is, or unwind too little of it."""
        # Which leg came first is what filled more: liquidity may have turned since, and a restart does not know it.
        first, *others = sorted(order.legs, key=lambda leg: self._share_filled(order, leg), reverse=True)
        share = self._share_filled(order, first)
        if not others:
            self._open(order)
        elif share < Decimal(repr(self._settings.min_fill_ratio)):
            await self._unwind(order, f"partial_fill:{share:.2f}")
        else:
            await self._hedge(order, first, others[0])

    def _share_filled(self, order: PairOrder, leg: LegOrder) -> Decimal:
        return self._tracker.quantity(order.pair_id, leg.symbol) / leg.quantity

    async def _hedge(self, order: PairOrder, first: LegOrder, hedge: LegOrder) -> None:
        """Fill the hedge leg to match the first; unwind both when that cannot be had in time."""
        started_ms = self._clock.now_ms()
        self._set_state(order.pair_id, PairState.HEDGING)
        price_before = await self._price_soon(hedge.symbol)
        for _ in range(HEDGE_TRIES):
            missing = self._missing_hedge(order, first, hedge)
            if not missing:
                break
            outcome = await self._orders.send(self._entry_send(order, hedge, missing, first_leg=False))
            self._note_legging(order.pair_id, outcome, price_before, await self._price_soon(hedge.symbol))
            if (self._clock.now_ms() - started_ms) / 1000.0 > self._settings.max_unhedged_s:
                break
        if self._missing_hedge(order, first, hedge):
            await self._unwind(order, "hedge_failed")
        else:
            self._open(order)

    def _missing_hedge(self, order: PairOrder, first: LegOrder, hedge: LegOrder) -> Decimal:
        """Signed, on the venue's step; zero when what is missing is little and too small to be ordered."""
        filled = self._tracker.quantity(order.pair_id, first.symbol)
        wanted = hedge.quantity * filled / first.quantity
        missing = self._rules[hedge.symbol].round_amount(wanted - self._tracker.quantity(order.pair_id, hedge.symbol))
        reference = Decimal(repr(hedge.reference_price))
        little = abs(missing) <= abs(wanted) * HEDGE_TOLERANCE
        if little and self._rules[hedge.symbol].shortfall(missing, reference):
            return ZERO
        return missing if missing * hedge.quantity > 0 else ZERO

    def _open(self, order: PairOrder) -> None:
        self._set_state(order.pair_id, PairState.OPEN)
        position = self._tracker.position(order.pair_id)
        assert position is not None
        self._bus.publish(PairOpened(self._now(), order, position))

    def _drop(self, order: PairOrder, reason: str) -> None:
        """Nothing filled: the pair is flat, as before."""
        self._journal.save_position(order.pair_id, PairState.FLAT, {})
        self._forget(order)
        self._bus.publish(OrderFailed(self._now(), order, reason))

    def _forget(self, order: PairOrder) -> None:
        if self._entries.pop(order.pair_id, None) is not None:
            self._tracker.finish(order.pair_id)
            self._guard.release(order.pair_id)

    async def _unwind(self, order: PairOrder, reason: str) -> None:
        self._alarm(f"{order.pair_id} is unwound: {reason}", order.pair_id, critical=True)
        self._tracker.begin_exit(order.pair_id, when=self._now(), zscore=None, reason=f"unwound:{reason}")
        await self._flatten(order.pair_id, PairState.UNWINDING, None, reason)
        if self._tracker.state(order.pair_id) is PairState.FLAT:
            self._guard.release(order.pair_id)
        self._bus.publish(OrderFailed(self._now(), order, f"unwound:{reason}"))

    # leaving

    async def _exit(self, order: PairOrder) -> None:
        if self._tracker.state(order.pair_id) is not PairState.OPEN:
            self._refuse(order, ("not_open",))
            return
        self._tracker.begin_exit(order.pair_id, when=order.decided_at, zscore=order.zscore, reason=order.reason)
        self._set_state(order.pair_id, PairState.EXITING)
        await self._leave(self._entries[order.pair_id], order)

    async def _leave(self, entry: PairOrder, order: PairOrder | None) -> None:
        """Close a whole pair once both legs can be; ``order`` None: an exit that an earlier process decided."""
        closed = await self._wait_for_quotes(entry)
        _, _, reason = self._tracker.exit_of(entry.pair_id)
        if not closed:
            await self._flatten(entry.pair_id, PairState.EXITING, order, reason)
            return
        # It stays EXITING: asking again at every bar would change nothing.
        if len(closed) < len(entry.legs):
            text = f"{entry.pair_id} cannot be left: {', '.join(closed)} trades no more; close the other leg by hand"
            self._alarm(text, entry.pair_id, critical=True)
        deferred = f"exit_deferred:market_closed:{','.join(closed)}"
        self._bus.publish(OrderFailed(self._now(), order or entry, deferred))

    async def _wait_for_quotes(self, order: PairOrder) -> list[str]:
        """A hedged pair is left with both legs or not yet: while one is halted, selling the other would bare it.

        Returns the symbols that will never trade again, if any.
        """
        while not (closed := await self._closed_for_good(order)) and await self._without_quote(order):
            await asyncio.sleep(HALTED_POLL_S)
        return closed

    async def _flatten(self, pair_id: str, state: PairState, order: PairOrder | None, reason: str) -> None:
        """Close whatever the pair holds, reduce-only, until it is flat; a pair that will not close is HALTED."""
        action = "exit" if state is PairState.EXITING else "unwind"
        self._set_state(pair_id, state)
        tries = waits = 0
        while tries < FLATTEN_TRIES:
            await asyncio.sleep(FLATTEN_WAIT_S[min(waits, len(FLATTEN_WAIT_S) - 1)])
            was_sent = [
                await self._close_leg(pair_id, leg, action, order) for leg in await self._legs_to_close(pair_id)
            ]
            # While the exchange wants silence nothing was tried: it is tried for as long as that lasts.
            tries, waits = tries + (any(was_sent) or not was_sent), waits + 1
            if not any(self._closable(pair_id, leg) for leg in self._entries[pair_id].legs):
                self._write_off_dust(pair_id)
                self._close(pair_id, order)
                return
        self._set_state(pair_id, PairState.HALTED)
        self._guard.halt(f"cannot_close:{pair_id}", self._now())
        self._alarm(f"{pair_id} could not be closed ({reason}); close it by hand", pair_id, critical=True)

    def _close(self, pair_id: str, order: PairOrder | None) -> None:
        trade = self._tracker.trade_of(pair_id)
        with self._journal.transaction():
            if trade is not None:
                self._journal.save_trade(trade)
            self._journal.save_position(pair_id, PairState.FLAT, {})
        self._tracker.finish(pair_id)
        self._entries.pop(pair_id, None)
        if trade is not None:
            self._bus.publish(PairClosed(self._now(), trade, order))

    # what is sent

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

    async def _legs_to_close(self, pair_id: str) -> list[LegOrder]:
        return [leg for leg in await self._ordered(self._entries[pair_id]) if self._closable(pair_id, leg)]

    async def _close_leg(self, pair_id: str, leg: LegOrder, action: str, order: PairOrder | None) -> bool:
        """False when the order could not even be sent."""
        reference = await self._closing_reference(leg, order)
        outcome = await self._orders.send(self._closing_send(pair_id, leg, action, reference))
        return outcome.placed or not outcome.reason.startswith(UNSENT)

    def _closing_send(self, pair_id: str, leg: LegOrder, action: str, reference_price: Decimal) -> LegSend:
        entry, held = self._entries[pair_id], self._closable(pair_id, leg)
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
        held, rules = self._tracker.quantity(pair_id, leg.symbol), self._rules[leg.symbol]
        if rules.kind != "spot":
            return held
        whole = rules.round_amount(held)
        return ZERO if rules.shortfall(whole, Decimal(repr(leg.reference_price))) else whole

    def _write_off_dust(self, pair_id: str) -> None:
        for leg in self._entries[pair_id].legs:
            dust = self._tracker.write_off(pair_id, leg.symbol)
            if dust:
                self._alarm(f"{dust} of {leg.symbol} is too little to be sold; it stays in the wallet", pair_id)

    async def _closing_reference(self, leg: LegOrder, order: PairOrder | None) -> Decimal:
        """The close that the exit was decided on; the price now where the engine itself decided it."""
        decided = {wanted.symbol: wanted.reference_price for wanted in order.legs} if order else {}
        if leg.symbol in decided:
            return Decimal(repr(decided[leg.symbol]))
        return await self._price(leg.symbol) or Decimal(repr(leg.reference_price))

    def _only_reduces(self, symbol: str, held: Decimal) -> bool:
        """With shared symbols the account holds the net: an exit is reduce-only as far as it reduces that."""
        net = self._tracker.net(symbol)
        return net * held > 0 and abs(net) >= abs(held)

    async def _ordered(self, order: PairOrder) -> tuple[LegOrder, ...]:
        """The less liquid leg first (one that does not trade now is the least); ``leg_a`` when nothing is known."""
        halted = await self._without_quote(order)
        return tuple(
            sorted(order.legs, key=lambda leg: (leg.symbol not in halted, self._traded_value.get(leg.symbol, 0.0)))
        )

    # what is checked

    async def _reasons_of_the_venue(self, order: PairOrder) -> tuple[str, ...]:
        """The decision is fresh and both legs pass the venue's rules, before the first is sent."""
        if (self._now() - order.decided_at).total_seconds() > self._settings.longest_decision_age_s:
            return ("stale_bar",)
        halted = await self._without_quote(order)
        if halted:
            return tuple(f"no_quote:{symbol}" for symbol in halted)
        reasons = []
        for leg in order.legs:
            reference = Decimal(repr(leg.reference_price))
            if self._rules[leg.symbol].shortfall(leg.quantity, reference):
                reasons.append(f"below_minimum:{leg.symbol}")
            most = self._rules[leg.symbol].max_amount
            if most is not None and abs(leg.quantity) > most:
                reasons.append(f"above_maximum:{leg.symbol}")
            if not self._rules[leg.symbol].is_open:
                reasons.append(f"not_trading:{leg.symbol}")
        return tuple(reasons)

    async def _without_quote(self, order: PairOrder) -> list[str]:
        return [leg.symbol for leg in order.legs if await self._price(leg.symbol) is None]

    async def _closed_for_good(self, order: PairOrder) -> list[str]:
        closed = []
        for leg in order.legs:
            try:
                await self._market.quote(leg.symbol)
            except MarketClosed:
                closed.append(leg.symbol)
            except ExchangeUnreachable:
                continue
        return closed

    async def _price_soon(self, symbol: str) -> Decimal | None:
        """For the statistics: no order waits long for it."""
        try:
            return await asyncio.wait_for(self._price(symbol), PRICE_PATIENCE_S)
        except TimeoutError:
            return None

    async def _price(self, symbol: str) -> Decimal | None:
        try:
            return (await self._market.quote(symbol)).price
        except ExchangeUnreachable:
            return None

    def _first_filled(self, order: PairOrder) -> bool:
        return any(self._tracker.quantity(order.pair_id, leg.symbol) for leg in order.legs)

    # what is booked and told

    def _on_fill(self, send: LegSend, fill: Fill) -> None:
        self._tracker.apply_fill(
            send.pair_id,
            fill.symbol,
            fill.position_change,
            fill.price,
            fee=fill.fee,
            reference_price=send.reference_price,
        )
        self._bus.publish(LegFilled(send.pair_id, send.ref, fill, send.reference_price))

    def _on_foreign_fill(self, fill: Fill) -> None:
        """A trade that we did not send (a liquidation, a person): our ledger no longer tells the truth."""
        if fill.symbol not in self._rules:
            return
        self._guard.halt(f"foreign_fill:{fill.symbol}", self._now())
        self._alarm(
            f"{fill.symbol}: {fill.signed_amount} was traded by order {fill.client_order_id}, which is not ours; "
            "nothing more is opened until the difference is closed by hand",
            None,
            critical=True,
        )

    def _on_refused_key(self, reason: str) -> None:
        self._guard.halt("key_refused", self._now())
        self._alarm(
            f"the exchange takes no orders with this API key ({reason}); nothing more is opened. Renew the key or its "
            "permissions and start again; until then open pairs must be watched by hand",
            None,
            critical=True,
        )

    def on_unwritable(self, error: JournalUnwritable) -> None:
        self._guard.halt("journal_unwritable", self._now())
        self._alarm(f"nothing more is sent: {error}", None, critical=True)

    def _note_legging(self, pair_id: str, outcome: LegOutcome, before: Decimal | None, after: Decimal | None) -> None:
        """What the market moved against the hedge between the first leg's fill and the hedge's."""
        if before is not None and after is not None and outcome.filled:
            self._tracker.add_legging_cost(pair_id, -outcome.filled * (after - before))

    def _refuse(self, order: PairOrder, reasons: tuple[str, ...]) -> None:
        self._journal.record_refusal(RefusalRecord(order.decided_at, order.pair_id, reasons))
        self._bus.publish(EntryRefused(self._now(), order, reasons))

    def _set_state(self, pair_id: str, state: PairState) -> None:
        self._tracker.set_state(pair_id, state)
        self._save(pair_id)

    def _save(self, pair_id: str) -> None:
        position = self._tracker.position(pair_id)
        assert position is not None
        self._journal.save_position(pair_id, position.state, self._payload(position))

    def _payload(self, position: PairPosition) -> dict[str, object]:
        entry = self._entries[position.pair_id]
        when, zscore, reason = self._tracker.exit_of(position.pair_id)
        targets = {leg.symbol: leg.quantity for leg in entry.legs}
        return position_payload(position, targets) | {
            "ref": entry.ref,
            "reference_prices": {leg.symbol: leg.reference_price for leg in entry.legs},
            "legging_cost": str(self._tracker.legging_cost(position.pair_id)),
            "exit": {"time": when.isoformat() if when else None, "zscore": zscore, "reason": reason},
        }

    def _now(self) -> datetime:
        return ms_to_datetime(self._clock.now_ms())

    def _alarm(self, message: str, pair_id: str | None, *, critical: bool = False) -> None:
        self._bus.publish(Alarm(self._now(), message, pair_id, critical))
