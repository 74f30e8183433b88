from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import Fill, OrderStatus, Side
from pairs.words import PairState
from tests.brokers.markets import bars, hours, source
from tests.trading.execution.engine_rig import Rig, World, assert_sound, fast_files, open_world, start_rig
from tests.virtual_time import run_virtual
from trading.events import OrderFinished
from trading.execution.leg_orders import LegOutcome, LegSend
from trading.journal.words import Intent, IntentState

D = Decimal
BUY = LegSend("A_B", "r1", "enter", 0, "A", D(2), False, D(100))


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def send(
    folder: Path, wanted: LegSend = BUY, *, faults=(), **terms
) -> tuple[LegOutcome, Rig, list[Fill], list[Intent]]:
    """One order and its end; what was booked."""
    booked: list[Fill] = []

    async def main():
        world = open_world(folder, faults=faults, **terms)
        try:
            rig = start_rig(world)
            rig.orders.on_fill = lambda leg, fill: booked.append(fill)
            outcome = await rig.orders.send(wanted)
            await rig.stop()
            return outcome, rig, booked, rig.intents()
        finally:
            world.close()

    return run_virtual(main())


def on_create(kind: str, **more) -> list[dict]:
    return [{"kind": kind, "on": "create_order", "at": 1} | more]


@pytest.mark.parametrize(
    ("faults", "filled", "placed", "reason", "state"),
    [
        ((), "2", True, "closed", IntentState.DONE),
        (on_create("reject"), "0", False, "-2010 new order rejected (scripted fault)", IntentState.NOT_PLACED),
        (on_create("timeout_before_execution"), "0", False, "absent", IntentState.NOT_PLACED),
        (on_create("timeout_after_execution"), "2", True, "closed", IntentState.DONE),
        (on_create("partial_fill", fill_ratio=0.25), "0.5", True, "expired", IntentState.DONE),
        (on_create("partial_fill", fill_ratio=0.0), "0", True, "expired", IntentState.DONE),
    ],
)
def test_every_answer_comes_to_a_certain_end(faults, filled, placed, reason, state, tmp_path):
    outcome, rig, booked, (intent,) = send(tmp_path, faults=faults)
    assert (outcome.filled, outcome.placed, outcome.reason) == (D(filled), placed, reason)
    assert sum((fill.signed_amount for fill in booked), D(0)) == D(filled)
    assert (intent.state, intent.filled) == (state, D(filled))
    assert len(rig.port.sent) == 1
    (finished,) = rig.of(OrderFinished)
    assert finished.status == reason


def test_a_sale_has_a_negative_outcome(tmp_path):
    outcome, rig, *_ = send(tmp_path, replace(BUY, amount=D(-2)))
    assert outcome.filled == -2
    assert rig.port.sent[0].side is Side.SELL


def test_no_such_order_proves_nothing_before_the_horizon(tmp_path):
    _, rig, *_ = send(tmp_path, faults=on_create("timeout_before_execution"))
    (finished,) = rig.of(OrderFinished)
    assert 14_000 <= finished.latency_ms < 20_000


def test_a_lookup_without_an_answer_is_asked_again(tmp_path):
    faults = [
        *on_create("timeout_after_execution"),
        {"kind": "timeout_before_execution", "on": "fetch_order", "at": 1, "times": 5},
    ]
    outcome, *_ = send(tmp_path, faults=faults)
    assert outcome.filled == 2


def test_fills_that_the_stream_lost_are_fetched(tmp_path):
    async def main():
        world = open_world(tmp_path)
        rig = start_rig(world)
        rig.orders.on_fill = lambda leg, fill: None
        await rig.stop()  # nobody listens to the stream
        try:
            calls = []
            fetch = world.exchange.fills

            async def fills(*, since_ms: int):
                calls.append(since_ms)
                if len(calls) == 1:
                    raise ExchangeUnreachable("no answer in time")
                return await fetch(since_ms=since_ms)

            rig.port.fills = fills
            return (await rig.orders.send(BUY)).filled, calls, world.clock.now_ms()
        finally:
            world.close()

    filled, calls, now_ms = run_virtual(main())
    assert filled == 2
    assert len(calls) == 2 and now_ms > hours(1)


