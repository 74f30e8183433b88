from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from ccxt_bt_bridge.words import PositionReport
from pairs.words import Pair
from tests.brokers.markets import bars, hours, source
from tests.trading.execution.engine_rig import (
    CrashPlan,
    Rig,
    assert_sound,
    empty_journal,
    fast_files,
    open_world,
    start_rig,
)
from tests.trading.plays import SHARING, answer_late, live, play, run_market, shared_market
from tests.virtual_time import run_virtual
from trading.events import EntryRefused, PairClosed
from trading.execution.kill_switch import STOP_KEY, StopReport
from trading.risk_guard import Breaker

D = Decimal


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def adding_after(rig: Rig, sent_before: int) -> list:
    return [request for request in rig.port.sent[sent_before:] if not request.reduce_only]


def assert_stopped(rig: Rig, report: StopReport) -> None:
    assert report.state == "flat", str(report)
    assert rig.ledger.open_pairs == ()
    assert all(rig.world.held(symbol) == 0 for symbol in rig.world.exchange.source.symbols)
    assert rig.guard.breaker is Breaker.HALTED
    assert rig.journal.risk_state(STOP_KEY)["state"] == "flat"


async def sent(rig: Rig, count: int) -> None:
    while len(rig.port.sent) < count:
        await asyncio.sleep(0.01)


def test_an_open_pair_is_closed_and_verified_and_nothing_is_opened_again(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        report = await rig.kill_switch.trigger("test", "a person")
        assert_stopped(rig, report)
        assert report.closed_positions == ("A_B A", "A_B B")
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script)
    assert [request.reduce_only for request in rig.port.sent] == [False, False, True, True]
    (refused,) = rig.of(EntryRefused)
    assert "breaker_halted:emergency_stop:test" in refused.reasons
    assert rig.of(PairClosed)[0].trade.exit_reason == "emergency_stop"


