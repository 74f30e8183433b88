"""Deliberate faults in the engine, one at a time, and the quick check that has to notice each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.simulated.trading import SimulatedTrading
from ccxt_bt_bridge.errors import BridgeError
from ccxt_bt_bridge.words import Absent, Ambiguous, Fill, OrderRequest, Unknown
from pairs.words import Approved, PairState
from trading.execution.leaving import Leaving
from trading.execution.leg_orders import ZERO, LegOrders, LegOutcome, LegSend, _intent, _Watch, _watch
from trading.execution.pair_book import PairBook
from trading.execution.pair_engine import PairEngine
from trading.execution.pair_ledger import PairLedger
from trading.execution.reconciler import Reconciler
from trading.execution.recovery import Recovery
from trading.journal.writer import Journal
from trading.risk_guard import RiskGuard, RiskState

Patch = Callable[[pytest.MonkeyPatch], None]


def intent_after_send(patch: pytest.MonkeyPatch) -> None:
    async def send(self: LegOrders, send: LegSend) -> LegOutcome:
        watch = _watch(send, self._new_id(send), self._clock.now_ms())
        self._watches[watch.request.client_order_id] = watch
        patch_note = self._note
        self._note = lambda *args, **kwargs: None
        outcome = await self._create(watch)
        self._note = patch_note
        self._journal.write_intent(_intent(watch))
        self._finish(watch, outcome)
        return outcome

    patch.setattr(LegOrders, "send", send)


def not_found_is_conclusive(patch: pytest.MonkeyPatch) -> None:
    look_up = LegOrders._look_up

    async def hasty(self: LegOrders, watch: _Watch) -> Any:
        found = await look_up(self, watch)
        return Absent() if isinstance(found, Unknown) and "-2013" in found.reason else found

    patch.setattr(LegOrders, "_look_up", hasty)


def resend_with_the_same_id(patch: pytest.MonkeyPatch) -> None:
    create = LegOrders._create

    async def again(self: LegOrders, watch: _Watch) -> LegOutcome:
        port, self._port = self._port, _Twice(self._port)
        try:
            return await create(self, watch)
        finally:
            self._port = port

    patch.setattr(LegOrders, "_create", again)


class _Twice:
    """A port that sends once more what was not answered."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def create_order(self, request: OrderRequest) -> Any:
        outcome = await self._port.create_order(request)
        return await self._port.create_order(request) if isinstance(outcome, Ambiguous) else outcome


def resend_with_a_new_id(patch: pytest.MonkeyPatch) -> None:
    async def resolve(self: LegOrders, watch: _Watch, reason: str) -> LegOutcome:
        return await self.send(watch.send)

    patch.setattr(LegOrders, "_resolve", resolve)


def uncertain_is_rejected(patch: pytest.MonkeyPatch) -> None:
    async def resolve(self: LegOrders, watch: _Watch, reason: str) -> LegOutcome:
        return LegOutcome(watch.request.client_order_id, ZERO, False, reason)

    patch.setattr(LegOrders, "_resolve", resolve)


def uncertain_is_filled(patch: pytest.MonkeyPatch) -> None:
    async def resolve(self: LegOrders, watch: _Watch, reason: str) -> LegOutcome:
        return LegOutcome(watch.request.client_order_id, watch.send.amount, True, reason)

    patch.setattr(LegOrders, "_resolve", resolve)


def every_order_fills_whole(patch: pytest.MonkeyPatch) -> None:
    book = LegOrders.book

    def generous(self: LegOrders, fill: Fill) -> None:
        watch = self._watches.get(fill.client_order_id)
        book(self, fill if watch is None else replace(fill, amount=watch.request.amount))

    patch.setattr(LegOrders, "book", generous)


def fills_are_not_deduplicated(patch: pytest.MonkeyPatch) -> None:
    record = Journal.record_fill

    def always_new(self: Journal, fill: Fill, pair_id: str, ref: str) -> bool:
        record(self, fill, pair_id, ref)
        return True

    patch.setattr(Journal, "record_fill", always_new)


def done_before_its_fills(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Watch, "is_settled", property(lambda self: self.is_done))


def fills_stay_in_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "record_fill", lambda self, fill, pair_id, ref: True)


def nothing_is_ever_cancelled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LegOrders, "_is_overdue", lambda self, watch: False)


def ids_repeat(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "next_sequence", lambda self: 1)


def horizon_is_too_short(patch: pytest.MonkeyPatch) -> None:
    look_up = SimulatedTrading._look_up

    def hasty(self: SimulatedTrading, *args: Any) -> Any:
        self._horizon_ms = 500
        return look_up(self, *args)

    patch.setattr(SimulatedTrading, "_look_up", hasty)


def recovery_does_not_hedge(patch: pytest.MonkeyPatch) -> None:
    async def nothing(self: PairEngine, pair_id: str) -> None: ...

    patch.setattr(PairEngine, "finish_interrupted", nothing)


def recovery_does_not_resolve(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "unresolved_intents", lambda self: ())


def recovery_does_not_replay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recovery, "_replay", lambda self, entry, run: None)


