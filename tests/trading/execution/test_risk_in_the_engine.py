"""What the engine tells its risk guard, and what of it a killed process leaves on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from ccxt_bt_bridge.words import Margin
from pairs.words import PairState
from tests.trading.execution.engine_rig import (
    OPEN_LIMITS,
    Rig,
    fast_files,
    open_world,
    start_rig,
)
from tests.trading.plays import SHARING, play, round_trip, shared_market
from tests.virtual_time import run_virtual
from trading.events import EntryRefused
from trading.execution.foreign_book import FOREIGN_KEY
from trading.journal.errors import JournalUnwritable
from trading.risk.state import GUARD_KEY, BreakerTripped, PairQuarantined
from trading.risk_guard import Breaker

D = Decimal
PRICES = {"A": 100.0, "B": 50.0, "C": 20.0}


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def failing(kind: str, at: int, **more) -> dict:
    return {"kind": kind, "on": "create_order", "symbol": "A", "at": at} | more


async def enter_often(rig: Rig, times: int) -> None:
    for _ in range(times):
        await rig.engine.execute(rig.enter())
        await asyncio.sleep(60)


@pytest.mark.parametrize(
    "faults",
    [[failing("reject", 1, times=3)], [failing("partial_fill", at, fill_ratio=0.4) for at in (1, 3, 5)]],
    ids=["refused", "unwound"],
)
def test_entries_refused_or_unwound_in_a_row_stop_entries(faults, tmp_path):
    limits = replace(OPEN_LIMITS, max_failed_orders=3)
    rig = play(tmp_path, lambda rig: enter_often(rig, 4), faults=faults, limits=limits)
    (tripped,) = rig.of(BreakerTripped)
    assert (tripped.breaker, tripped.reason) == (Breaker.REDUCE_ONLY, "failed_orders")
    assert [event.reasons for event in rig.of(EntryRefused)] == [("breaker_reduce_only:failed_orders",)]


def test_entries_that_open_are_no_failures(tmp_path):
    limits = replace(OPEN_LIMITS, max_failed_orders=2)

    async def script(rig: Rig) -> None:
        for _ in range(3):
            await round_trip(rig)
            await asyncio.sleep(60)

    faults = [failing("reject", 1), failing("reject", 4)]
    rig = play(tmp_path, script, faults=faults, limits=limits)
    assert rig.guard.breaker is Breaker.CLOSED
    assert len(rig.ledger.trades) == 1


def test_a_breaker_that_trips_between_the_legs_lets_the_hedge_finish(tmp_path):
    async def script(rig: Rig) -> None:
        def look(request) -> None:
            if request.symbol == "B":
                rig.guard.halt("a_test", rig.now)

        rig.port.before = look
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter("C_A", {"C": D(5), "A": D(-1)}))

    rig = play(tmp_path, script, market=shared_market(), pairs=SHARING)
    assert rig.state() is PairState.OPEN
    assert rig.of(EntryRefused)[0].reasons == ("breaker_halted:a_test",)
    assert len(rig.port.sent) == 2


def test_a_trip_is_on_disk_before_it_is_told(tmp_path):
    on_disk = []

    async def script(rig: Rig) -> None:
        rig.events.clear()
        bus = rig.engine._bus
        bus.add(lambda event: on_disk.append(rig.journal.risk_state(GUARD_KEY)["breaker"]))
        rig.guard.halt("a_test", rig.now)

    rig = play(tmp_path, script)
    assert on_disk == ["halted"]
    assert rig.of(BreakerTripped)[0].reason == "a_test"


def lives(folder, first, second, **terms) -> Rig:
    """Two processes on one exchange and one journal; the first is killed."""

    async def main() -> Rig:
        world = open_world(folder, shared_market())
        try:
            rig = start_rig(world, pairs=SHARING, **terms)
            await first(rig)
            await rig.stop()
            rig.journal.die()
            again = start_rig(world, pairs=SHARING, **terms)
            await second(again)
            await again.stop()
            return again
        finally:
            world.close()

    return run_virtual(main())


def test_a_quarantine_is_told_and_outlives_a_process_that_is_killed_before_the_next_bar(tmp_path):
    told: list = []

    async def stopped_out(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.leave(reason="stop_loss"))
        told.extend(rig.of(PairQuarantined))

    async def again(rig: Rig) -> None:
        await rig.recover()
        await asyncio.sleep(60)
        await rig.engine.execute(rig.enter())

    limits = replace(OPEN_LIMITS, max_stops_per_pair=1)
    rig = lives(tmp_path, stopped_out, again, limits=limits)
    assert [(event.pair_id, event.stops) for event in told] == [("A_B", 1)]
    assert rig.of(EntryRefused)[0].reasons == ("quarantined",)


def test_what_an_earlier_process_holds_counts_before_the_first_bar(tmp_path):
    async def hold(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    async def more(rig: Rig) -> None:
        await rig.recover()
        await rig.engine.execute(rig.enter("C_A", {"C": D(5), "A": D(-1)}))

    rig = lives(tmp_path, hold, more, limits=replace(OPEN_LIMITS, max_exposure=0.05))
    assert rig.of(EntryRefused)[0].reasons == ("max_exposure",), "400 are held, 500 is the cap, 200 are wanted"


@pytest.mark.parametrize("transfer", [D(5_000), D(-5_000)])
def test_a_deposit_or_a_withdrawal_is_neither_gain_nor_loss(transfer, tmp_path):
    limits = replace(OPEN_LIMITS, max_drawdown_pct=5.0, max_daily_loss=50.0)
    status: list[dict] = []

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        rig.guard.on_bar(rig.now, rig.ledger.equity(PRICES), rig.ledger.positions(), PRICES)
        status.append(rig.guard.get_risk_status())
        account = rig.world.exchange.venue.account.ledger
        account.totals = replace(account.totals, initial=account.totals.initial + transfer)
        assert (await rig.port.account()).wallet < D(5_001) or transfer > 0, "the exchange knows of it"
        assert rig.reconciler.differences(await rig.port.account(), ("A", "B")) == ()
        rig.guard.on_bar(rig.now, rig.ledger.equity(PRICES), rig.ledger.positions(), PRICES)
        status.append(rig.guard.get_risk_status())

    rig = play(tmp_path, script, limits=limits)
    assert status[0] == status[1]
    assert rig.guard.breaker is Breaker.CLOSED


def test_what_the_account_says_of_its_margin_keeps_the_distance_to_liquidation(tmp_path):
    async def script(rig: Rig) -> None:
        read = rig.port.account

        async def telling():
            return replace(await read(), margin=Margin(D(300), D(10)))

        rig.port.account = telling
        await rig.recover()
        await rig.reconciler.once()
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, limits=replace(OPEN_LIMITS, min_liquidation_distance_pct=80.0))
    assert rig.of(EntryRefused)[0].reasons == ("min_liquidation_distance_pct",), "72 % of 400, though 10,000 are booked"


# the closing commit, and what a kill leaves


def refuse_trades(rig: Rig, times: int) -> None:
    """The disk takes no finished trade so often."""
    save, left = rig.journal.save_trade, [times]

    def refused(trade) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise JournalUnwritable("the disk is full")
        save(trade)

    rig.journal.save_trade = refused


def test_a_stop_counts_once_however_often_the_disk_refuses_it(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        refuse_trades(rig, 3)
        await rig.engine.execute(rig.leave(reason="stop"))

    rig = play(tmp_path, script, limits=replace(OPEN_LIMITS, max_stops_per_pair=3))
    assert rig.state() is PairState.FLAT and len(rig.ledger.trades) == 1
    assert (rig.guard.state.stops_today, rig.guard.state.quarantine) == ({"A_B": 1}, {})


def test_a_rest_that_the_disk_refused_is_written_off_when_it_takes_it(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter("C_A", {"C": D(15), "A": D(-3)}))
        refuse_trades(rig, 1)
        send = rig.port.create_order

        async def all_but_a_rest(request):
            whole = request.symbol == "A" and request.closes and request.amount == 2
            return await send(replace(request, amount=D("1.98")) if whole else request)

        rig.port.create_order = all_but_a_rest
        await rig.engine.execute(rig.leave())
        assert rig.state() is PairState.FLAT
        assert rig.journal.risk_state(FOREIGN_KEY) == {"A": "0.02"}

    async def main() -> Rig:
        world = open_world(tmp_path, shared_market())
        try:
            rig = start_rig(world, pairs=SHARING)
            await script(rig)
            await rig.stop()
            return rig
        finally:
            world.close()

    rig = run_virtual(main())
    assert (rig.ledger.net("A"), rig.engine.foreign.amount("A"), rig.world.held("A")) == (D(-3), D("0.02"), D("-2.98"))


def test_an_entry_is_one_of_todays_trades_also_after_a_kill(tmp_path):
    async def first(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    async def second(rig: Rig) -> None:
        await rig.recover()
        assert rig.guard.state.trades_today == 1

    lives(tmp_path, first, second, limits=replace(OPEN_LIMITS, max_daily_trades=1))


def test_a_half_open_breaker_waits_for_no_pair_that_is_flat(tmp_path):
    """The pair that was to try was given up in the meantime: by the process that held it, or by none."""

    async def first(rig: Rig) -> None:
        rig.guard.cool_down("unreachable", rig.now, 60.0)
        await asyncio.sleep(61)
        rig.guard.check(rig.enter())
        rig.journal.save_risk_state(GUARD_KEY, rig.guard.snapshot())

    async def second(rig: Rig) -> None:
        await rig.recover()
        await rig.engine.execute(rig.enter("C_A", {"C": D(5), "A": D(-1)}))
        assert rig.state("C_A") is PairState.OPEN

    lives(tmp_path, first, second)


def test_a_pair_that_tried_and_was_unwound_by_the_next_process_lets_another_one_try(tmp_path):
    rig = play(tmp_path, round_trip)
    guard = rig.guard
    guard.state.probe = "A_B"
    guard.pair_left("A_B", "unwound:hedge_failed", rig.now)
    assert guard.state.probe == "*"


def test_a_check_that_raises_gives_its_reservation_back(tmp_path, monkeypatch):
    async def script(rig: Rig) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(rig.engine._entering._checks, "reasons_against", lambda order: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter())

    assert play(tmp_path, script).state() is PairState.OPEN
