from __future__ import annotations

from notifications.lane import (
    FIRST_KNOCK_S,
    FIRST_PAUSE_S,
    FOLD_S,
    GAP_S,
    LONGEST_KNOCK_S,
    LONGEST_PAUSE_S,
    MOST_FAILURES,
    REST_S,
    TOO_OLD_S,
    Lane,
    Sound,
)
from notifications.outbox import Waiting
from notifications.words import Delivered, Failed, Kind, Notice, Refused, TryLater, Undeliverable
from tests.notifications.channels import EVERYTHING, notice

WALL = 1_700_000_000.0


class Desk:
    """A lane and its clock."""

    def __init__(self, **terms) -> None:
        self.lane = Lane("one", EVERYTHING, **terms)
        self.now = 0.0

    def add(self, one: Notice, since: float = WALL):
        waiting = self.lane.waiting_of(one, since)
        assert waiting is not None
        return self.lane.add(waiting)

    def due(self, wall: float = WALL, *, hurry: bool = False) -> Waiting | None:
        return self.lane.due(self.now, wall, hurry=hurry)[0]

    def deliver(self) -> list[tuple[str, int]]:
        """Everything that comes out when each is delivered, and time passes between."""
        told = []
        while (waiting := self.due()) is not None:
            told.append((waiting.notice.title, waiting.repeats))
            self.lane.settle(Delivered(), self.now)
            self.now += GAP_S
        return told


def test_what_is_critical_goes_first_and_the_rest_in_order():
    desk = Desk()
    for key in "abc":
        desk.add(notice(key, is_critical=key == "c"))
    assert [title for title, _ in desk.deliver()] == ["notice c", "notice a", "notice b"]


def test_repeats_are_told_as_one_with_their_number_and_the_last_words():
    desk = Desk()
    for number in range(12):
        desk.add(notice(f"{number}", fold="same"))
    desk.add(notice("other"))
    assert desk.deliver() == [("notice 11", 12), ("notice other", 1)]


def test_after_one_was_told_its_repeats_wait_and_come_together():
    desk = Desk()
    desk.add(notice("first", fold="same"))
    assert desk.deliver() == [("notice first", 1)]
    for number in range(3):
        desk.add(notice(f"{number}", fold="same"))
    assert desk.due() is None
    assert 0.0 < desk.lane.next_s(desk.now) <= FOLD_S
    desk.now += FOLD_S
    assert desk.deliver() == [("notice 2", 3)]


def test_repeats_do_not_wait_when_there_is_no_time_left():
    desk = Desk()
    desk.add(notice("first", fold="same"))
    desk.deliver()
    desk.add(notice("again", fold="same"))
    assert desk.due(hurry=True).notice.title == "notice again"


def test_a_critical_one_is_not_folded_into_one_that_is_not():
    desk = Desk()
    desk.add(notice("a", fold="same"))
    desk.add(notice("b", fold="same", is_critical=True))
    assert desk.deliver() == [("notice b", 1), ("notice a", 1)]
    desk.add(notice("c", fold="other"))
    desk.deliver()
    desk.add(notice("d", fold="other", is_critical=True))
    assert desk.deliver() == [("notice d", 1)], "that one was told does not hold this back"


def test_the_bound_drops_the_oldest_that_is_not_critical_and_tells_the_number():
    desk = Desk(bound=3)
    desk.add(notice("critical", is_critical=True))
    gone = [one for number in range(10) for one in desk.add(notice(f"{number}")).gone]
    assert [one.notice.key for one in gone] == ["0", "1", "2", "3", "4", "5", "6"]
    titles = [title for title, _ in desk.deliver()]
    assert titles[:4] == ["notice critical", "notice 7", "notice 8", "notice 9"]
    assert "7 dropped" in titles[4] and len(titles) == 5


def test_the_number_of_the_lost_is_not_lost_when_it_cannot_be_told():
    desk = Desk(bound=1)
    for number in range(3):
        desk.add(notice(f"{number}"))
    desk.due()
    desk.lane.settle(Delivered(), desk.now)
    desk.now += GAP_S
    assert "2 dropped" in desk.due().notice.title
    desk.lane.settle(TryLater("away"), desk.now)
    desk.lane.note_dropped(5)
    desk.now += FIRST_PAUSE_S
    assert "7 dropped" in desk.due().notice.title


def test_pauses_grow_to_a_limit_and_end_with_the_first_that_arrives():
    desk = Desk()
    desk.add(notice())
    pauses = []
    for _ in range(12):
        assert desk.due() is not None
        desk.lane.settle(TryLater("away"), desk.now)
        pauses.append(desk.lane.next_s(desk.now))
        desk.now += pauses[-1]
    assert pauses[:4] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S, 8 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert desk.deliver() == [("notice a", 1)]
    desk.add(notice("b"))
    desk.due()
    desk.lane.settle(TryLater("away"), desk.now)
    assert desk.lane.next_s(desk.now) == FIRST_PAUSE_S


def test_the_pause_that_the_other_side_asks_for_is_kept():
    desk = Desk()
    desk.add(notice())
    desk.due()
    desk.lane.settle(TryLater("flood", after_s=35.0), desk.now)
    desk.now = 34.9
    assert desk.due() is None
    desk.now = 35.0
    assert desk.due() is not None