@pytest.mark.parametrize(
    ("faults", "steps"),
    [
        ((), [("DONE", "closed")]),
        (on_create("reject"), [("NOT_PLACED", "-2010 new order rejected (scripted fault)")]),
        (on_create("timeout_before_execution"), [("UNKNOWN", "no answer in time"), ("NOT_PLACED", "absent")]),
        (on_create("timeout_after_execution"), [("UNKNOWN", "no answer in time"), ("DONE", "closed")]),
    ],
)
def test_each_step_on_the_wire_is_kept(faults, steps, tmp_path):
    async def main():
        world = open_world(tmp_path, faults=faults)
        try:
            rig = start_rig(world)
            await rig.orders.send(BUY)
            (intent,) = rig.intents()
            kept = rig.journal.outcomes_of([intent.client_order_id])
            await rig.stop()
            return [(one.state.value, one.text) for one in kept], [one.time_ms for one in kept]
        finally:
            world.close()

    kept, times = run_virtual(main())
    assert kept == steps
    assert times == sorted(times)


def test_an_order_that_is_not_let_out_is_kept_with_its_reason(tmp_path):
    async def main():
        world = open_world(tmp_path)
        try:
            rig = start_rig(world)
            rig.orders.reason_against = lambda send: "emergency_stop"
            outcome = await rig.orders.send(BUY)
            kept = rig.journal.outcomes_of([BUY.ref])
            await rig.stop()
            return outcome, kept, rig.intents()
        finally:
            world.close()

    outcome, (kept,), intents = run_virtual(main())
    assert (outcome.placed, outcome.reason, intents) == (False, "local emergency_stop", [])
    assert (kept.state, kept.text) == (IntentState.NOT_PLACED, "enter leg 1, A: emergency_stop")


def test_a_fill_is_booked_once_whichever_way_it_comes(tmp_path):
    booked: list[Fill] = []

    async def main():
        world = open_world(tmp_path)
        try:
            rig = start_rig(world)
            rig.orders.on_fill = lambda leg, fill: booked.append(fill)
            foreign: list[Fill] = []
            rig.orders.on_foreign_fill = foreign.append
            await rig.orders.send(BUY)
            for _ in range(3):
                rig.orders.book(booked[0])
            assert foreign == [], "a late copy is nothing new"
            rig.orders.book(replace(booked[0], trade_id="99"))
            assert [fill.trade_id for fill in foreign] == ["99"], "of ours, and yet our ledger does not have it"
            await rig.stop()
        finally:
            world.close()

    run_virtual(main())
    assert len(booked) == 1


HOLE = source(bars("A", [(100, 100)] * 3 + [None] * 3 + [(90, 90)] * 6), bars("B", [(50, 50)] * 12))


async def _in_the_hole(folder: Path, **terms) -> tuple[World, Rig]:
    world = open_world(folder, HOLE, **terms)
    rig = start_rig(world)
    rig.tasks.append(asyncio.ensure_future(world.exchange.run_market()))
    await world.clock.sleep_until(hours(3.5))
    return world, rig


def test_an_order_that_rests_too_long_is_cancelled(tmp_path):
    async def main():
        world, rig = await _in_the_hole(tmp_path)
        try:
            outcome = await rig.orders.send(replace(BUY, timeout_s=60.0))
            await rig.stop()
            return outcome, world.clock.now_ms()
        finally:
            world.close()

    outcome, now_ms = run_virtual(main())
    assert (outcome.filled, outcome.placed, outcome.reason) == (0, True, OrderStatus.CANCELED.value)
    assert 60_000 <= now_ms - hours(3.5) <= 120_000


def test_a_time_that_a_float_makes_a_trifle_longer_passes(monkeypatch, tmp_path):
    """What is left of it, 4e-15 s, is less than virtual time can move by."""

    async def main():
        world, rig = await _in_the_hole(tmp_path)
        fetch_order, looks = world.exchange.fetch_order, []

        async def counted(symbol: str, client_order_id: str):
            looks.append(client_order_id)
            assert len(looks) < 100
            return await fetch_order(symbol, client_order_id)

        monkeypatch.setattr(world.exchange, "fetch_order", counted)
        try:
            outcome = await rig.orders.send(replace(BUY, timeout_s=27.551000000000002))
            await rig.stop()
            return outcome
        finally:
            world.close()

    assert run_virtual(main()).reason == "canceled"


