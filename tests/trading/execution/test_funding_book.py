"""Funding goes to who held the symbol when it fell due, whenever it is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokers.funding import FundingSchedule
from ccxt_bt_bridge.words import FundingPayment
from tests.brokers.markets import bars, hours, market_order, source
from tests.trading.execution.engine_rig import Rig, World, fast_files, open_world, start_rig
from tests.trading.plays import SHARING, play, run_market, shared_market
from tests.virtual_time import run_virtual
from trading.events import FundingBooked
from trading.journal.errors import JournalError, JournalUnwritable
from trading.records import TradeRecord
from trading.risk_guard import Breaker

D = Decimal
FUNDED = {"funding": {"A": FundingSchedule(None, D("0.0001"))}}
DUE = 8


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def payment(amount: str, hour: float, number: str = "1") -> FundingPayment:
    return FundingPayment(number, "A", D(amount), D("0.0001"), D(100), hours(hour))


def test_funding_is_shared_by_quantity_and_booked_once(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter("C_A", {"C": D(15), "A": D(-3)}))
        for _ in range(2):
            rig.funding.book(payment("0.01", 8))

    rig = play(tmp_path, script, market=shared_market(), pairs=SHARING)
    assert [(event.pair_id, event.amount) for event in rig.of(FundingBooked)] == [
        ("A_B", D("-0.02")),
        ("C_A", D("0.03")),
    ]


def test_funding_due_before_a_pair_was_entered_is_not_its(tmp_path):
    """Recovery asks for old payments again: who came later must get no share of them."""

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        rig.funding.book(payment("-0.02", 1.5))
        await run_market(rig, 2)
        await rig.engine.execute(rig.enter("C_A", {"C": D(15), "A": D(-3)}))
        rig.funding.book(payment("-0.02", 1.5))

    rig = play(tmp_path, script, market=shared_market(), pairs=SHARING)
    assert [(event.pair_id, event.amount) for event in rig.of(FundingBooked)] == [("A_B", D("-0.02"))]


def test_a_booked_payment_is_not_shared_out_anew_when_another_holder_becomes_known(tmp_path):
    """The other pair's fill is of before the payment, and booked after it: the shares stay what was paid."""

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        rig.funding.book(payment("-0.02", DUE))
        await rig.engine.execute(rig.enter("C_A", {"C": D(15), "A": D(-1)}))
        rig.funding.book(payment("-0.02", DUE))

    rig = play(tmp_path, script, market=shared_market(), pairs=SHARING)
    assert [(event.pair_id, event.amount) for event in rig.of(FundingBooked)] == [("A_B", D("-0.02"))]