def test_what_fails_stays_before_what_came_later_and_takes_its_repeats_in():
    desk = Desk()
    desk.add(notice("a", fold="same"))
    desk.add(notice("b"))
    desk.due()
    desk.add(notice("a2", fold="same"))
    gone = desk.lane.settle(TryLater("away"), desk.now)
    assert gone is not None and gone.notice.key == "a"
    desk.now += FIRST_PAUSE_S
    assert desk.deliver() == [("notice a2", 2), ("notice b", 1)]


def test_a_channel_that_refuses_everything_rests_and_loses_nothing():
    desk = Desk()
    desk.add(notice("a"))
    desk.add(notice("b"))
    for _ in range(3):
        assert desk.due().notice.key == "a"
        assert desk.lane.settle(Undeliverable("token revoked"), desk.now) is None
        assert desk.lane.next_s(desk.now) == REST_S and desk.lane.is_resting(desk.now)
        desk.now += REST_S
    assert desk.deliver() == [("notice a", 1), ("notice b", 1)]


def test_what_is_critical_knocks_at_a_channel_that_rests_and_ends_the_rest_when_it_is_taken():
    desk = Desk()
    desk.add(notice("plain"))
    desk.due()
    desk.lane.settle(Undeliverable("token revoked"), desk.now)
    desk.add(notice("bad", is_critical=True))
    pauses = []
    while desk.now < REST_S - LONGEST_KNOCK_S:
        pauses.append(desk.lane.next_s(desk.now))
        desk.now += pauses[-1]
        assert desk.due().notice.key == "bad"
        assert desk.lane.settle(Undeliverable("token revoked"), desk.now) is None
    assert pauses[:4] == [60.0, 120.0, 240.0, 480.0] and set(pauses[4:]) == {LONGEST_KNOCK_S}
    desk.now += LONGEST_KNOCK_S
    assert desk.deliver() == [("notice bad", 1), ("notice plain", 1)]


def test_what_is_refused_for_itself_is_given_up_and_the_next_goes_on_at_once():
    desk = Desk()
    desk.add(notice("bad"))
    desk.add(notice("good"))
    assert desk.due().notice.key == "bad"
    assert desk.lane.settle(Refused("spam"), desk.now).notice.key == "bad"
    assert desk.lane.next_s(desk.now) == GAP_S
    desk.now += GAP_S
    titles = [title for title, _ in desk.deliver()]
    assert titles[0] == "notice good" and "1 dropped" in titles[1] and "refused" in titles[1]


def test_something_critical_that_is_refused_for_itself_lets_others_pass_and_comes_again_for_a_day():
    desk = Desk()
    desk.add(notice("bad", is_critical=True))
    desk.add(notice("good"))
    desk.due()
    assert desk.lane.settle(Refused("spam"), desk.now) is None
    desk.now += GAP_S
    assert desk.deliver() == [("notice good", 1)]
    assert desk.due(hurry=True) is None and desk.lane.next_s(desk.now, hurry=True) > 0.0
    desk.now = LONGEST_KNOCK_S
    assert desk.due().notice.key == "bad"
    desk.lane.settle(Refused("spam"), desk.now)
    desk.now += LONGEST_KNOCK_S
    line, (old,) = desk.lane.due(desk.now, WALL + TOO_OLD_S + 1.0)
    assert old.notice.key == "bad" and "1 not sent" in line.notice.title


def test_a_line_about_the_lost_that_is_refused_is_not_told_for_ever():
    desk = Desk()
    desk.lane.note_dropped(3)
    assert "3 dropped" in desk.due().notice.title
    desk.lane.settle(Refused("spam"), desk.now)
    assert desk.lane.next_s(desk.now) is None


def test_what_fails_again_and_again_lets_others_pass_and_comes_later():
    desk = Desk()
    desk.add(notice("poison", is_critical=True))
    desk.add(notice("good"))
    for _ in range(MOST_FAILURES):
        assert desk.due().notice.key == "poison"
        assert desk.lane.settle(Failed("failed (KeyError)"), desk.now) is None
        desk.now += FIRST_PAUSE_S * 2.0**MOST_FAILURES
    assert desk.deliver() == [("notice good", 1)]
    desk.now += FIRST_KNOCK_S
    assert desk.deliver() == [("notice poison", 1)]


def test_what_is_older_than_a_day_is_counted_in_one_line_unless_it_is_critical():
    desk = Desk()
    for number in range(5):
        desk.add(notice(f"{number}"), since=WALL - TOO_OLD_S - 1.0)
    desk.add(notice("bad", is_critical=True), since=WALL - 9 * TOO_OLD_S)
    assert desk.due().notice.key == "bad"
    desk.lane.settle(Delivered(), desk.now)
    desk.now += GAP_S
    line, old = desk.lane.due(desk.now, WALL)
    assert len(old) == 5 and "5 not sent, because they were older than a day" in line.notice.title


def test_a_kind_is_on_silent_or_off():
    lane = Lane("one", {Kind.ERROR: Sound.ON, Kind.STATUS: Sound.SILENT, Kind.RISK: Sound.OFF})
    kinds = (Kind.ERROR, Kind.STATUS, Kind.RISK, Kind.HEALTH)
    waiting = [lane.waiting_of(notice(kind=kind), WALL) for kind in kinds]
    assert [one and one.is_silent for one in waiting] == [False, True, None, None]


def test_an_idle_lane_asks_for_no_look():
    desk = Desk()
    assert desk.lane.next_s(0.0) is None
    desk.add(notice())
    assert desk.lane.next_s(0.0) == 0.0
    desk.due()
    assert desk.lane.next_s(0.0) is None