@pytest.mark.parametrize("turns", range(4))
def test_whoever_waits_for_an_order_can_be_ended_while_it_fills(turns, tmp_path):
    async def main():
        world, rig = await _in_the_hole(tmp_path)
        try:
            rig.orders.on_fill = lambda leg, fill: None
            waiting = asyncio.create_task(rig.orders.send(BUY))
            await world.clock.sleep_until(world.clock.now_ms() + 1_300)
            (intent,) = rig.intents()
            now_ms = world.clock.now_ms()
            rig.orders.book(Fill("t1", "o1", intent.client_order_id, "A", Side.BUY, D(1), D(100), D(0), now_ms))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting], timeout=5.0)
            await rig.stop()
            return waiting.cancelled()
        finally:
            world.close()

    assert run_virtual(main())


def test_a_cancel_that_gets_lost_is_sent_again(tmp_path):
    async def main():
        lost = {"kind": "timeout_before_execution", "on": "cancel_order", "at": 1, "times": 2}
        world, rig = await _in_the_hole(tmp_path, faults=[lost])
        try:
            outcome = await rig.orders.send(replace(BUY, timeout_s=60.0))
            await rig.stop()
            return outcome
        finally:
            world.close()

    assert run_virtual(main()).reason == "canceled"


def test_an_order_still_working_at_a_restart_is_cancelled_although_the_market_stands_still(tmp_path):
    """Killed while an order rests on a halted symbol: recovery must come to an end before the market moves again."""

    async def main():
        world, rig = await _in_the_hole(tmp_path)
        try:
            entry = rig.enter()
            rig.engine._book.begin(entry)
            sending = asyncio.ensure_future(rig.orders.send(replace(BUY, ref=entry.ref)))
            await asyncio.sleep(5)
            for task in (sending, *rig.tasks):
                task.cancel()
            await asyncio.gather(sending, *rig.tasks, return_exceptions=True)
            rig.journal.die()
            again = start_rig(world)
            assert await again.recover() == ()
            await again.stop()
            assert_sound(again)
            return again, world.exchange.venue.open_orders()
        finally:
            world.close()

    rig, resting = run_virtual(main())
    assert rig.state() is PairState.FLAT
    assert resting == []


def test_an_interrupted_exit_of_a_whole_pair_waits_for_both_legs_after_a_restart(tmp_path):
    async def main():
        world = open_world(tmp_path, HOLE)
        try:
            rig = start_rig(world)
            market = asyncio.ensure_future(world.exchange.run_market())
            await rig.engine.execute(rig.enter())
            await world.clock.sleep_until(hours(3.5))
            leaving = asyncio.ensure_future(rig.engine.execute(rig.leave(reason="stop")))
            await asyncio.sleep(60)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await rig.stop()
            rig.journal.die()
            again = start_rig(world)
            again.recovery.restore(1)
            assert await again.recovery.reconcile(("A", "B")) == ()
            assert again.recovery.interrupted() == ("A_B",)
            finishing = asyncio.ensure_future(again.engine.finish_interrupted("A_B"))
            await world.clock.sleep_until(hours(5.9))
            sent_in_the_hole = list(again.port.sent)
            await finishing
            market.cancel()
            await asyncio.gather(market, return_exceptions=True)
            await again.stop()
            assert_sound(again)
            return again, sent_in_the_hole
        finally:
            world.close()

    rig, sent_in_the_hole = run_virtual(main())
    assert sent_in_the_hole == []
    assert [trade.exit_reason for trade in rig.ledger.trades] == ["stop"]


def test_a_disagreement_after_a_restart_leaves_half_done_pairs_alone(tmp_path):
    async def main():
        world = open_world(tmp_path)
        try:
            rig = start_rig(world)
            await rig.engine.execute(rig.enter())
            rig.engine._book.set_state("A_B", PairState.EXITING)
            await rig.stop()
            rig.journal.die()
            del world.exchange.venue.account.ledger._positions["A"]
            again = start_rig(world)
            mismatches = await again.recover()
            await again.stop()
            return again, [str(one) for one in mismatches]
        finally:
            world.close()

    rig, mismatches = run_virtual(main())
    assert mismatches == ["A: the journal holds 2, the exchange 0"]
    assert rig.port.sent == []
    assert rig.state() is PairState.EXITING