def test_funding_of_the_exchange_reaches_the_leg_that_holds(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await run_market(rig, 9)
        await rig.engine.execute(rig.leave())

    rig = play(tmp_path, script, terms=FUNDED)
    funded = [leg.funding for leg in rig.ledger.trades[0].legs]
    assert funded[0] < 0 == funded[1]
    wallet = rig.world.exchange.venue.account.ledger.wallet
    assert wallet == D(10_000) + rig.ledger.trades[0].pnl


async def trade_through(rig: Rig, until_hour: float = DUE) -> None:
    """Hold the pair until a bar closes at that hour, and leave it on that bar."""
    await rig.engine.execute(rig.enter())
    await run_market(rig, until_hour)
    await rig.engine.execute(rig.leave())


def deaf(rig: Rig) -> None:
    """The user stream tells nothing any more: orders are polled, payments go unheard."""
    rig.tasks[0].cancel()


def broken(rig: Rig, patch: pytest.MonkeyPatch, *, write: bool) -> None:
    """From now on the disk takes nothing, or answers no question about what was written."""

    def refusing(*_: object) -> None:
        raise JournalUnwritable("disk is full") if write else JournalError("disk I/O error")

    patch.setattr(rig.journal, "transaction" if write else "_rows", refusing)


async def started_again(rig: Rig) -> Rig:
    """A next life on the same files."""
    await rig.stop()
    rig.journal.close()
    return start_rig(rig.world)


def in_a_world(folder: Path, script: Callable[[World], Coroutine[Any, Any, None]], **terms: Any) -> None:
    """An exchange on which several lives of the bot follow each other."""

    async def main() -> None:
        world = open_world(folder, **terms)
        try:
            await script(world)
        finally:
            world.close()

    run_virtual(main())


def even_market():
    return source(bars("A", [(100, 100)] * 20), bars("B", [(50, 50)] * 20))


async def trade_by_hand(rig: Rig, amount: str, name: str) -> None:
    await rig.world.exchange.create_order(market_order(name, "A", amount))
    await asyncio.sleep(1)


def play_beside_others(folder: Path, script: Callable[[Rig], Coroutine[Any, Any, None]]) -> Rig:
    """As ``play``, without the comparison at the end: it knows the pairs' fills only."""
    rigs: list[Rig] = []

    async def lived(world: World) -> None:
        rigs.append(start_rig(world))
        await script(rigs[0])
        await rigs[0].stop()

    in_a_world(folder, lived)
    return rigs[0]


async def assert_nothing_is_missing(rig: Rig) -> None:
    assert await rig.recover() == ()
    books = D(10_000) + sum((trade.pnl for trade in rig.ledger.trades), D(0))
    assert books == rig.world.exchange.venue.account.ledger.wallet


def saved(rig: Rig) -> list[TradeRecord]:
    return list(rig.journal.trades(1))


def test_funding_that_is_heard_after_the_exit_goes_to_the_trade_and_its_record(tmp_path):
    async def script(rig: Rig) -> None:
        deaf(rig)
        await trade_through(rig)
        (before,) = rig.ledger.trades
        assert before.pnl_funding == 0
        for _ in range(2):
            for late in await rig.world.exchange.funding(since_ms=0):
                rig.funding.book(late)
        (after,) = rig.ledger.trades
        assert after.legs[0].funding < 0 == after.legs[1].funding
        assert after == before.with_funding("A", after.pnl_funding)
        assert saved(rig) == [after]
        wallet = rig.world.exchange.venue.account.ledger.wallet
        assert wallet == D(10_000) + after.pnl
        assert D(str(rig.ledger.equity({}))) == wallet

    rig = play(tmp_path, script, terms=FUNDED)
    assert [event.trade for event in rig.of(FundingBooked)] == [rig.ledger.trades[0]]


def test_funding_that_is_heard_by_the_next_process_goes_to_the_closed_trade_once(tmp_path):
    async def script(world: World) -> None:
        rig = start_rig(world)
        deaf(rig)
        await trade_through(rig)
        assert rig.ledger.trades[0].pnl_funding == 0
        for _ in range(2):
            rig = await started_again(rig)
            assert await rig.recover() == ()
            assert D(10_000) + rig.ledger.trades[0].pnl == world.exchange.venue.account.ledger.wallet
            assert saved(rig) == rig.ledger.trades

    in_a_world(tmp_path, script, **FUNDED)


@pytest.mark.parametrize("write", [True, False])
def test_funding_that_a_disk_refuses_ends_no_stream_and_is_booked_by_the_next_process(tmp_path, monkeypatch, write):
    async def script(world: World) -> None:
        rig = start_rig(world)
        await trade_through(rig, 4)
        rig.guard.release("A_B")
        await rig.engine.execute(rig.enter())
        broken(rig, monkeypatch, write=write)
        await run_market(rig, DUE + 1)
        assert rig.guard.breaker is Breaker.HALTED and "disk" in rig.alarms[-1]
        assert not rig.tasks[0].done()
        monkeypatch.undo()
        await rig.world.clock.sleep_until(hours(DUE + 25))
        await rig.engine.execute(rig.leave())
        await assert_nothing_is_missing(await started_again(rig))

    in_a_world(tmp_path, script, **FUNDED)


def test_funding_of_what_a_stranger_holds_beside_a_pair_is_not_the_pairs(tmp_path):
    """Told at once, or after the stranger has gone: who held what when it fell due decides."""

    async def script(rig: Rig) -> None:
        await run_market(rig, 4)
        await rig.engine.execute(rig.enter())
        await trade_by_hand(rig, "18", "comes")
        await rig.world.clock.sleep_until(hours(DUE + 0.1))
        rig.funding.book(payment("-0.2", DUE))
        await trade_by_hand(rig, "-18", "goes")
        assert not rig.engine.foreign.amount("A")
        rig.funding.book(payment("-0.2", DUE, "2"))

    rig = play_beside_others(tmp_path, script)
    assert [(event.pair_id, event.amount) for event in rig.of(FundingBooked)] == [("A_B", D("-0.02"))] * 2


def test_funding_of_a_stranger_who_came_while_nobody_listened_is_not_the_pairs(tmp_path):
    async def script(world: World) -> None:
        rig = start_rig(world)
        await rig.engine.execute(rig.enter())
        await rig.stop()
        await trade_by_hand(rig, "18", "comes")
        await run_market(rig, DUE + 1)
        again = await started_again(rig)
        assert await again.recover() == ()
        assert again.ledger.open_records({})[0].legs[0].funding == D("-0.02")

    in_a_world(tmp_path, script, market=even_market(), **FUNDED)


def test_funding_that_only_a_stranger_held_for_is_of_no_pair_that_comes_seconds_later(tmp_path):
    async def script(rig: Rig) -> None:
        await run_market(rig, DUE - 1)
        await trade_by_hand(rig, "18", "comes")
        await rig.world.clock.sleep_until(hours(DUE))
        await trade_by_hand(rig, "-18", "goes")
        await rig.engine.execute(rig.enter())
        rig.funding.book(payment("-0.18", DUE))

    assert play_beside_others(tmp_path, script).of(FundingBooked) == []


@pytest.mark.parametrize("write", [True, False])
def test_funding_that_a_disk_refuses_is_told_once_and_booked_by_a_later_look(tmp_path, monkeypatch, write):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        broken(rig, monkeypatch, write=write)
        for number in ("1", "2"):
            rig.funding.book(payment("-0.02", DUE, number))
            await rig.reconciler.once()
        assert rig.of(FundingBooked) == [] and len([alarm for alarm in rig.alarms if "disk" in alarm]) == 1
        monkeypatch.undo()
        for _ in range(2):
            await rig.reconciler.once()

    rig = play(tmp_path, script)
    assert [event.amount for event in rig.of(FundingBooked)] == [D("-0.02")] * 2


def test_funding_that_is_told_before_the_fill_of_an_uncertain_order_waits_for_it(tmp_path):
    """The order is answered by nobody, and the user stream tells nothing of it."""

    async def script(rig: Rig) -> None:
        deaf(rig)
        await run_market(rig, DUE - 1 / 7200)
        entering = asyncio.ensure_future(rig.engine.execute(rig.enter()))
        await rig.world.clock.sleep_until(hours(DUE))
        assert rig.orders.working_symbols() == {"A"} and rig.world.held("A") == 2
        rig.funding.book(payment("-0.02", DUE))
        await rig.reconciler.once()
        assert rig.of(FundingBooked) == []
        await entering
        await rig.reconciler.once()

    lost = {"kind": "timeout_after_execution", "on": "create_order", "symbol": "A", "at": 1}
    rig = play(tmp_path, script, faults=[lost])
    assert [(event.pair_id, event.amount) for event in rig.of(FundingBooked)] == [("A_B", D("-0.02"))]


def test_funding_of_a_closed_trade_is_not_given_to_the_pair_when_it_was_entered_again(tmp_path):
    async def script(world: World) -> None:
        rig = start_rig(world)
        deaf(rig)
        await trade_through(rig)
        await asyncio.sleep(3600)
        rig.guard.release("A_B")  # as a bar does that shows it gone
        await rig.engine.execute(rig.enter())
        for late in await world.exchange.funding(since_ms=0):
            rig.funding.book(late)
        before = rig.ledger.equity({})
        again = await started_again(rig)
        assert await again.recover() == ()
        assert again.ledger.equity({}) == before
        assert again.ledger.trades[0].pnl_funding < 0
        assert again.ledger.open_records({})[0].legs[0].funding == 0

    in_a_world(tmp_path, script, **FUNDED)


def test_an_entry_of_the_moments_after_is_charged_when_nobody_held_before(tmp_path):
    """Binance charges who enters within seconds of the hour; the share is the open pair's after a restart too."""

    async def script(world: World) -> None:
        rig = start_rig(world)
        await run_market(rig, DUE)
        await rig.engine.execute(rig.enter())
        rig.funding.book(payment("-0.02", DUE + 3 / 3600))
        again = await started_again(rig)
        again.recovery.restore(run=1)
        assert again.ledger.open_records({})[0].legs[0].funding == D("-0.02")

    in_a_world(tmp_path, script)


def test_a_payment_stamped_seconds_late_is_shared_by_what_was_held_on_the_hour(tmp_path):
    async def script(rig: Rig) -> None:
        await trade_through(rig)
        rig.funding.book(payment("-0.02", DUE + 3 / 3600))
        assert [trade.pnl_funding for trade in rig.ledger.trades] == [D("-0.02")]

    play(tmp_path, script)


def test_a_payment_that_no_pair_held_for_is_booked_to_none(tmp_path):
    async def script(rig: Rig) -> None:
        await trade_through(rig, 4)
        rig.funding.book(payment("-0.02", DUE))
        assert rig.ledger.trades[0].pnl_funding == 0

    assert play(tmp_path, script).of(FundingBooked) == []
