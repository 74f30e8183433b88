from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from ccxt_bt_bridge.words import NotPlaced, OrderRequest, Side
from pairs.words import Pair, PairState
from tests.brokers.markets import bars, source
from tests.trading.execution.engine_rig import RULES, CrashPlan, Rig, fast_files, open_world, start_rig
from tests.trading.plays import SHARING, live, play, round_trip, run_market
from tests.virtual_time import run_virtual
from trading.events import LegsEven, OrderFailed
from trading.execution.settings import ExecutionSettings
from trading.risk_guard import Breaker

D = Decimal


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def fault(symbol: str, at: int, kind: str = "reject", **more) -> dict:
    return {"kind": kind, "on": "create_order", "symbol": symbol, "at": at} | more


async def enter(rig: Rig) -> None:
    await rig.engine.execute(rig.enter())


def a_person_closes(rig: Rig, symbol: str, amount: str) -> None:
    side = Side.SELL if rig.world.held(symbol) > 0 else Side.BUY
    request = OrderRequest("by-hand", symbol, side, D(amount))
    rig.world.exchange.venue.place(request, now_ms=rig.world.clock.now_ms())


def lone_life(folder, script, **terms):
    """As ``play``, without the comparison of both books at the end: here they differ for good."""

    async def main():
        world = open_world(folder, **terms)
        try:
            rig = start_rig(world)
            await script(rig)
            await rig.stop()
            return rig, world.held("A"), world.held("B")
        finally:
            world.close()

    return run_virtual(main())


# rests that no order of their own can close


def falling_market():
    """A at 100, and at 50 from the third hour on."""
    return source(bars("A", [(100, 100)] * 3 + [(50, 50)] * 37), bars("B", [(50, 50)] * 40), bars("C", [(20, 20)] * 40))


async def enter_two_pairs(rig: Rig) -> None:
    """One has bought of A what the other has sold of it: the account holds none."""
    await rig.engine.execute(rig.enter("A_B", {"A": D("0.06"), "B": D(-2)}))
    await rig.engine.execute(rig.enter("C_A", {"C": D(10), "A": D("-0.06")}))
    await run_market(rig, 3.5)


def test_rests_of_two_pairs_that_are_too_small_to_order_go_out_against_each_other(tmp_path):
    async def script(rig: Rig) -> None:
        await enter_two_pairs(rig)
        await rig.engine.execute(rig.leave("A_B"))
        assert (rig.ledger.net("A"), rig.engine.foreign.amount("A")) == (D("-0.06"), D("0.06"))
        assert rig.state() is PairState.FLAT
        await rig.engine.execute(rig.leave("C_A"))

    rig = play(tmp_path, script, market=falling_market(), pairs=SHARING, settings=ExecutionSettings(min_fill_ratio=0.9))
    assert [(one.symbol, one.signed_amount) for one in rig.port.sent[4:]] == [("B", D(2)), ("C", D(-10))]
    assert (rig.state(), rig.state("C_A"), rig.engine.foreign.symbols()) == (PairState.FLAT, PairState.FLAT, ())
    assert [alarm.split(";")[0] for alarm in rig.alarms] == [
        "0.06 of A is too little to be closed beside what other pairs hold of it",
        "-0.06 of A is too little to be closed beside what other pairs hold of it",
    ]


def test_a_rest_that_reduces_the_accounts_position_is_closed_however_small(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter("A_B", {"A": D("0.06"), "B": D(-2)}))
        await run_market(rig, 3.5)
        await rig.engine.execute(rig.leave())

    rig = play(tmp_path, script, market=falling_market(), settings=ExecutionSettings(min_fill_ratio=0.9))
    assert {(one.symbol, one.signed_amount, one.reduce_only) for one in rig.port.sent[2:]} == {
        ("A", D("-0.06"), True),
        ("B", D(2), True),
    }


# nothing to reduce


async def leave_after_a_person(rig: Rig) -> None:
    """A is closed by hand, the user stream does not tell, and then the pair is to be left."""
    await enter(rig)
    rig.tasks[0].cancel()
    await asyncio.sleep(0)
    a_person_closes(rig, "A", "2")
    await rig.engine.execute(rig.leave())


