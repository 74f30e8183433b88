"""Deliberate faults in the engine, one at a time, and the quick check that has to notice each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.simulated.trading import SimulatedTrading
from ccxt_bt_bridge.errors import BridgeError, ExchangeUnreachable
from ccxt_bt_bridge.words import Absent, Account, Ambiguous, Fill, OrderRequest, Side, Unknown
from pairs.words import Approved, PairState, Refused
from tests.reliability.cells import Cell, cells, play
from tests.reliability.conftest import Desk
from tests.reliability.places import open_place, start_life
from tests.trading.execution.engine_rig import EQUITY, OPEN_LIMITS, entry_order
from tests.virtual_time import run_virtual
from trading.execution.leaving import Leaving
from trading.execution.leg_orders import ZERO, LegOrders, LegOutcome, LegSend, _intent, _Watch, _watch
from trading.execution.pair_book import PairBook
from trading.execution.pair_engine import PairEngine
from trading.execution.pair_ledger import PairLedger
from trading.execution.reconciler import Reconciler
from trading.execution.recovery import Recovery
from trading.journal.writer import Journal
from trading.risk_guard import Breaker, RiskGuard, RiskState

D = Decimal
Patch = Callable[[pytest.MonkeyPatch], None]
Check = Callable[[Desk], list[str]]


# the checks: what is wrong, nothing for the engine as it is


def crashes(operation: str, *outcomes: str) -> Check:
    """Every crash point of one operation."""

    def check(desk: Desk) -> list[str]:
        found: list[str] = []
        try:
            for _, played in cells(desk.folder, desk.template, operation, outcomes):
                found += map(str, played.violations)
                if found:
                    break
        except Exception as error:  # an engine that raises is noticed as well
            found.append(repr(error))
        return found

    return check


def no_crash(operation: str, *outcomes: str) -> Check:
    """One operation whose process lives."""

    def check(desk: Desk) -> list[str]:
        try:
            return [str(one) for one in play(desk.folder, desk.template, Cell(operation, outcomes)).violations]
        except Exception as error:
            return [repr(error)]

    return check


def foreign_position(desk: Desk) -> list[str]:
    """A position is gone while the bot was dead, and at first the account cannot be asked: nothing may be sent."""

    async def main() -> list[str]:
        place = open_place(desk.folder / "foreign")
        try:
            rig = start_life(place)
            place.may_trade = True
            await rig.engine.execute(place.expect(rig.enter()))
            await rig.stop()
            rig.journal.close()
            await place.exchange.create_order(OrderRequest("person", "A", Side.SELL, D(2)))
            answers = iter([ExchangeUnreachable("no answer in time")])
            account = place.exchange.account

            async def unreachable_once() -> Account:
                for error in answers:
                    raise error
                return await account()

            place.exchange.account = unreachable_once
            again = start_life(place)
            again.recovery.restore(run=1)
            for _ in range(2):
                with suppress(BridgeError):
                    if not await again.recovery.reconcile(("A", "B")):
                        await again.engine.execute(again.leave())
                        break
            await again.stop()
            return [f"{len(again.port.sent)} orders were sent"] if again.port.sent else []
        finally:
            await place.close()

    return run_virtual(_fresh(desk.folder / "foreign", main()))


def crowd(desk: Desk) -> list[str]:
    """Five orders for one pair at once: one is carried out."""

    async def main() -> list[str]:
        place = open_place(desk.folder / "crowd")
        try:
            rig = start_life(place)
            place.may_trade = True
            orders = [place.expect(replace(rig.enter(), ref=f"A_B:enter:{number}")) for number in range(5)]
            await asyncio.gather(*map(rig.engine.execute, orders))
            await rig.stop()
            return [f"{len(rig.port.sent)} orders were sent"] if len(rig.port.sent) != 2 else []
        finally:
            await place.close()

    return run_virtual(_fresh(desk.folder / "crowd", main()))


async def _fresh(folder: Path, work: Coroutine[Any, Any, list[str]]) -> list[str]:
    """Work in a folder that is there and empty."""
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return await work


def resting(desk: Desk) -> list[str]:
    """The symbol is halted when the order comes: it is taken back, whatever the market does."""

    async def main() -> list[str]:
        place = open_place(desk.folder / "resting")
        try:
            rig = start_life(place)
            place.may_trade = True
            rig.port.before = lambda request: place.exchange.tape.halt(request.symbol, place.exchange.market_ms + 1)
            with suppress(TimeoutError):
                await asyncio.wait_for(rig.engine.execute(place.expect(rig.enter())), 600.0)
            await rig.stop()
            return [f"{one} rests" for one in place.exchange.venue.open_orders()]
        finally:
            await place.close()

    return run_virtual(_fresh(desk.folder / "resting", main()))


def halt_survives(desk: Desk) -> list[str]:
    guard = RiskGuard(OPEN_LIMITS, EQUITY)
    guard.halt("tested", NOON)
    again = RiskGuard(OPEN_LIMITS, EQUITY)
    again.restore(guard.snapshot())
    return [] if again.breaker is Breaker.HALTED else [f"after a restart the breaker is {again.breaker}"]


def caps_hold(desk: Desk) -> list[str]:
    """Two entries at once, of which the cap allows one."""
    guard = RiskGuard(replace(OPEN_LIMITS, max_exposure=0.06), EQUITY)
    orders = [entry_order(pair, {"A": D(2), "B": D(-4)}, NOON) for pair in ("A_B", "B_A")]
    verdicts = [guard.check(order) for order in orders]
    return [] if isinstance(verdicts[1], Refused) else ["both were approved"]


NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


# the faults


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


CHECKS: dict[str, Check] = {
    "crashes in a clean entry": crashes("enter", "ok", "ok"),
    "crashes in an entry whose hedge is refused": crashes("enter", "ok", "no_balance"),
    "crashes in a clean exit": crashes("exit", "ok", "ok"),
    "an entry whose answer is lost": no_crash("enter", "timeout_after", "ok"),
    "an entry that executes late": no_crash("enter", "late", "ok"),
    "an entry that never arrives": no_crash("enter", "ok", "timeout_before"),
    "an entry that fills in part": no_crash("enter", "partial_0.6", "ok"),
    "an entry that is unwound": no_crash("unwind_one", "ok", "ok"),
    "an exit in parts": no_crash("exit_in_parts", "ok", "ok"),
    "an order that rests": resting,
    "a stream that loses every event": no_crash("unheard", "ok", "ok"),
    "a stream that says everything twice": no_crash("heard_twice", "ok", "ok"),
    "a position of somebody else": foreign_position,
    "five orders for one pair": crowd,
    "a halt and a restart": halt_survives,
    "two entries under one cap": caps_hold,
}
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
