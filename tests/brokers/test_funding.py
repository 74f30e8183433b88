from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.funding import FundingCounts, FundingSchedule, funding_amount
from ccxt_bt_bridge.series import FundingSeries
from feeds.history import load_funding
from tests.brokers.markets import HOUR_MS, T0, hours

RATE = Decimal("0.0001")


def recorded(*at_hours: float, rate: str = "0.0003") -> FundingSeries:
    count = len(at_hours)
    times = tuple(hours(at) for at in at_hours)
    return FundingSeries("BTCUSDT", times, (Decimal(rate),) * count, (Decimal(50_000),) * count)


def at_hours(events) -> list[float]:
    return [(event.time_ms - T0) / HOUR_MS for event in events]


def test_the_constant_is_due_at_midnight_eight_and_sixteen():
    events = FundingSchedule(None, RATE).between(hours(0), hours(24))
    assert at_hours(events) == [8, 16, 24]
    assert all(event.rate == RATE and event.mark_price is None and not event.from_series for event in events)


def test_the_start_is_exclusive_and_the_end_inclusive():
    schedule = FundingSchedule(recorded(8, 16), RATE)
    assert at_hours(schedule.between(hours(8), hours(16))) == [16]
    assert at_hours(schedule.between(hours(7), hours(8))) == [8]


def test_inside_the_series_only_the_series_counts_and_outside_the_constant():
    schedule = FundingSchedule(recorded(16, 24, 40), RATE)  # 32 is a hole: nobody was charged then
    events = schedule.between(hours(0), hours(56))
    assert at_hours(events) == [8, 16, 24, 40, 48, 56]
    assert [event.from_series for event in events] == [False, True, True, True, False, False]
    assert events[1].mark_price == Decimal(50_000)
    assert schedule.counts(hours(0), hours(56)) == FundingCounts(series=3, constant=3)


def test_a_stamp_a_second_off_at_the_seam_is_not_booked_twice():
    late, early = recorded(8 + 1 / 3600, 16), recorded(8, 16 - 1 / 3600)
    assert len(FundingSchedule(late, RATE).between(hours(0), hours(16))) == 2
    assert len(FundingSchedule(early, RATE).between(hours(0), hours(16))) == 2


def test_an_hourly_series_hands_over_without_a_loss():
    hourly = recorded(*range(1, 16))
    assert at_hours(FundingSchedule(hourly, RATE).between(hours(14), hours(24))) == [15, 16, 24]


def test_no_rate_is_no_event():
    assert FundingSchedule(None, Decimal(0)).between(hours(0), hours(48)) == []
    assert FundingSchedule(None, Decimal(0)).next_after(hours(0)) is None


def test_nothing_is_due_after_the_end():
    schedule = FundingSchedule(None, RATE, end_ms=hours(16))
    assert at_hours(schedule.between(hours(0), hours(48))) == [8, 16]
    assert schedule.next_after(hours(15)) == hours(16) and schedule.next_after(hours(16)) is None


def test_longs_pay_a_positive_rate_and_shorts_a_negative_one():
    assert funding_amount(Decimal(2), Decimal(50_000), RATE) == Decimal(-10)
    assert funding_amount(Decimal(-2), Decimal(50_000), RATE) == Decimal(10)
    assert funding_amount(Decimal(-2), Decimal(50_000), -RATE) == Decimal(-10)


@given(
    st.lists(st.integers(0, 200), unique=True, max_size=8).map(sorted),
    st.lists(st.integers(-20, 240), min_size=2, max_size=12, unique=True).map(sorted),
)
def test_any_cutting_of_time_books_every_event_once(recorded_at, cuts):
    schedule = FundingSchedule(recorded(*recorded_at), RATE)
    whole = schedule.between(hours(cuts[0]), hours(cuts[-1]))
    parts = [schedule.between(hours(a), hours(b)) for a, b in zip(cuts, cuts[1:], strict=False)]
    assert [event for part in parts for event in part] == whole


@given(st.lists(st.integers(0, 100), unique=True, max_size=8).map(sorted), st.integers(-20, 120))
def test_the_next_event_is_the_first_of_those_to_come(recorded_at, now):
    schedule = FundingSchedule(recorded(*recorded_at), RATE)
    assert schedule.next_after(hours(now)) == schedule.between(hours(now), hours(now + 200))[0].time_ms


def test_real_funding_stamps_off_by_milliseconds_are_booked_exactly_once(shared_data):
    series = load_funding(shared_data("funding_8h"), "BTCUSDT")
    schedule = FundingSchedule(series, RATE)
    first, last = series.time_ms[0], series.time_ms[-1]
    steps = range(first - 24 * HOUR_MS, last + 24 * HOUR_MS, HOUR_MS)
    booked = [event for at in steps for event in schedule.between(at, at + HOUR_MS)]
    assert [event.time_ms for event in booked if event.from_series] == list(series.time_ms)
    assert len({event.time_ms for event in booked}) == len(booked) == len(series) + 2 * 3 - 1