def test_an_exit_of_a_leg_that_somebody_else_closed_still_closes_the_other_and_asks_for_a_person(tmp_path):
    """X28: -2022 is not tried for ever, also when nobody can say what became of the leg."""

    async def no_answer(symbol: str) -> None:
        return

    async def script(rig: Rig) -> None:
        rig.engine.on_nothing_to_reduce = no_answer
        await leave_after_a_person(rig)

    rig, a, b = lone_life(tmp_path, script)
    assert (a, b) == (0, 0)
    assert rig.state() is PairState.HALTED
    assert [one.symbol for one in rig.port.sent[2:]].count("A") == 3
    assert rig.guard.breaker is Breaker.HALTED
    assert (
        "A: our books hold 2 for A_B, the exchange has nothing of it to close; somebody else closed it, find out who"
    ) in rig.alarms


def test_an_exit_of_a_leg_that_somebody_else_closed_adopts_their_trade_and_goes_on_from_there(tmp_path):
    rig, a, b = lone_life(tmp_path, leave_after_a_person)
    assert (a, b, rig.state()) == (0, 0, PairState.FLAT)
    assert [one.symbol for one in rig.port.sent[2:]] == ["A", "B"]
    assert rig.guard.breaker is Breaker.HALTED
    assert len(rig.ledger.trades) == 1


def test_a_close_that_could_not_be_sent_is_no_try(tmp_path):
    """While the exchange wants silence (a ban may last days) nothing was tried: the pair is left when it is over."""

    async def script(rig: Rig) -> None:
        await enter(rig)
        send, silent_until_ms = rig.world.exchange.create_order, rig.world.clock.now_ms() + 3_600_000

        async def create_order(request: OrderRequest):
            if rig.world.clock.now_ms() < silent_until_ms:
                return NotPlaced("local", "not sent: the exchange wants silence")
            return await send(request)

        rig.port.create_order = create_order
        await rig.engine.execute(rig.leave())

    rig, a, b = lone_life(tmp_path, script)
    assert (a, b, rig.state()) == (0, 0, PairState.FLAT)
    assert rig.guard.breaker is Breaker.CLOSED


# how long a leg was without its hedge


def test_the_time_without_a_hedge_is_told_for_every_entry_and_exit(tmp_path):
    rig = play(tmp_path, round_trip, terms={"latency_ms": 200})  # half of it there, half of it back
    times = [event.unhedged_s for event in rig.of(LegsEven)]
    assert times == [pytest.approx(0.2, abs=0.11)] * 2
    assert rig.engine.longest_unhedged_s == max(times)


def test_an_uncertain_hedge_is_an_alarm_at_once_and_another_when_the_time_is_up(tmp_path):
    """The order that nobody answers for is resolved first; then the rest is done as soon as it is known."""
    settings = ExecutionSettings(max_unhedged_s=5.0)
    when = []

    async def script(rig: Rig) -> None:
        begun_ms = rig.world.clock.now_ms()
        rig.engine._bus.add(lambda event: when.append((rig.world.clock.now_ms() - begun_ms, type(event).__name__)))
        await enter(rig)

    rig = play(tmp_path, script, settings=settings, faults=[fault("B", 1, "timeout_before_execution")])
    alarms = [ms / 1000 for ms, kind in when if kind == "Alarm"]
    assert alarms[0] < 5.0
    assert "A_B has had one leg without its hedge for 5 s; it is being mended" in rig.alarms
    assert rig.state() is PairState.FLAT, "the time was up when it was known: no further try"
    assert [event.reason for event in rig.of(OrderFailed)] == ["unwound:hedge_failed"]
    (told,) = rig.of(LegsEven)
    assert 5.0 < told.unhedged_s < 30.0


def test_a_lost_close_is_followed_as_soon_as_it_is_known_to_be_lost(tmp_path):
    """The horizon of 14 s counts from the send; it is asked every 2 s, and then not waited any longer, as it is after a
    refusal."""
    sent_ms = []

    async def script(rig: Rig) -> None:
        await enter(rig)
        rig.port.before = lambda request: sent_ms.append(rig.world.clock.now_ms()) if request.symbol == "B" else None
        await rig.engine.execute(rig.leave())

    refused = fault("B", 2) | {"times": 3}
    lost = fault("B", 5, "timeout_before_execution") | {"times": 3}
    rig = play(tmp_path, script, faults=[refused, lost])
    gaps_s = [(after - before) / 1000 for before, after in pairwise(sent_ms)]
    assert gaps_s[:3] == [1.0, 2.0, 2.0]
    assert len(gaps_s) == 6
    assert max(gaps_s) < 16.0
    assert rig.state() is PairState.FLAT


