"""Bars of a group come out together, in ascending time, each step at most once, whatever order they come in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccxt_bt_bridge.aligner import MOST_WAITING, BarAligner, IncompleteStep, MissingLeg, Step
from ccxt_bt_bridge.words import Bar

SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
A, B = SYMBOLS[:2]
GRACE = 10
groups = st.integers(1, 3).map(lambda size: SYMBOLS[:size])
policies = st.sampled_from(MissingLeg)
arrivals = st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(1, 12), st.integers(0, 6)), max_size=80)


def bar(symbol: str, time_ms: int, close: float = 1.0) -> Bar:
    return Bar(symbol, time_ms, close, close, close, close, 1.0)


def two(policy: MissingLeg = MissingLeg.SKIP) -> BarAligner:
    return BarAligner((A, B), policy=policy, grace_ms=GRACE)


def steps_of(aligner: BarAligner, bars: list[Bar], now_ms: int = 0) -> list[Step]:
    return [step for each in bars for step in aligner.put(each, now_ms)]


def times(steps: list[Step]) -> list[int]:
    return [step[0].time_ms for step in steps]


def give_up(aligner: BarAligner, now_ms: int) -> list[Step]:
    return aligner.settle({step.time_ms for step in aligner.overdue(now_ms)})


class Played:
    """Every bar put at its moment, and every grace ended when it is over, as a driver does."""

    def __init__(self, aligner: BarAligner) -> None:
        self.aligner, self.now_ms, self.steps = aligner, 0, list[Step]()

    def put(self, each: Bar, after_ms: int) -> None:
        self.pass_time(after_ms)
        self.steps += self.aligner.put(each, self.now_ms)

    def pass_time(self, ms: int) -> None:
        end_ms = self.now_ms + ms
        while (due_ms := self.aligner.due_ms) is not None and due_ms <= end_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.steps += give_up(self.aligner, self.now_ms)
        self.now_ms = end_ms


@given(groups, policies, arrivals)
@settings(deadline=None)
def test_any_order_gives_whole_steps_in_ascending_time_each_at_most_once(symbols, policy, arriving):
    played = Played(BarAligner(symbols, policy=policy, grace_ms=GRACE))
    bars = []
    for number, (symbol, time_ms, after_ms) in enumerate(arriving):
        bars.append(bar(symbol, time_ms, float(number)))
        played.put(bars[-1], after_ms)
    played.pass_time(100 * GRACE)
    for step in played.steps:
        assert tuple(leg.symbol for leg in step) == symbols
        assert len({leg.time_ms for leg in step}) == 1
        assert all(leg in bars or (leg.synthetic and policy is MissingLeg.CARRY) for leg in step)
    given_out = times(played.steps)
    assert given_out == sorted(set(given_out))
    told = played.aligner.tell()
    assert len({one.time_ms for one in told}) == len(told)
    assert {one.time_ms for one in told if one.is_carried} == {
        step[0].time_ms for step in played.steps if any(leg.synthetic for leg in step)
    }
    assert not {one.time_ms for one in told if not one.is_carried} & set(given_out)
    assert played.aligner.due_ms is None


@st.composite
def streams_within_the_grace(draw):
    """Each symbol's bars in order, some lost and some sent twice; a bar comes up to GRACE - 1 after its close."""
    symbols = draw(groups)
    moments = []
    for symbol in symbols:
        at = 0
        for time_ms in sorted(draw(st.sets(st.integers(1, 15)))):
            for _ in range(draw(st.integers(1, 2))):
                at = max(at, time_ms * 3 + draw(st.integers(0, GRACE - 1)))
                moments.append((at, bar(symbol, time_ms)))
    return symbols, sorted(moments, key=lambda moment: moment[0])


def have(arriving, symbol: str) -> set[int]:
    return {each.time_ms for _, each in arriving if each.symbol == symbol}


@given(streams_within_the_grace(), st.sampled_from([MissingLeg.WAIT, MissingLeg.CARRY]))
@settings(deadline=None)
def test_a_step_whose_bars_all_came_within_the_grace_comes_out_exactly_once(case, policy):
    symbols, arriving = case
    played = Played(BarAligner(symbols, policy=policy, grace_ms=GRACE))
    for at, each in arriving:
        played.put(each, at - played.now_ms)
    played.pass_time(100 * GRACE)
    whole = set.intersection(*(have(arriving, symbol) for symbol in symbols))
    real = [step[0].time_ms for step in played.steps if not any(leg.synthetic for leg in step)]
    assert real == sorted(whole)
    every = set.union(*(have(arriving, symbol) for symbol in symbols))
    assert {one.time_ms for one in played.aligner.tell()} == every - whole