def test_five_triggers_at_once_and_one_more_later_are_one_stop(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        reports = await asyncio.gather(*(rig.kill_switch.trigger(f"number {n}", "test") for n in range(5)))
        assert len(set(map(str, reports))) == 1
        assert len(rig.port.sent) == 4
        await rig.kill_switch.trigger("again", "test")

    rig = play(tmp_path, script, terms={"latency_ms": 300})
    assert len(rig.port.sent) == 4


@pytest.mark.parametrize("under_way", [1, 2], ids=["the first leg", "the hedge"])
def test_an_entry_under_way_sends_nothing_more_and_ends_flat(under_way, tmp_path):
    async def script(rig: Rig) -> None:
        entering = asyncio.ensure_future(rig.engine.execute(rig.enter()))
        await sent(rig, under_way)
        report = await rig.kill_switch.trigger("test", "test")
        await entering
        assert_stopped(rig, report)
        assert adding_after(rig, under_way) == []

    play(tmp_path, script, terms={"latency_ms": 300})


def test_an_order_whose_answer_is_lost_is_found_and_closed(tmp_path):
    async def script(rig: Rig) -> None:
        entering = asyncio.ensure_future(rig.engine.execute(rig.enter()))
        await sent(rig, 1)
        report = await rig.kill_switch.trigger("test", "test")
        await entering
        assert_stopped(rig, report)
        assert adding_after(rig, 1) == []

    lost = {"kind": "timeout_after_execution", "on": "create_order", "at": 1}
    play(tmp_path, script, faults=[lost], terms={"latency_ms": 300})


def test_pairs_that_share_a_symbol_are_all_closed(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter("C_A", {"C": D(10), "A": D(-1)}))
        assert_stopped(rig, await rig.kill_switch.trigger("test", "test"))

    play(tmp_path, script, market=shared_market(), pairs=SHARING)


def test_an_exit_that_waits_for_a_halted_market_waits_no_more(tmp_path):
    """The leg that trades is closed at once, the other one as soon as it trades again."""

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await run_market(rig, 2.5)
        leaving = asyncio.ensure_future(rig.engine.execute(rig.leave()))
        await asyncio.sleep(60.0)
        assert rig.engine.waiting == {"A_B"} and rig.engine.half_done == frozenset()
        stop = asyncio.ensure_future(rig.kill_switch.trigger("test", "test"))
        await asyncio.sleep(1.0)
        assert (rig.world.held("A"), rig.world.held("B")) == (D(0), D(-4))
        assert_stopped(rig, await stop)
        await leaving
        assert rig.world.clock.now_ms() >= hours(6)

    halted = {"kind": "halt", "on": "market", "symbol": "B", "at": "2024-01-01T02:00:00Z", "delay_ms": 4 * 3_600_000}
    play(tmp_path, script, market=moving_market(), faults=[halted])


@pytest.mark.parametrize("answer_s", [60.0, 86_400.0])
def test_a_stop_waits_for_no_price(tmp_path, answer_s):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        answer_late(rig, "B", answer_s)
        begun = asyncio.get_running_loop().time()
        assert_stopped(rig, await rig.kill_switch.trigger("test", "a person"))
        assert asyncio.get_running_loop().time() - begun <= 2.0

    play(tmp_path, script)


def moving_market():
    return source(bars("A", [(100, 100)] * 40), bars("B", [(50, 50)] * 40))


def test_a_ban_only_delays_it_and_a_person_hears_that_it_goes_on(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        begun_ms = rig.world.clock.now_ms()
        assert_stopped(rig, await rig.kill_switch.trigger("test", "test"))
        assert rig.world.clock.now_ms() - begun_ms >= 120_000

    rig = play(tmp_path, script, faults=[{"kind": "ban", "on": "create_order", "at": 3, "delay_ms": 120_000}])
    assert any("goes on" in alarm for alarm in rig.alarms)


def test_what_cannot_be_read_is_not_flat(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        stop = asyncio.ensure_future(rig.kill_switch.trigger("test", "test"))
        await asyncio.sleep(0.1)
        assert rig.world.held("A") == 0 and not stop.done()
        assert rig.kill_switch.report.state == "under_way"
        assert_stopped(rig, await stop)

    unread = {"kind": "timeout_before_execution", "on": "account", "at": 1, "times": 3}
    play(tmp_path, script, faults=[unread])


def test_a_position_that_is_not_ours_is_left_alone_and_told(tmp_path, monkeypatch):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        known = rig.world.exchange.venue.account.ledger.report
        foreign = PositionReport("A", D(7), D(100))
        monkeypatch.setattr(
            rig.world.exchange.venue.account.ledger,
            "report",
            lambda: tuple(one for one in known() if one.symbol != "A") + (foreign,),
        )
        report = await rig.kill_switch.trigger("test", "test")
        monkeypatch.undo()
        assert report.state == "failed" and dict(report.failed) == {"A": "A: the journal holds 0, the exchange 7"}
        assert len(rig.port.sent) == 4

    rig = play(tmp_path, script)
    assert any("failed" in alarm and "until a person resumes" in alarm for alarm in rig.alarms)


def test_a_defect_in_one_pair_does_not_keep_the_others_open(tmp_path, monkeypatch):
    pairs = (Pair("A_B", "A", "B"), Pair("C", "C", None))

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter("C", {"C": D(10)}))
        flatten = rig.engine.flatten
        broken = ["A_B"]

        async def sometimes(pair_id: str, reason: str) -> None:
            if pair_id in broken:
                broken.clear()
                raise KeyError(pair_id)
            await flatten(pair_id, reason)

        monkeypatch.setattr(rig.engine, "flatten", sometimes)
        stop = asyncio.ensure_future(rig.kill_switch.trigger("test", "test"))
        await asyncio.sleep(0.1)
        assert rig.world.held("C") == 0 and rig.world.held("A") == D(2)
        assert_stopped(rig, await stop)

    play(tmp_path, script, market=shared_market(), pairs=pairs)


# a crash


async def _until_stopped(rig: Rig) -> None:
    await rig.engine.execute(rig.enter())
    await rig.kill_switch.trigger("test", "test")


async def _crash_cell(folder: Path, at: int | None, second: int | None, begun: list[bool]) -> int:
    """Dies at point ``at`` of a stop, the next life at point ``second``, the last one lives. Points of the last."""
    world = open_world(folder)
    try:
        crash = CrashPlan(at)
        rig = start_rig(world, crash=crash)
        died = await live(rig, crash, _until_stopped(rig))
        for plan in (CrashPlan(second), CrashPlan()):
            if not died:
                break
            crash = plan
            rig = start_rig(world, crash=crash)

            async def work(rig: Rig = rig) -> None:
                rig.recovery.restore(run=1)
                assert await rig.recovery.reconcile(("A", "B")) == ()
                begun.append(bool(rig.journal.risk_state(STOP_KEY)))
                before = len(rig.port.sent)
                await rig.kill_switch.resume()
                for pair in rig.recovery.interrupted():
                    await rig.engine.finish_interrupted(pair)
                if begun[-1]:
                    assert adding_after(rig, before) == []
                    assert_stopped(rig, rig.kill_switch.report)

            died = await live(rig, crash, work())
        assert_sound(rig)
        return len(crash.points)
    finally:
        world.close()


def test_a_crash_at_every_point_of_a_stop_is_gone_on_with_by_the_next_start(tmp_path):
    template = empty_journal(tmp_path / "template.sqlite")

    def cell(*where) -> int:
        shutil.copy(template, tmp_path / "rig.journal.sqlite")
        try:
            return run_virtual(_crash_cell(tmp_path, *where))
        finally:
            for file in tmp_path.glob("rig.*"):
                file.unlink()

    begun: list[bool] = []
    whole, cells = cell(None, None, begun), 0
    for at in range(1, whole + 1):
        steps = cell(at, None, begun)
        cells += 1
        for second in range(1 + at % 2, steps + 1, 2):
            cell(at, second, begun)
            cells += 1
    print(f"crash matrix: emergency stop: {cells} cells, 0 violations")
    assert cells > 100 and sum(begun) > 50
