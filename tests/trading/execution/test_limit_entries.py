from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from pairs.words import PairState
from tests.brokers.markets import bars, source
from tests.trading.execution.engine_rig import RULES, CrashPlan, Rig, fast_files, open_world, rule, start_rig
from tests.trading.execution.test_crash_matrix import live
from tests.trading.plays import play
from tests.virtual_time import run_virtual
from trading.events import LegsEven, OrderFailed, OrderFinished
from trading.execution.settings import ExecutionSettings

D = Decimal
LIMIT = ExecutionSettings(order_type="limit", limit_offset_bps=20.0, limit_timeout_s=10.0)
TAKING = replace(LIMIT, limit_offset_bps=-20.0)  # crosses: it fills at once, at no worse than this


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def fault(symbol: str, at: int, kind: str = "reject", **more) -> dict:
    return {"kind": kind, "on": "create_order", "symbol": symbol, "at": at} | more


async def enter(rig: Rig) -> None:
    await rig.engine.execute(rig.enter())


def sent(rig: Rig) -> list[tuple[str, str, Decimal, Decimal | None]]:
    return [(one.symbol, one.type, one.signed_amount, one.price) for one in rig.port.sent]


def test_the_first_leg_asks_for_a_better_price_and_the_hedge_goes_to_the_market(tmp_path):
    rig = play(tmp_path, enter, settings=TAKING)
    assert sent(rig) == [("A", "limit", D(2), D("101.20")), ("B", "market", D(-4), None)]
    assert rig.state() is PairState.OPEN


def test_a_sale_asks_for_more(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter(legs={"A": D(-2), "B": D(4)}))

    assert sent(play(tmp_path, script, settings=LIMIT))[0] == ("A", "limit", D(-2), D("101.21"))


def test_what_did_not_fill_in_time_goes_to_the_market(tmp_path):
    rig = play(tmp_path, enter, settings=LIMIT)
    assert sent(rig) == [
        ("A", "limit", D(2), D("100.79")), ("A", "market", D(2), None), ("B", "market", D(-4), None),
    ]  # fmt: skip
    first, second, _ = (event.intent for event in rig.of(OrderFinished))
    assert second.created_ms - first.created_ms == pytest.approx(10_000, abs=50)
    assert rig.world.exchange.venue.open_orders() == []


def test_or_is_given_up(tmp_path):
    rig = play(tmp_path, enter, settings=replace(LIMIT, limit_fallback="unwind"))
    assert len(rig.port.sent) == 1
    assert rig.state() is PairState.FLAT
    assert [event.reason for event in rig.of(OrderFailed)] == ["canceled"]
    assert rig.guard.gross_exposure == 0.0


@pytest.mark.parametrize(("share", "state", "a"), [(0.6, PairState.OPEN, "1.2"), (0.4, PairState.FLAT, "0")])
def test_a_part_is_hedged_when_it_is_enough_and_unwound_when_not(share, state, a, tmp_path):
    settings = replace(TAKING, limit_fallback="unwind")
    rig = play(tmp_path, enter, settings=settings, faults=[fault("A", 1, "partial_fill", fill_ratio=share)])
    assert (rig.state(), rig.world.held("A")) == (state, D(a))


def test_the_rest_of_a_part_goes_to_the_market(tmp_path):
    rig = play(tmp_path, enter, settings=TAKING, faults=[fault("A", 1, "partial_fill", fill_ratio=0.4)])
    assert sent(rig)[1:] == [("A", "market", D("1.2"), None), ("B", "market", D(-4), None)]
    (told,) = rig.of(LegsEven)
    assert told.unhedged_s == pytest.approx(10, abs=1.1)


def test_a_fill_that_comes_with_the_cancel_counts(tmp_path):
    """X26, X27: the cancel finds the order filled."""
    faults = [{"kind": "filled_before_cancel", "on": "cancel_order", "symbol": "A", "at": 1}]
    rig = play(tmp_path, enter, settings=LIMIT, faults=faults)
    assert sent(rig) == [("A", "limit", D(2), D("100.79")), ("B", "market", D(-4), None)]
    assert rig.state() is PairState.OPEN


@pytest.mark.parametrize("kind", ["timeout_before_execution", "timeout_after_execution", "reject"])
def test_a_cancel_that_goes_wrong_never_doubles_the_leg(kind, tmp_path):
    faults = [{"kind": kind, "on": "cancel_order", "symbol": "A", "at": 1}]
    rig = play(tmp_path, enter, settings=LIMIT, faults=faults)
    assert (rig.world.held("A"), rig.world.held("B")) == (D(2), D(-4))


def test_a_refused_limit_order_is_not_followed_by_a_market_order(tmp_path):
    rig = play(tmp_path, enter, settings=LIMIT, faults=[fault("A", 1)])
    assert len(rig.port.sent) == 1
    assert rig.state() is PairState.FLAT


def test_a_tripped_breaker_keeps_the_rest_from_the_market(tmp_path):
    async def script(rig: Rig) -> None:
        rig.port.before = lambda request: rig.guard.halt("test", rig.now)
        await enter(rig)

    rig = play(tmp_path, script, settings=LIMIT)
    assert [one.type for one in rig.port.sent] == ["limit"]
    assert rig.state() is PairState.FLAT


def test_a_price_is_on_the_tick_on_the_better_side(tmp_path, monkeypatch):
    monkeypatch.setitem(RULES, "A", replace(rule("A"), price_tick=D("0.5")))
    market = source(bars("A", [(100, 100)] * 40), bars("B", [(50, 50)] * 40))
    assert sent(play(tmp_path, enter, settings=LIMIT, market=market))[0][3] == D("99.5")


def test_slices_may_be_limit_orders(tmp_path):
    rig = play(tmp_path, enter, settings=replace(TAKING, slice_notional=200.0))
    assert [one.type for one in rig.port.sent] == ["limit", "market"] * 2
    assert rig.world.held("A") == 2


def test_a_process_that_dies_while_its_limit_order_rests_leaves_nothing_resting(tmp_path):
    """The next life cancels it, and hedges or unwinds what had filled."""

    async def main():
        world = open_world(tmp_path, faults=[fault("A", 1, "partial_fill", fill_ratio=0.6)])
        try:
            crash = CrashPlan()
            rig = start_rig(world, crash=crash, settings=TAKING)
            asyncio.get_running_loop().call_later(5, crash.died.set)
            assert await live(rig, crash, enter(rig))
            again = start_rig(world, settings=TAKING)
            assert await again.recover() == ()
            await again.stop()
            return again.state(), world.held("A"), world.held("B"), world.exchange.venue.open_orders()
        finally:
            world.close()

    assert run_virtual(main()) == (PairState.OPEN, D("1.2"), D("-2.4"), [])