def test_a_hedge_within_its_time_is_no_alarm(tmp_path):
    async def script(rig: Rig) -> None:
        await round_trip(rig)
        await asyncio.sleep(120)

    assert play(tmp_path, script).alarms == []


def test_a_pair_that_is_uneven_at_a_restart_counts_from_there(tmp_path):
    async def main():
        world = open_world(tmp_path)
        try:
            crash = CrashPlan()
            rig = start_rig(world, crash=crash)
            rig.port.before = lambda request: crash.died.set() if request.symbol == "B" else None
            assert await live(rig, crash, enter(rig))
            await asyncio.sleep(3600)
            again = start_rig(world)
            assert await again.recover() == ()
            await again.stop()
            return again
        finally:
            world.close()

    rig = run_virtual(main())
    assert rig.state() is PairState.OPEN
    assert rig.engine.longest_unhedged_s < 30.0


def test_a_hedge_that_was_never_sent_is_sent_by_the_next_process_and_halts_nothing(tmp_path):
    async def main():
        world = open_world(tmp_path, latency_ms=300)
        try:
            crash = CrashPlan()
            rig = start_rig(world, crash=crash)

            def die_before_the_hedge(request: OrderRequest) -> None:
                if request.symbol == "B":
                    crash.died.set()
                    crash.point("send")

            rig.port.before = die_before_the_hedge
            assert await live(rig, crash, enter(rig))
            again = start_rig(world)
            again.floor.wire.last_price = again.engine.last_price  # nobody else knows one
            assert await again.recover() == ()
            await again.stop()
            return again
        finally:
            world.close()

    rig = run_virtual(main())
    assert rig.state() is PairState.OPEN
    assert [request.symbol for request in rig.port.sent] == ["B"]
    assert rig.guard.breaker is Breaker.CLOSED


# legs that hedge each other


@pytest.mark.parametrize(("a", "b", "even"), [("2", "-4", True), ("1", "-2", True), ("0", "0", True),
                                              ("2", "0", False), ("1", "-4", False), ("2", "-3.9", False),
                                              ("2", "-3.95", True)])  # fmt: skip
def test_legs_are_even_when_no_order_could_make_them_evener(a, b, even, tmp_path):
    """B at 50: 0.05 of it is 2.5, under the 5 that the venue takes, and a small part of the leg."""

    async def script(rig: Rig) -> None:
        order = rig.enter()
        rig.ledger.begin(order)
        for symbol, amount in (("A", a), ("B", b)):
            if D(amount):
                rig.ledger.apply_fill("A_B", symbol, D(amount), D(1), fee=D(0), reference_price=D(1))
        assert rig.engine._evenness.is_even(order) is even
        rig.ledger.write_off("A_B", "A"), rig.ledger.write_off("A_B", "B")

    lone_life(tmp_path, script)


# spot: what two pairs hold of one coin lies in one wallet


def test_a_sale_that_takes_from_another_pairs_coins_halts_and_is_told_as_what_it_is(tmp_path):
    rules = {name: replace(rule, kind="spot", base=name, quote="USDT") for name, rule in RULES.items()}

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter("A_B", {"A": D(2)}))
        await rig.engine.execute(rig.enter("C_A", {"A": D(1)}))
        await rig.engine.execute(rig.leave())

    async def main() -> Rig:
        world = open_world(tmp_path, faults=[fault("A", 3, "overfill") | {"factor": 1.01}], markets=rules)
        try:
            rig = start_rig(world, rules=rules, pairs=(Pair("A_B", "A", None), Pair("C_A", "A", None)))
            await script(rig)
            await rig.stop()
            return rig
        finally:
            world.close()

    rig = run_virtual(main())
    assert rig.state() is PairState.FLAT and rig.state("C_A") is PairState.OPEN
    assert rig.guard.state.breaker_reason == "oversold:A"
    assert "0.01900000 of A more than A_B held was sold" in rig.alarms[-1]