def recovery_trades_first(patch: pytest.MonkeyPatch) -> None:
    reconcile = Recovery.reconcile

    async def eager(self: Recovery, symbols: Any) -> Any:
        for pair_id in self._ledger.open_pairs:
            if self._ledger.state(pair_id).is_busy:
                await self._engine.finish_interrupted(pair_id)
        return await reconcile(self, symbols)

    patch.setattr(Recovery, "reconcile", eager)


def a_failed_read_is_flat(patch: pytest.MonkeyPatch) -> None:
    begin = Reconciler.begin

    async def hopeful(self: Reconciler, symbols: Any) -> Any:
        try:
            return await begin(self, symbols)
        except BridgeError:
            return ()

    patch.setattr(Reconciler, "begin", hopeful)


def nothing_is_compared(patch: pytest.MonkeyPatch) -> None:
    async def agrees(self: Reconciler, symbols: Any) -> tuple:
        return ()

    patch.setattr(Reconciler, "begin", agrees)


def nothing_is_unwound(patch: pytest.MonkeyPatch) -> None:
    async def keep(self: Leaving, order: Any, reason: str) -> None:
        self._book.set_state(order.pair_id, PairState.OPEN)

    patch.setattr(Leaving, "unwind", keep)


def states_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PairBook, "_save", lambda self, pair_id: None)


def two_orders_of_a_pair_at_once(patch: pytest.MonkeyPatch) -> None:
    """Neither engine nor guard minds a second one."""
    patch.setattr(PairEngine, "_only_one", lambda self, pair_id: nullcontext())
    patch.setattr(RiskGuard, "check", lambda self, order: Approved(order))


def fees_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    apply_fill = PairLedger.apply_fill

    def free(self: PairLedger, *args: Any, fee: Decimal, **terms: Any) -> None:
        apply_fill(self, *args, fee=ZERO, **terms)

    patch.setattr(PairLedger, "apply_fill", free)


def the_breaker_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    snapshot, fresh = RiskGuard.snapshot, RiskState()
    patch.setattr(RiskGuard, "snapshot", lambda self: snapshot(self) | {"breaker": fresh.breaker})


def the_cap_ignores_what_is_in_flight(patch: pytest.MonkeyPatch) -> None:
    check = RiskGuard.check

    def forgetful(self: RiskGuard, order: Any) -> Any:
        verdict = check(self, order)
        self.release(order.pair_id)
        return verdict

    patch.setattr(RiskGuard, "check", forgetful)


def a_refusal_is_asked_about(patch: pytest.MonkeyPatch) -> None:
    """What was surely not placed counts as filled."""
    create = LegOrders._create

    async def blind(self: LegOrders, watch: _Watch) -> LegOutcome:
        outcome = await create(self, watch)
        return outcome if outcome.placed else replace(outcome, filled=watch.send.amount, placed=True)

    patch.setattr(LegOrders, "_create", blind)


@dataclass(frozen=True, slots=True)
class Mutant:
    apply: Patch
    caught_by: str

    @property
    def name(self) -> str:
        return self.apply.__name__.replace("_", " ")


MUTANTS = (
    Mutant(intent_after_send, "crashes in a clean entry"),
    Mutant(not_found_is_conclusive, "an entry that executes late"),
    Mutant(horizon_is_too_short, "an entry that executes late"),
    Mutant(resend_with_the_same_id, "an entry whose answer is lost"),
    Mutant(resend_with_a_new_id, "an entry whose answer is lost"),
    Mutant(uncertain_is_rejected, "an entry whose answer is lost"),
    Mutant(uncertain_is_filled, "an entry that never arrives"),
    Mutant(a_refusal_is_asked_about, "crashes in an entry whose hedge is refused"),
    Mutant(every_order_fills_whole, "an entry that fills in part"),
    Mutant(fills_are_not_deduplicated, "a stream that says everything twice"),
    Mutant(done_before_its_fills, "a stream that loses every event"),
    Mutant(fills_stay_in_memory, "crashes in a clean entry"),
    Mutant(nothing_is_ever_cancelled, "an order that rests"),
    Mutant(ids_repeat, "an exit in parts"),
    Mutant(recovery_does_not_hedge, "crashes in a clean entry"),
    Mutant(recovery_does_not_resolve, "crashes in a clean entry"),
    Mutant(recovery_does_not_replay, "crashes in a clean exit"),
    Mutant(recovery_trades_first, "crashes in a clean exit"),
    Mutant(a_failed_read_is_flat, "a position of somebody else"),
    Mutant(nothing_is_compared, "a position of somebody else"),
    Mutant(nothing_is_unwound, "an entry that is unwound"),
    Mutant(states_are_not_kept, "crashes in a clean entry"),
    Mutant(two_orders_of_a_pair_at_once, "five orders for one pair"),
    Mutant(fees_are_forgotten, "an entry whose answer is lost"),
    Mutant(the_breaker_is_not_kept, "a halt and a restart"),
    Mutant(the_cap_ignores_what_is_in_flight, "two entries under one cap"),
)
