from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from notifications.notice_json import notice_of, notice_text
from notifications.outbox import KEPT_S, MOST_KEYS, MOST_PENDING, RETRY_S, Outbox, Waiting
from notifications.words import Picture, SpreadChart
from tests.notifications.channels import NOON, notice

RICH = notice(
    "rich",
    rows=(("z", "+2.1"), ("Fees", "-1 <b>")),
    body="a\nb",
    pair_id="A_B",
    is_critical=True,
    fold="f",
    chart=SpreadChart("A_B", (NOON, NOON + timedelta(hours=1)), (0.5, 2.1), (("stop", 4.0),), ((NOON, 2.1, "entry"),)),
    pictures=(Picture("equity.png", bytes(range(256))),),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "bot.outbox.sqlite"


def opened(path, **terms) -> tuple[Outbox, tuple[Waiting, ...]]:
    outbox = Outbox(path, **terms)
    return outbox, outbox.open()


def test_a_notice_comes_back_from_its_text_as_it_was():
    assert notice_of(notice_text(RICH)) == RICH


def test_what_waits_and_what_was_told_outlive_the_process(path):
    outbox, left = opened(path)
    assert left == () and outbox.is_new("rich") and not outbox.is_new("rich")
    outbox.put(Waiting("email", RICH, 5.0, 3, True))
    outbox.put(Waiting("email", notice("b"), 6.0))
    outbox.put(Waiting("telegram", notice("b"), 6.0))
    outbox.remove(Waiting("email", notice("b"), 6.0))
    outbox.flush()  # and no close: as after a kill
    other, left = opened(path)
    assert left == (Waiting("email", RICH, 5.0, 3, True), Waiting("telegram", notice("b"), 6.0))
    assert not other.is_new("rich")
    outbox.close()
    other.close()


def test_what_was_told_long_ago_is_forgotten(path):
    outbox, _ = opened(path, now=lambda: 0.0)
    outbox.is_new("old")
    outbox.close()
    later, _ = opened(path, now=lambda: KEPT_S + 1.0)
    assert later.is_new("old")
    later.close()


def test_memory_of_what_was_told_is_bounded():
    outbox = Outbox(None)
    for number in range(MOST_KEYS + 10):
        outbox.is_new(str(number))
    assert outbox.is_new("0") and not outbox.is_new(str(MOST_KEYS + 9))


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_costs_nothing_but_the_file(path, damage):
    path.parent.mkdir()
    path.write_bytes(damage)
    outbox, left = opened(path)
    assert left == () and outbox.trouble
    assert outbox.is_new("a") and not outbox.is_new("a")
    outbox.put(Waiting("email", RICH, 5.0))
    outbox.flush()
    outbox.close()
    assert path.read_bytes() == damage


def test_a_row_that_nobody_can_read_is_a_damage_too(path):
    outbox, _ = opened(path)
    outbox.put(Waiting("email", RICH, 5.0))
    outbox.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE waiting SET notice = '{}'")
    outbox, left = opened(path)
    assert left == () and "key" in outbox.trouble


def test_a_locked_file_is_written_when_it_is_free_again(path):
    now = [0.0]
    outbox, _ = opened(path, now=lambda: now[0])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outbox.is_new("a")
        outbox.put(Waiting("email", RICH, 5.0))
        outbox.flush()
        assert "locked" in outbox.trouble
        other.execute("ROLLBACK")
    now[0] += RETRY_S
    outbox.flush()
    assert outbox.trouble == ""
    _, left = opened(path)
    assert left == (Waiting("email", RICH, 5.0),)
    outbox.close()


def test_a_full_disk_is_trouble_and_memory_stays_bounded(path):
    outbox, _ = opened(path)
    outbox._connection.execute("PRAGMA max_page_count = 4")
    for number in range(MOST_PENDING + 10):
        outbox.put(Waiting("email", notice(str(number), body="x" * 100), 5.0))
        if number % 500 == 0:
            outbox.flush()
    assert outbox.trouble and len(outbox._pending) <= MOST_PENDING
    outbox.close()


def test_a_folder_that_cannot_be_made_is_trouble(tmp_path):
    (tmp_path / "taken").write_text("")
    outbox, left = opened(tmp_path / "taken" / "bot.sqlite")
    assert left == () and outbox.trouble
