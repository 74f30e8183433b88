"""A group's bars are handed on together or not at all, whatever order they come in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ccxt_bt_bridge.aligner import MOST_WAITING, BarAligner
from ccxt_bt_bridge.words import Bar

SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
groups = st.integers(1, 3).map(lambda size: SYMBOLS[:size])
arrivals = st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(1, 12)), max_size=80)


def bar(symbol: str, time_ms: int, close: float = 1.0) -> Bar:
    return Bar(symbol, time_ms, close, close, close, close, 1.0)


def steps_of(aligner: BarAligner, bars: list[Bar]) -> list[tuple[Bar, ...]]:
    return [step for each in bars if (step := aligner.put(each)) is not None]


@given(groups, arrivals)
@settings(deadline=None)
def test_any_order_gives_whole_steps_in_ascending_time_each_at_most_once(symbols, times):
    aligner = BarAligner(symbols)
    bars = [bar(symbol, time_ms, float(number)) for number, (symbol, time_ms) in enumerate(times)]
    given_out = []
    for number, each in enumerate(bars):
        step = aligner.put(each)
        if step is None:
            continue
        assert tuple(leg.symbol for leg in step) == symbols
        assert {leg.time_ms for leg in step} == {each.time_ms}
        assert all(leg in bars[: number + 1] for leg in step)
        given_out.append(each.time_ms)
    assert given_out == sorted(set(given_out))
    assert len(aligner.dropped) == len(set(aligner.dropped))
    assert not set(aligner.dropped) & set(given_out)


@st.composite
def lossy_streams(draw):
    """Every symbol's own bars in order, some lost, some sent twice in a row, the symbols shuffled into each other."""
    symbols = draw(groups)
    streams = {}
    for symbol in symbols:
        kept = draw(st.sets(st.integers(1, 15)))
        streams[symbol] = [t for t in sorted(kept) for _ in range(draw(st.integers(1, 2)))]
    left = {symbol: list(times) for symbol, times in streams.items()}
    bars = []
    while any(left.values()):
        symbol = draw(st.sampled_from([s for s in symbols if left[s]]))
        bars.append(bar(symbol, left[symbol].pop(0)))
    return symbols, {symbol: set(times) for symbol, times in streams.items()}, bars


@given(lossy_streams())
@settings(deadline=None)
def test_ordered_streams_give_every_time_that_all_have_and_count_the_rest_as_dropped(case):
    symbols, streams, bars = case
    aligner = BarAligner(symbols)
    steps = steps_of(aligner, bars)
    whole = set.intersection(*streams.values())
    assert [step[0].time_ms for step in steps] == sorted(whole)
    last = max(whole, default=0)
    assert sorted(aligner.dropped) == sorted(t for t in set.union(*streams.values()) - whole if t < last)


def test_the_first_of_two_bars_of_one_time_counts():
    aligner = BarAligner(SYMBOLS[:2])
    (step,) = steps_of(aligner, [bar("AAAUSDT", 1, 10.0), bar("AAAUSDT", 1, 11.0), bar("BBBUSDT", 1, 5.0)])
    assert [leg.close for leg in step] == [10.0, 5.0]


def test_a_step_that_was_given_out_does_not_come_again():
    aligner = BarAligner(SYMBOLS[:2])
    both = [bar("AAAUSDT", 2), bar("BBBUSDT", 2)]
    assert len(steps_of(aligner, both + both + [bar("AAAUSDT", 1), bar("BBBUSDT", 1)])) == 1


def test_a_step_overtaken_by_a_later_one_is_dropped_and_said_so():
    aligner = BarAligner(SYMBOLS[:2])
    bars = [bar("AAAUSDT", 1), bar("AAAUSDT", 2), bar("BBBUSDT", 2), bar("BBBUSDT", 1)]
    assert [step[0].time_ms for step in steps_of(aligner, bars)] == [2]
    assert aligner.dropped == [1]


def test_bars_of_other_symbols_are_none_of_its_business():
    assert steps_of(BarAligner(("AAAUSDT",)), [bar("BBBUSDT", 1), bar("AAAUSDT", 1)]) == [(bar("AAAUSDT", 1),)]


def test_a_leg_that_stays_silent_does_not_fill_the_memory():
    aligner = BarAligner(("AAAUSDT", "BBBUSDT"))
    for number in range(1, MOST_WAITING + 6):
        assert aligner.put(bar("AAAUSDT", number)) is None
    assert aligner.dropped == [1, 2, 3, 4, 5]
    assert aligner.put(bar("BBBUSDT", 6)) is not None
