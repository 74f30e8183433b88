"""Commands to an engine on the simulated exchange, in virtual time."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pairs.words import Pair, PairState
from tests.trading.execution.engine_rig import PAIR, Rig, fast_files, start_rig
from tests.trading.journal.journal_samples import cannot_look_at
from tests.trading.plays import play, run_market
from trading.control.command_desk import STALE_AFTER_S, CommandDesk
from trading.control.command_queue import Command, CommandQueue, CommandState, CommandsUnreadable, Verb
from trading.control.controls import HALT_KEY, CommandRefused, Controls
from trading.execution.kill_switch import STOP_KEY
from trading.execution.settings import ExecutionSettings
from trading.risk_guard import Breaker

LATENCY = {"latency_ms": 300}


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


@dataclass
class Wall:
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)


class Desk:
    """One life of the bot, as its session has it: controls, queue and desk."""

    def __init__(self, rig: Rig, folder: Path, wall: Wall | None = None, pair: Pair = PAIR) -> None:
        self.rig, self.wall, self.alarms = rig, wall or Wall(), list[str]()
        self.flag = folder / "bot.mock.halt"
        self.queue = CommandQueue(folder / "bot.commands.sqlite", now=lambda: self.wall.now)
        self.controls = Controls(
            rig.floor, (pair,), halt_flag=self.flag, prices={}, leave=rig.engine.execute, keep=self._keep
        )
        self.desk = CommandDesk(self.queue, self.controls, keep=self._keep, alarm=self.alarms.append)

    def _keep(self, work, name: str) -> asyncio.Task:
        task = asyncio.ensure_future(work)
        self.rig.tasks.append(task)
        return task

    def give(self, verb: Verb, pair_id: str | None = None) -> int:
        return self.queue.give(verb, reason="test", by="anna", pair_id=pair_id)

    async def carried_out(self, number: int) -> Command:
        """Look for commands until this one is over."""
        while not self.queue.command(number).state.is_over:
            self.desk.look()
            await asyncio.sleep(0.5)
        return self.queue.command(number)


def with_desk(folder: Path, script: Callable, **terms) -> Rig:
    async def act(rig: Rig) -> None:
        desk = Desk(rig, folder)
        try:
            await script(desk)
        finally:
            desk.queue.close()

    return play(folder, act, **terms)


def test_a_halt_opens_nothing_more_and_keeps_what_is_open(tmp_path):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        await rig.engine.execute(rig.enter())
        done = await desk.carried_out(desk.give(Verb.HALT))
        assert (done.state, done.result) == (CommandState.DONE, "halted")
        assert rig.state() is PairState.OPEN and rig.guard.breaker is Breaker.HALTED
        await rig.engine.execute(rig.leave())
        await rig.engine.execute(rig.enter())
        assert rig.state() is PairState.FLAT
        assert (await desk.carried_out(desk.give(Verb.HALT))).result == "already halted"

    rig = with_desk(tmp_path, script)
    assert len(rig.port.sent) == 4


def test_a_halt_between_the_legs_lets_the_hedge_through(tmp_path):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        entering = asyncio.ensure_future(rig.engine.execute(rig.enter()))
        while not rig.port.sent:
            await asyncio.sleep(0.01)
        await desk.carried_out(desk.give(Verb.HALT))
        await entering
        assert rig.state() is PairState.OPEN

    with_desk(tmp_path, script, terms=LATENCY)


def test_a_halt_before_the_first_leg_is_sent_stops_it(tmp_path):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        rig.engine._entering._checks.reasons_against = halting(desk, rig.engine._entering._checks.reasons_against)
        await rig.engine.execute(rig.enter())
        assert rig.state() is PairState.FLAT

    def halting(desk: Desk, ask: Callable) -> Callable:
        async def asked(order):
            await desk.controls.halt("now", "test")
            return await ask(order)

        return asked

    assert with_desk(tmp_path, script).port.sent == []


def test_after_an_emergency_stop_a_person_closes_the_breaker_again(tmp_path):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        await rig.engine.execute(rig.enter())
        flat = await desk.carried_out(desk.give(Verb.FLATTEN))
        assert flat.result == "flat: 0 orders cancelled, 2 legs closed"
        done = await desk.carried_out(desk.give(Verb.RESUME))
        assert done.result == "resumed; it was halted: emergency_stop:test"
        assert rig.guard.breaker is Breaker.CLOSED and not rig.kill_switch.is_on
        assert (rig.journal.risk_state(STOP_KEY), rig.journal.risk_state(HALT_KEY)) == ({}, {})

    with_desk(tmp_path, script)


def test_an_emergency_stop_that_failed_is_told_as_failed(tmp_path, monkeypatch):
    async def script(desk: Desk) -> None:
        monkeypatch.setattr(desk.rig.ledger, "net", lambda symbol: 3)
        failed = await desk.carried_out(desk.give(Verb.FLATTEN))
        monkeypatch.undo()
        assert failed.state is CommandState.FAILED
        assert failed.result.startswith("0 orders cancelled, 0 legs closed; A: A: the journal holds 3")

    with_desk(tmp_path, script)


def test_resuming_is_refused_while_the_exchange_holds_something_else(tmp_path, monkeypatch):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        await desk.carried_out(desk.give(Verb.HALT))
        await rig.engine.execute(rig.enter())
        monkeypatch.setattr(rig.ledger, "net", lambda symbol: 3)
        done = await desk.carried_out(desk.give(Verb.RESUME))
        monkeypatch.undo()
        assert done.state is CommandState.FAILED and "close the difference by hand" in done.result
        assert rig.guard.breaker is Breaker.HALTED

    with_desk(tmp_path, script)


def test_resuming_is_refused_while_the_exchange_cannot_be_asked_or_a_stop_comes_meanwhile(tmp_path):
    async def script(desk: Desk) -> None:
        await desk.controls.halt("first", "test")
        with pytest.raises(CommandRefused, match="cannot be asked"):
            await desk.controls.resume("why", "test")
        resuming = asyncio.ensure_future(desk.controls.resume("why", "test"))
        await asyncio.sleep(0.1)
        await desk.controls.halt("second", "test")
        with pytest.raises(CommandRefused, match="a stop is under way"):
            await resuming
        assert desk.rig.guard.breaker is Breaker.HALTED

    unread = {"kind": "timeout_before_execution", "on": "account", "at": 1}
    with_desk(tmp_path, script, faults=[unread], terms=LATENCY)


def test_resuming_is_refused_when_something_halts_while_the_exchange_is_asked(tmp_path):
    async def script(desk: Desk) -> None:
        guard = desk.rig.guard
        await desk.controls.halt("first", "test")
        resuming = asyncio.ensure_future(desk.controls.resume("why", "test"))
        await asyncio.sleep(0.1)
        guard.halt("key_refused", desk.rig.now)
        with pytest.raises(CommandRefused, match="try again"):
            await resuming
        assert guard.breaker is Breaker.HALTED
        await desk.controls.resume("why", "test")
        assert guard.breaker is Breaker.CLOSED

    with_desk(tmp_path, script, terms=LATENCY)


def test_one_pair_is_closed_and_the_others_go_on(tmp_path):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        await rig.engine.execute(rig.enter())
        done = await desk.carried_out(desk.give(Verb.CLOSE, "A_B"))
        assert (done.result, rig.state(), rig.guard.breaker) == ("closed", PairState.FLAT, Breaker.CLOSED)
        assert rig.ledger.trades[0].exit_reason == "closed_by_hand"
        assert (await desk.carried_out(desk.give(Verb.CLOSE, "A_B"))).result == "was flat already"
        unknown = await desk.carried_out(desk.give(Verb.CLOSE, "X_Y"))
        assert unknown.state is CommandState.FAILED and "this bot trades A_B" in unknown.result
        assert desk.alarms == [f"command close X_Y (anna) failed: {unknown.result}"]

    with_desk(tmp_path, script)


def test_a_pair_under_way_is_closed_as_soon_as_that_is_over_and_takes_no_further_slice(tmp_path):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        entering = asyncio.create_task(rig.engine.execute(rig.enter()))
        while rig.state() is not PairState.HEDGING:
            await asyncio.sleep(0.1)
        done = await desk.carried_out(desk.give(Verb.CLOSE, "A_B"))
        await entering
        assert (done.result, rig.state()) == ("closed", PairState.FLAT)
        entered = [request for request in rig.port.sent if not request.reduce_only]
        assert len(entered) == 2, "one slice of four, both legs"
        assert rig.ledger.trades[0].exit_reason == "closed_by_hand"

    sliced = ExecutionSettings(slice_notional=100.0, slice_pause_s=3.0)
    with_desk(tmp_path, script, settings=sliced, terms={"latency_ms": 900})


def test_the_halt_file_halts_and_keeps_a_resume_away(tmp_path):
    async def script(desk: Desk) -> None:
        desk.flag.touch()
        await desk.desk.start()
        assert desk.rig.guard.breaker is Breaker.HALTED
        refused = await desk.carried_out(desk.give(Verb.RESUME))
        assert refused.state is CommandState.FAILED and "remove it first" in refused.result
        desk.flag.unlink()
        assert (await desk.carried_out(desk.give(Verb.RESUME))).state is CommandState.DONE
        desk.flag.touch()
        desk.desk.look()
        await asyncio.sleep(0.1)
        assert desk.rig.guard.breaker is Breaker.HALTED

    with_desk(tmp_path, script)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_halt_file_that_cannot_be_looked_at_counts_as_before_and_is_told_once(tmp_path, monkeypatch, is_there):
    async def script(desk: Desk) -> None:
        if is_there:
            desk.flag.touch()
        await desk.desk.start()
        before = desk.rig.guard.breaker
        for times in (1, 2):
            cannot_look_at(desk.flag, monkeypatch, errno.EIO)
            for _ in range(3):
                desk.desk.look()
                await asyncio.sleep(1.0)
            refused = await desk.carried_out(desk.give(Verb.RESUME))
            assert refused.state is CommandState.FAILED
            assert ("remove it first" if is_there else "cannot be looked at") in refused.result
            assert desk.rig.guard.breaker is before
            monkeypatch.undo()
            desk.desk.look()
            told = [alarm for alarm in desk.rig.alarms if alarm.startswith("the halt file")]
            assert len(told) == times and "Input/output error" in told[0]
        assert before is (Breaker.HALTED if is_there else Breaker.CLOSED)

    with_desk(tmp_path, script)


def test_a_bot_whose_strategy_is_gone_is_not_resumed(tmp_path):
    async def script(desk: Desk) -> None:
        await desk.desk.start()
        desk.rig.guard.halt("strategy_failed", desk.rig.now)
        desk.controls.nobody_decides = "start the bot again"
        refused = await desk.carried_out(desk.give(Verb.RESUME))
        assert refused.state is CommandState.FAILED and refused.result == "start the bot again"
        assert desk.rig.guard.breaker is Breaker.HALTED

    with_desk(tmp_path, script)


def test_an_old_wish_is_dropped_unless_it_only_makes_things_safer(tmp_path):
    async def script(desk: Desk) -> None:
        numbers = [desk.give(verb) for verb in (Verb.RESUME, Verb.HALT, Verb.FLATTEN)]
        desk.wall.now += timedelta(seconds=STALE_AFTER_S + 1)
        await desk.desk.start()
        states = [desk.queue.command(number).state for number in numbers]
        assert states == [CommandState.DROPPED, CommandState.DONE, CommandState.DONE]

    with_desk(tmp_path, script)


def test_what_waited_for_a_start_is_done_first_and_a_halt_outlives_the_process(tmp_path):
    async def script(rig: Rig) -> None:
        desk = Desk(rig, tmp_path)
        desk.give(Verb.HALT)
        await desk.desk.start()
        desk.queue.close()
        await rig.stop()
        rig.journal.close()
        again = start_rig(rig.world)
        await again.recover()
        desk = Desk(again, tmp_path)
        await desk.controls.start()
        assert again.guard.breaker is Breaker.HALTED and "halted:test" in again.alarms[-1]
        desk.queue.close()
        await again.stop()
        rig.journal = again.journal

    play(tmp_path, script)


def test_commands_that_an_earlier_process_had_begun_are_gone_on_with_or_dropped(tmp_path):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        await rig.engine.execute(rig.enter())
        flatten, resume = desk.give(Verb.FLATTEN), desk.give(Verb.RESUME)
        for number in (flatten, resume):
            desk.queue.begin(desk.queue.command(number))
        await desk.desk.start()
        assert rig.state() is PairState.FLAT
        states = [desk.queue.command(number).state for number in (flatten, resume)]
        assert states == [CommandState.DONE, CommandState.DROPPED]

    with_desk(tmp_path, script)


def test_a_stop_is_carried_out_also_when_the_queue_cannot_be_written(tmp_path, monkeypatch):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        await rig.engine.execute(rig.enter())
        desk.give(Verb.FLATTEN)

        def broken(*_: object) -> None:
            raise CommandsUnreadable("disk full")

        monkeypatch.setattr(desk.queue, "begin", broken)
        monkeypatch.setattr(desk.queue, "end", broken)
        for _ in range(10):
            desk.desk.look()
            await asyncio.sleep(1.0)
        assert rig.state() is PairState.FLAT and len(rig.port.sent) == 4
        assert len(desk.alarms) == 1 and "disk full" in desk.alarms[0]

    with_desk(tmp_path, script)


def test_a_pair_that_waits_for_a_halted_market_is_not_half_done(tmp_path):
    async def script(desk: Desk) -> None:
        rig = desk.rig
        await rig.engine.execute(rig.enter())
        await run_market(rig, 2.5)
        number = desk.give(Verb.CLOSE, "A_B")
        desk.desk.look()
        await asyncio.sleep(100.0)
        assert rig.engine.waiting == {"A_B"} and not rig.engine.half_done
        assert desk.queue.command(number).state is CommandState.RUNNING
        assert (await desk.carried_out(number)).result == "closed"

    halted = {"kind": "halt", "on": "market", "symbol": "B", "at": "2024-01-01T02:00:00Z", "delay_ms": 4 * 3_600_000}
    with_desk(tmp_path, script, faults=[halted])