@given(streams_within_the_grace())
@settings(deadline=None)
def test_without_waiting_every_time_that_all_have_comes_and_the_rest_is_told(case):
    symbols, arriving = case
    aligner = BarAligner(symbols)
    steps = steps_of(aligner, [each for _, each in arriving])
    whole = set.intersection(*(have(arriving, symbol) for symbol in symbols))
    every = set.union(*(have(arriving, symbol) for symbol in symbols))
    assert times(steps) == sorted(whole)
    assert [one.time_ms for one in aligner.told] == sorted(t for t in every - whole if t < max(whole, default=0))


def test_the_first_of_two_bars_of_one_time_counts():
    (step,) = steps_of(two(), [bar(A, 1, 10.0), bar(A, 1, 11.0), bar(B, 1, 5.0)])
    assert [leg.close for leg in step] == [10.0, 5.0]


def test_a_step_that_was_given_out_does_not_come_again():
    both = [bar(A, 2), bar(B, 2)]
    assert len(steps_of(two(), both + both + [bar(A, 1), bar(B, 1)])) == 1


def test_skip_drops_a_step_as_soon_as_a_later_one_is_complete_and_tells():
    aligner = two(MissingLeg.SKIP)
    assert times(steps_of(aligner, [bar(A, 1), bar(A, 2), bar(B, 2), bar(B, 1)])) == [2]
    assert aligner.tell() == [IncompleteStep(1, (B,))]
    assert aligner.tell() == []


def test_wait_holds_a_later_step_back_until_the_earlier_one_is_known():
    aligner = two(MissingLeg.WAIT)
    assert steps_of(aligner, [bar(A, 1), bar(A, 2), bar(B, 2)]) == []
    assert times(aligner.put(bar(B, 1), 9)) == [1, 2]
    assert aligner.told == []


@pytest.mark.parametrize("policy", [MissingLeg.WAIT, MissingLeg.SKIP])
def test_a_step_whose_grace_is_over_is_dropped_and_its_late_bars_are_ignored(policy):
    aligner = two(policy)
    aligner.put(bar(A, 1), 5)
    assert aligner.due_ms == 15
    assert aligner.overdue(14) == []
    assert aligner.overdue(15) == [IncompleteStep(1, (B,))]
    assert give_up(aligner, 15) == []
    assert aligner.put(bar(B, 1), 16) == []
    assert aligner.tell() == [IncompleteStep(1, (B,))]
    assert times(steps_of(aligner, [bar(A, 2), bar(B, 2)])) == [2]


def test_carry_stands_in_with_the_last_close_and_no_volume_and_says_so():
    aligner = two(MissingLeg.CARRY)
    steps_of(aligner, [bar(A, 1, 10.0), bar(B, 1, 5.0), bar(A, 2, 11.0)])
    (step,) = give_up(aligner, 10)
    assert step == (bar(A, 2, 11.0), Bar(B, 2, 5.0, 5.0, 5.0, 5.0, 0.0, synthetic=True))
    assert aligner.tell() == [IncompleteStep(2, (B,), is_carried=True)]


def test_carry_goes_on_from_what_it_carried():
    aligner = two(MissingLeg.CARRY)
    steps_of(aligner, [bar(A, 1), bar(B, 1, 5.0), bar(A, 2), bar(A, 3), bar(A, 4), bar(B, 4, 6.0)])
    steps = give_up(aligner, 10)
    assert [(step[1].close, step[1].synthetic) for step in steps] == [(5.0, True), (5.0, True), (6.0, False)]


def test_nothing_is_carried_for_a_leg_that_never_had_a_bar():
    aligner = two(MissingLeg.CARRY)
    aligner.put(bar(A, 1))
    assert give_up(aligner, 10) == []
    assert aligner.tell() == [IncompleteStep(1, (B,))]


def test_an_older_step_that_still_has_time_is_not_passed_over():
    aligner = two(MissingLeg.WAIT)
    aligner.put(bar(A, 2), 0)
    aligner.put(bar(B, 1), 5)
    assert aligner.overdue(10) == []
    assert aligner.settle({2}) == []
    assert times(aligner.put(bar(A, 1), 14)) == [1]
    assert times(aligner.put(bar(B, 2), 14)) == [2]


def test_bars_of_other_symbols_are_none_of_its_business():
    assert steps_of(BarAligner((A,)), [bar(B, 1), bar(A, 1)]) == [(bar(A, 1),)]


def test_a_leg_that_stays_silent_does_not_fill_the_memory():
    aligner = two(MissingLeg.WAIT)
    assert steps_of(aligner, [bar(A, number) for number in range(1, MOST_WAITING + 6)]) == []
    assert [one.time_ms for one in aligner.told] == [1, 2, 3, 4, 5]
    assert times(aligner.put(bar(B, 6))) == [6]
