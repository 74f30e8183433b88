"""Every event of a run in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from notifications.words import Kind, Notice
from pairs.words import LegPosition
from tests.trading.execution.engine_rig import entry_order
from tests.trading.journal.journal_samples import a_fill, a_position, a_trade
from trading.events import (
    Alarm,
    BarMarked,
    ConnectionChanged,
    EntryRefused,
    LegsEven,
    OrderFailed,
    PairClosed,
    PairOpened,
    StepMissed,
)
from trading.journal.errors import JournalError
from trading.risk.state import Breaker, BreakerTripped, LimitReached, PairQuarantined
from trading.telling.history import DayFigures
from trading.telling.summaries import limits_line
from trading.telling.teller import EventTeller, Teller
from trading.telling.telling import is_critical
from trading.telling.wording import duration, exact

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
D = Decimal
STATUS: dict[str, Any] = {
    "equity": 10_050.5,
    "risk": {"current_drawdown_pct": 1.25},
    "breaker": {"state": "reduce_only", "reason": "max_drawdown"},
    "trades": {"closed": 7, "pnl": 50.5},
    "pairs": [{"pair_id": "A_B", "state": "open", "z": -2.5}, {"pair_id": "C_D", "state": "flat", "z": None}],
    "limits": [
        {"name": "max_daily_trades", "used": 8, "limit": 10},
        {"name": "max_leverage", "used": 0.1, "limit": 2.0},
        {"name": "min_liquidation_distance_pct", "used": 90.0, "limit": 20.0},
    ],
    "feeds": [{"symbol": "A", "state": "live", "age_s": 1.0}, {"symbol": "B", "state": "stale", "age_s": 9e3}],
}


class FakeHistory:
    """What a journal would say; an exception as ``zseries`` or ``said`` is raised."""

    def __init__(self, **answers: Any) -> None:
        self.fills: Any = (a_fill(1), a_fill(2))
        self.zseries: Any = ((NOON - 2 * HOUR, 0.5), (NOON - HOUR, 1.5))
        self.said: Any = STATUS
        self.days: dict[datetime, DayFigures] = {}
        self.asked_days: list[datetime] = []
        self.broken_days: tuple[datetime, ...] = ()
        vars(self).update(answers)

    def entry_fills(self, pair_id: str, ref: str):
        if isinstance(self.fills, Exception):
            raise self.fills
        return self.fills

    def zscores(self, pair_id: str, *, since, most: int):
        if isinstance(self.zseries, Exception):
            raise self.zseries
        return self.zseries

    def day(self, end: datetime) -> DayFigures:
        self.asked_days.append(end)
        if end in self.broken_days:
            raise JournalError("locked")
        return self.days.get(end, DayFigures((), 0, (), ()))

    def status(self, now: datetime):
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def teller(history: FakeHistory | None = None, *, last: datetime | None = None, **terms: Any) -> EventTeller:
    known = {"status_hours": 8.0, "levels": {"A_B": (("entry", 2.0), ("entry", -2.0))}}
    who = Teller(name="0001 (desk)", run=3, quote="USDT", **(known | terms))
    return EventTeller(who, history or FakeHistory(), last=last)  # type: ignore[arg-type]


def told(event: object, **terms: Any) -> Notice:
    (one,) = teller(**terms)(event)
    return one


def order(**changes: Any):
    made = entry_order("A_B", {"A": D("1.5"), "B": D(-2)}, NOON, prices={"A": 1.0, "B": 1.0})
    return replace(made, zscore=-2.13, reason="entry", **changes)


def opened(**changes: Any) -> PairOpened:
    legs = (LegPosition("A", D("1.500"), D("1800.10")), LegPosition("B", D("-2"), D("30000")))
    position = replace(a_position(), pair_id="A_B", legs=legs, gross_notional=62700.15)
    return PairOpened(NOON + timedelta(seconds=2), order(**changes), position)


# trades


def test_an_entry_is_told_with_everything_that_was_done():
    one = told(opened())
    rows = dict(one.rows)
    assert one.kind is Kind.TRADE_ENTRY and one.pair_id == "A_B" and not one.is_critical
    assert one.title == "0001 (desk): A_B opened long at z -2.13"
    assert rows["Direction"] == "long: buy A, sell B" and rows["z"] == "-2.13"
    assert (rows["A"], rows["B"]) == ("+1.5 at 1800.1", "-2 at 30000")
    assert rows["Gross"] == "62,700.15 USDT" and rows["Reason"] == "entry"
    assert rows["Fees"] == f"{-(a_fill(1).fee + a_fill(2).fee):+,.2f} USDT"
    assert one.key == f"3:{order().ref}"


def test_the_chart_of_an_entry_shows_the_bars_and_the_one_that_decided():
    chart = told(opened()).chart
    assert chart.times == (NOON - 2 * HOUR, NOON - HOUR, NOON) and chart.zscores == (0.5, 1.5, -2.13)
    assert chart.marks == ((NOON, -2.13, "entry"),) and chart.levels == (("entry", 2.0), ("entry", -2.0))


def test_without_z_there_is_no_chart_and_without_a_journal_only_the_marks():
    single = opened()
    single = replace(single, order=replace(single.order, zscore=None))
    assert told(single).chart is None and told(single).title == "0001 (desk): A_B opened long"
    blind = told(opened(), history=FakeHistory(zseries=JournalError("locked"), fills=JournalError("locked")))
    assert blind.chart.times == (NOON,) and dict(blind.rows)["Fees"] == "unknown"


def test_an_exit_is_told_with_its_parts_that_add_up():
    trade = a_trade()
    one = told(PairClosed(trade.exit_time, trade, None))
    rows = dict(one.rows)
    assert one.kind is Kind.TRADE_EXIT and f"closed ({trade.exit_reason}): {trade.pnl:+,.2f} USDT" in one.title
    parts = [D(rows[f"of {part}"].split()[0].replace(",", "")) for part in ("price", "fees", "funding")]
    assert abs(sum(parts) - D(rows["Profit"].split()[0].replace(",", ""))) <= D("0.02")
    assert {"Legging cost", "z", "Held", "Reason", "Direction"} <= set(rows)
    assert [label for _, _, label in one.chart.marks] == ["entry", "exit"]
    assert told(PairClosed(trade.exit_time, trade, None)).key == one.key


# what goes wrong


@pytest.mark.parametrize(
    ("event", "kind", "title", "fold"),
    [
        (Alarm(NOON, "look at it", "A_B"), Kind.ERROR, "look at it", "alarm:A_B:look at it"),
        (Alarm(NOON, "its data are stale", "A_B", of_health=True), Kind.HEALTH, "its data are stale",
         "alarm:A_B:its data are stale"),
        (OrderFailed(NOON, order(), "no_fill"), Kind.ERROR, "A_B: enter came to nothing (no_fill)",
         "failed:A_B: enter came to nothing (no_fill)"),
        (EntryRefused(NOON, order(), ("max_exposure", "stale_data")), Kind.RISK,
         "A_B not entered at z -2.13: max_exposure, stale_data", "refused:A_B"),
        (LimitReached(NOON, "max_daily_loss"), Kind.RISK, "Max_daily_loss is reached: no more entries",
         "risk:LimitReached:None:max_daily_loss"),
        (PairQuarantined(NOON, "A_B", 2, NOON), Kind.RISK,
         "No more entries of A_B until 2024-03-05 12:00: stops today 2", "risk:PairQuarantined:A_B:"),
        (StepMissed(NOON, "A_B", ("B",), False), Kind.HEALTH, "A_B: a step lacked B and was dropped", "missed:A_B"),
        (ConnectionChanged(NOON, "market", False, "reset"), Kind.HEALTH, "The market stream is down (reset)",
         "connection:market"),
        (ConnectionChanged(NOON, "user", True, ""), Kind.HEALTH, "The user stream is back", "connection:user"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_could_be_is_one_line(event, kind, title, fold):
    one = told(event)
    assert (one.kind, one.title, one.fold, one.time) == (kind, f"0001 (desk): {title}", fold, NOON)
    assert not one.is_critical and not is_critical(event)


@pytest.mark.parametrize("event", [Alarm(NOON, "naked", critical=True), BreakerTripped(NOON, Breaker.HALTED, "by me")])
def test_exposed_money_and_a_halt_are_critical(event):
    assert is_critical(event) and told(event).is_critical


def test_a_breaker_that_only_reduces_is_not_critical():
    assert not told(BreakerTripped(NOON, Breaker.REDUCE_ONLY, "max_drawdown")).is_critical


def test_alarms_that_differ_in_numbers_only_repeat_each_other_but_are_facts_of_their_own():
    first, second = (told(Alarm(NOON, f"B is unhedged for {number} s")) for number in (31, 62.5))
    assert first.fold == second.fold and first.key != second.key


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("PAIR_1: a leg is naked", "PAIR_1"), ("PAIR_2: a leg is naked", "PAIR_2")),
        (("PAIR_1 is not closed", None), ("PAIR_2 is not closed", None)),
        (("one leg is naked", "A_B"), ("one leg is naked", "B_C")),
        (("A: our books hold 12 for A_B", "A_B"), ("A: our books hold 900 for A_B", "A_B")),
        (("order 17 is lost", "A_B"), ("order 18 is lost", "A_B")),
    ],
)
def test_critical_alarms_of_other_pairs_or_other_things_do_not_repeat_each_other(first, second):
    assert told(Alarm(NOON, *first, critical=True)).fold != told(Alarm(NOON, *second, critical=True)).fold


def test_critical_alarms_of_one_pair_that_differ_in_a_span_a_price_or_z_repeat_each_other():
    texts = ("P_1: z -2.1, unhedged for 3 s at 101.5", "P_1: z +3, unhedged for 62.5 s at 99")
    assert len({told(Alarm(NOON, text, "P_1", critical=True)).fold for text in texts}) == 1


def test_no_digit_in_the_name_of_a_pair_is_a_figure():
    folds = [told(Alarm(NOON, f"{name} drifts by 3.{name[-1]} %", name)).fold for name in ("P_1", "P_2", "P_1")]
    assert folds[0] != folds[1] and folds[0] == folds[2]
    by_name = EventTeller(Teller("0001", 1, "USDT", 8.0, {"P_1": (), "P_2": ()}), FakeHistory(), last=None)
    assert len({one.fold for name in ("P_1", "P_2") for one in by_name(Alarm(NOON, f"{name} drifts by 3 %"))}) == 2


def test_limits_of_different_kinds_do_not_repeat_each_other():
    events = [LimitReached(NOON, "max_daily_loss"), LimitReached(NOON, "max_daily_loss_pct")]
    events += [BreakerTripped(NOON, Breaker.REDUCE_ONLY, reason) for reason in ("max_drawdown", "by me")]
    assert len({told(event).fold for event in events}) == 4


def test_a_refusal_is_told_again_when_its_reasons_are_new_or_the_pair_was_open_between():
    one = teller()
    events = [EntryRefused(NOON, order(), reasons) for reasons in (("a",), ("a",), ("b",), ("b",))]
    assert [len(list(one(event))) for event in events] == [1, 0, 1, 0]
    list(one(opened()))
    assert len(list(one(events[-1]))) == 1


def test_other_events_are_not_told():
    assert list(teller()(LegsEven(NOON, "A_B", 0.5))) == []


# regularly


def bars(one: EventTeller, *hours: float, begin: datetime = NOON) -> list[Notice]:
    return [notice for hour in hours for notice in one(BarMarked(begin + hour * HOUR, 10_000.0 + hour))]


def test_a_status_comes_every_so_many_hours_of_the_market():
    notices = bars(teller(), *range(30))
    times = [one.time.hour for one in notices if one.kind is Kind.STATUS]
    assert times == [16, 0, 8, 16]
    (first, *_) = notices
    rows = dict(first.rows)
    assert rows["Equity"] == "10,050.50 USDT" and rows["Breaker"] == "reduce_only (max_drawdown)"
    assert rows["Open pairs"] == "A_B (open, z -2.50)" and rows["Feeds"] == "B stale"
    assert rows["Limits used"] == "max_daily_trades 8 of 10" and rows["Drawdown"] == "1.25 %"


def test_a_restart_within_the_same_hours_tells_no_status_again():
    assert bars(teller(last=NOON), 1, 2) == []


def test_a_status_that_cannot_be_read_is_left_out():
    assert bars(teller(FakeHistory(said=JournalError("locked"))), 0, 5) == []


def day(*equity: float) -> DayFigures:
    begin = NOON.replace(hour=0)
    curve = tuple((begin + number * 6 * HOUR, value) for number, value in enumerate(equity))
    return DayFigures((a_trade(), a_trade(1)), 3, curve, curve)


def test_a_day_ends_with_a_summary_and_its_picture():
    midnight = NOON.replace(hour=0) + timedelta(days=1)
    history = FakeHistory(days={midnight: day(10_000.0, 10_200.0, 10_098.0, 10_150.0)})
    (one,) = [notice for notice in bars(teller(history), *range(14)) if notice.kind is Kind.DAILY_SUMMARY]
    rows = dict(one.rows)
    assert one.title.startswith("0001 (desk): 2024-03-05: +") and one.key == "3:day:2024-03-05"
    assert rows["Equity"].startswith("10,012.00 USDT"), "the bar of midnight is the day's last"
    assert rows["Drawdown of the day"] == "1.84 %" and rows["Entries refused"] == "3"
    assert rows["Trades"].startswith("2, ") and "2 closed" in one.body
    assert one.pictures[0].data.startswith(b"\x89PNG")
    assert history.asked_days == [midnight]


def test_a_day_that_ended_while_the_bot_was_away_is_summed_up_at_its_return():
    history = FakeHistory()
    bars(teller(history, last=NOON), 40, 41)
    assert history.asked_days == [NOON.replace(hour=0) + timedelta(days=1)]


def test_a_day_whose_last_bar_was_the_last_before_a_stop_is_asked_for_again():
    midnight = NOON.replace(hour=0)
    history = FakeHistory(days={midnight: day(1.0, 2.0)})
    (one,) = [n for n in bars(teller(history, last=midnight), 1) if n.kind is Kind.DAILY_SUMMARY]
    assert one.key == "3:day:2024-03-04", "the outbox knows whether it was told"


def test_a_day_that_cannot_be_read_does_not_keep_the_next_from_being_told():
    midnight = NOON.replace(hour=0) + timedelta(days=1)
    known = {midnight + timedelta(days=1): day(1.0, 2.0)}
    history = FakeHistory(days=known, broken_days=(midnight,))
    (one,) = [n for n in bars(teller(history), *range(40)) if n.kind is Kind.DAILY_SUMMARY]
    assert one.key == "3:day:2024-03-06"


def test_nothing_known_of_a_day_is_not_told():
    assert [n for n in bars(teller(), 0, 13) if n.kind is Kind.DAILY_SUMMARY] == []


def test_limits_are_named_when_half_of_them_is_used():
    assert limits_line([]) == "less than half of each"
    assert limits_line([{"name": "x", "used": None, "limit": 2.0}]) == "less than half of each"
    assert limits_line([{"name": "x", "used": 1.0, "limit": 2.0}]) == "x 1 of 2"


# words


@pytest.mark.parametrize(("number", "text"), [("1.500", "1.5"), ("100", "100"), ("1E+3", "1000"), ("0.001", "0.001")])
def test_a_number_keeps_its_digits_and_has_no_exponent(number, text):
    assert exact(D(number)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12, "12 s"), (600, "10 min"), (15_000, "4 h 10 min"), (273_600, "3 d 4 h")]
)
def test_a_duration_in_two_units_at_most(seconds, text):
    assert duration(timedelta(seconds=seconds)) == text
