"""Data that grow old while a pair is held."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ccxt_bt_bridge.words import Bar
from pairs.words import PairPosition
from tests.trading.execution.engine_rig import PAIR, Rig
from tests.trading.plays import play
from trading.events import Alarm
from trading.live.stale_watch import StaleTerms, StaleWatch

TERMS = StaleTerms(after_s=300.0, interval_s=3_600.0)
BARS = tuple(Bar(symbol, 0, 1.0, 1.0, 1.0, 1.0, 1.0) for symbol in PAIR.symbols)


@dataclass
class Case:
    rig: Rig
    terms: StaleTerms
    left: list[PairPosition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = StaleWatch(self.rig.floor, [PAIR], self.terms, leave=self.left.append)
        self.rig.tasks.append(asyncio.ensure_future(self.watch.run()))

    @property
    def alarms(self) -> list[bool]:
        """Of each alarm, whether it is critical."""
        return [alarm.critical for alarm in self.rig.of(Alarm)]

    async def enter(self) -> None:
        await self.rig.engine.execute(self.rig.enter())

    def is_stale(self) -> bool:
        return self.watch.is_stale("A_B")


def watched(folder: Path, script, terms: StaleTerms = TERMS) -> Rig:
    async def whole(rig: Rig) -> None:
        case = Case(rig, terms)
        await asyncio.sleep(0)
        await script(case)

    return play(folder, whole)


def test_a_bar_that_is_too_late_is_alarmed_while_a_pair_is_held_and_recovers(tmp_path):
    async def script(case: Case) -> None:
        await case.enter()
        await asyncio.sleep(3_600 + 299)
        assert (case.alarms, case.is_stale()) == ([], False)
        await asyncio.sleep(2)
        assert (case.alarms, case.is_stale()) == ([True], True)
        await asyncio.sleep(10_000)
        assert case.alarms == [True], "once"
        case.watch.heard_step("A_B", BARS)
        assert (case.alarms, case.is_stale()) == ([True, False], False)
        assert case.left == []

    watched(tmp_path, script)


def test_bars_that_come_keep_it_fresh(tmp_path):
    async def script(case: Case) -> None:
        await case.enter()
        for _ in range(20):
            await asyncio.sleep(3_600)
            case.watch.heard_step("A_B", BARS)
        assert case.alarms == []

    watched(tmp_path, script)


def test_a_stand_in_for_a_missing_bar_is_no_news(tmp_path):
    async def script(case: Case) -> None:
        await case.enter()
        await asyncio.sleep(3_000)
        case.watch.heard_step("A_B", (BARS[0], replace(BARS[1], synthetic=True)))
        await asyncio.sleep(1_000)
        assert case.alarms == [True]

    watched(tmp_path, script)


def test_what_is_flat_is_stale_without_an_alarm_and_alarmed_once_it_is_held(tmp_path):
    async def script(case: Case) -> None:
        await asyncio.sleep(5_000)
        assert (case.alarms, case.is_stale()) == ([], True)
        await case.enter()
        await asyncio.sleep(400)
        assert case.alarms == [True]

    watched(tmp_path, script)


@pytest.mark.parametrize("silent", PAIR.symbols)
def test_where_prices_are_told_one_silent_leg_is_enough(tmp_path, silent):
    async def script(case: Case) -> None:
        await case.enter()
        for _ in range(20):
            await asyncio.sleep(100)
            for symbol in PAIR.symbols:
                case.watch.heard_price(symbol)
        assert case.alarms == []
        (other,) = set(PAIR.symbols) - {silent}
        for _ in range(4):
            await asyncio.sleep(100)
            case.watch.heard_price(other)
        assert (case.alarms, case.is_stale()) == ([True], True)
        case.watch.heard_price(silent)
        assert not case.is_stale()
        await asyncio.sleep(299)
        case.watch.heard_price(other)

    watched(tmp_path, script, replace(TERMS, tells_prices=True))


def test_prices_do_not_stand_for_bars(tmp_path):
    async def script(case: Case) -> None:
        await case.enter()
        for _ in range(45):
            await asyncio.sleep(100)
            for symbol in PAIR.symbols:
                case.watch.heard_price(symbol)
        assert case.alarms == [True]

    watched(tmp_path, script, replace(TERMS, tells_prices=True))


def test_on_request_the_pair_is_left(tmp_path):
    async def script(case: Case) -> None:
        await case.enter()
        await asyncio.sleep(4_000)
        (position,) = case.left
        assert position.pair_id == "A_B" and position.is_open

    watched(tmp_path, script, replace(TERMS, flattens=True))


def test_nothing_is_stale_before_anyone_looks(tmp_path):
    async def script(rig: Rig) -> None:
        assert not StaleWatch(rig.floor, [PAIR], TERMS, leave=lambda position: None).is_stale("A_B")

    play(tmp_path, script)
