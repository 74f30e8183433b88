"""The driver in virtual time, over a market whose bars, history and failures the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown, RateBanned
from ccxt_bt_bridge.step_driver import StepDriver, StepTold
from ccxt_bt_bridge.words import Bar
from tests.virtual_time import run_virtual

MINUTE = 60_000


def bar(symbol: str, minute: int, close: float = 1.0) -> Bar:
    return Bar(symbol, minute * MINUTE, close, close, close, close, 1.0)


class ScriptedMarket:
    """Delivers ``script``: (ms, bars), in order. REST knows ``known``; ``failures`` are raised first, in turn."""

    def __init__(self, script: list[tuple[int, str]], known: str = "", failures: tuple[Exception, ...] = ()) -> None:
        self.clock = LoopClock(asyncio.get_running_loop().time, 0)
        self._script, self._known, self._failures = script, known.split(), list(failures)
        self.asked: list[tuple[int, str]] = []

    async def bars(self) -> AsyncIterator[tuple[Bar, ...]]:
        for at_ms, names in self._script:
            await self.clock.sleep_until(at_ms)
            if names:
                yield bars_of(names)

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        self.asked.append((self.clock.now_ms(), symbol))
        if self._failures:
            raise self._failures.pop(0)
        return [each for each in bars_of(*self._known) if each.symbol == symbol][-limit:]


def bars_of(*names: str) -> tuple[Bar, ...]:
    """``"A1 B1"`` → the bars of A and B that close at minute 1."""
    return tuple(bar(name[0], int(name[1:])) for text in names for name in text.split())


class Heard:
    """What a driver said: ``"2ms key: A1B1"`` for steps of one call, and what was told."""

    def __init__(self, market: Any, groups: dict, **terms: Any) -> None:
        self.market, self.calls, self.told = market, list[str](), list[StepTold]()
        self.driver = StepDriver(
            market,
            groups,
            interval_ms=MINUTE,
            clock=market.clock,
            on_steps=self._on_steps,
            on_told=self.told.append,
            grace_s=0.01,
            **terms,
        )

    def _on_steps(self, steps) -> None:
        names = [f"{key}:" + "".join(f"{leg.symbol}{leg.time_ms // MINUTE}" for leg in step) for key, step in steps]
        self.calls.append(f"{self.market.clock.now_ms()}ms " + " ".join(names))


def play(script, *, known="", failures=(), groups=None, **terms) -> Heard:
    async def main() -> Heard:
        heard = Heard(ScriptedMarket(script, known, failures), groups or {"p": ("A", "B")}, **terms)
        await heard.driver.run()
        return heard

    return run_virtual(main())


def test_bars_of_one_moment_complete_the_steps_of_several_groups_in_one_call():
    heard = play([(1, "A1 B1 C1"), (2, "A2 B2"), (3, "C2")], groups={"ab": ("A", "B"), "bc": ("B", "C")})
    assert heard.calls == ["1ms ab:A1B1 bc:B1C1", "2ms ab:A2B2", "3ms bc:B2C2"]


def test_a_silent_symbol_silences_its_own_group_only():
    heard = play([(1, "A1 B1"), (2, "A2 B2"), (99, "")], groups={"ab": ("A", "B"), "bc": ("B", "C")})
    assert heard.calls == ["1ms ab:A1B1", "2ms ab:A2B2"]
    assert [told.key for told in heard.told] == ["bc", "bc"]


def test_a_leg_that_comes_within_the_grace_is_not_asked_for():
    heard = play([(1, "A1"), (10, "B1"), (99, "")])
    assert (heard.calls, heard.market.asked, heard.told) == (["10ms p:A1B1"], [], [])


def test_after_the_grace_the_exchange_is_asked_and_the_step_completed():
    heard = play([(1, "A1"), (99, "")], known="A1 B1")
    assert heard.market.asked == [(11, "B")]
    assert (heard.calls, heard.told) == (["11ms p:A1B1"], [])


def test_a_bar_that_does_not_exist_drops_the_step_and_releases_those_behind_it():
    heard = play([(1, "A1"), (5, "A2 B2"), (99, "")], known="A2 B2")
    assert heard.calls == ["11ms p:A2B2"]
    assert heard.told == [StepTold("p", MINUTE, ("B",), is_carried=False)]


def test_no_answer_is_not_taken_for_no_bar():
    heard = play([(1, "A1"), (60_000, "")], known="B1", failures=(ExchangeUnreachable("x"), ExchangeUnreachable("y")))
    assert [at for at, _ in heard.market.asked] == [11, 1_011, 3_011]
    assert (heard.calls, heard.told) == (["3011ms p:A1B1"], [])


def test_a_ban_is_waited_out():
    heard = play([(1, "A1"), (60_000, "")], known="B1", failures=(RateBanned("x", 40_000),))
    assert [at for at, _ in heard.market.asked] == [11, 40_000]


def test_a_symbol_that_the_exchange_does_not_know_any_more_has_no_bar():
    heard = play([(1, "A1"), (99, "")], failures=(MarketUnknown("gone"),))
    assert [told.missing for told in heard.told] == [("B",)]


@pytest.mark.parametrize("policy", ["skip", "carry"])
def test_only_the_waiting_policy_asks(policy):
    heard = play([(1, "A1 B1"), (2, "A2"), (99, "")], known="A2 B2", policy=policy)
    assert heard.market.asked == []
    assert heard.told == [StepTold("p", 2 * MINUTE, ("B",), is_carried=policy == "carry")]
    assert heard.calls[1:] == (["12ms p:A2B2"] if policy == "carry" else [])


def test_an_unknown_policy_is_refused_by_name():
    with pytest.raises(ValueError, match="maybe"):
        play([], policy="maybe")


def test_the_end_of_the_market_does_not_wait_for_a_grace():
    async def main() -> int:
        heard = Heard(ScriptedMarket([(1, "A1")]), {"p": ("A", "B")})
        await heard.driver.run()
        return heard.market.clock.now_ms()

    assert run_virtual(main()) == 1


def read_history(known: str, script=(), **terms) -> tuple[list[str], Heard]:
    async def main():
        heard = Heard(ScriptedMarket(list(script), known), {"p": ("A", "B")}, **terms)
        steps = await heard.driver.history("p", 10)
        await heard.driver.run()
        return ["".join(f"{leg.symbol}{leg.time_ms // MINUTE}" for leg in step) for step in steps], heard

    return run_virtual(main())


def test_history_is_aligned_and_what_comes_live_begins_after_it():
    steps, heard = read_history("A1 B1 A2 B2", [(1, "A2 B2"), (2, "A3 B3")])
    assert steps == ["A1B1", "A2B2"]
    assert heard.calls == ["2ms p:A3B3"]


def test_a_hole_in_history_is_told_and_not_asked_for_again():
    steps, heard = read_history("A1 B1 A2 A3 B3")
    assert steps == ["A1B1", "A3B3"]
    assert [told.time_ms for told in heard.told] == [2 * MINUTE]
    assert len(heard.market.asked) == 2


def test_history_begins_where_the_youngest_leg_does_without_a_word():
    steps, heard = read_history("A1 A2 A3 B3 A4 B4")
    assert (steps, heard.told) == (["A3B3", "A4B4"], [])


def test_a_leg_that_closed_while_history_was_read_is_waited_for():
    steps, heard = read_history("A1 B1 A2", [(5, "A2 B2")])
    assert steps == ["A1B1"]
    assert heard.calls == ["5ms p:A2B2"]


def test_carried_history_has_no_holes():
    steps, heard = read_history("A1 B1 A2 A3 B3", policy="carry")
    assert steps == ["A1B1", "A2B2", "A3B3"]
    assert [told.is_carried for told in heard.told] == [True]


def test_a_leg_without_any_history_leaves_none():
    assert read_history("A1 A2")[0] == []


def test_a_defect_in_the_receiver_ends_the_run_and_leaves_no_task():
    async def main() -> set:
        market = ScriptedMarket([(1, "A1 B1"), (2, "A2"), (99, "")])
        heard = Heard(market, {"p": ("A", "B")})
        heard.driver._on_told = lambda told: 1 / 0
        with pytest.raises(ExceptionGroup):
            await heard.driver.run()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run_virtual(main()) == set()
