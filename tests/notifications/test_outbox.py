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
def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(path, damage):
    path.parent.mkdir()
    path.write_bytes(damage)
    outbox, left = opened(path, now=lambda: NOON.timestamp())
    assert left == () and not outbox.trouble
    (remark,) = outbox.remarks
    assert "was damaged" in remark and f"{path.name}.damaged-20240501T120000Z" in remark
    assert path.with_name(f"{path.name}.damaged-20240501T120000Z").read_bytes() == damage
    assert outbox.is_new("a") and not outbox.is_new("a")
    outbox.put(Waiting("email", RICH, 5.0))
    outbox.close()
    again, left = opened(path, now=lambda: NOON.timestamp())
    assert left == (Waiting("email", RICH, 5.0),) and not again.is_new("a") and again.remarks == []
    again.close()


def test_a_file_that_is_damaged_while_the_bot_runs_is_begun_anew_with_all_that_is_known(path):
    outbox, _ = opened(path)
    outbox.is_new("a")
    outbox.put(Waiting("email", RICH, 5.0))
    outbox.flush()
    outbox._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(b"\xff" * path.stat().st_size)
    outbox._connection.execute("PRAGMA shrink_memory")
    outbox.put(Waiting("telegram", notice("b"), 6.0))
    outbox.flush()
    outbox.close()
    assert len(outbox.remarks) == 1 and not outbox.trouble
    again, left = opened(path)
    assert len(left) == 2 and not again.is_new("a")
    again.close()


def test_a_file_that_is_deleted_while_the_bot_runs_is_written_again(path):
    outbox, _ = opened(path)
    outbox.is_new("a")
    outbox.put(Waiting("email", RICH, 5.0))
    outbox.put(Waiting("email", notice("gone"), 5.5))
    outbox.flush()
    for file in path.parent.iterdir():
        file.unlink()
    outbox.remove(Waiting("email", notice("gone"), 5.5))
    outbox.is_new("b")
    outbox.flush()
    assert "was deleted while the bot ran" in outbox.remarks[0]
    again, left = opened(path)
    assert left == (Waiting("email", RICH, 5.0),) and not again.is_new("a") and not again.is_new("b")
    outbox.close()
    again.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [("notice", "{}"), ("notice", "no json"), ("notice", "[]"), ("notice", b"\xff\xfe"), ("notice", None),
     ("notice", notice_text(RICH).replace('"A_B"', "7")), ("since", "yesterday"), ("repeats", "many")],
)  # fmt: skip
def test_a_row_that_nobody_can_read_costs_only_itself(path, caplog, column, value):
    outbox, _ = opened(path)
    outbox.put(Waiting("email", RICH, 5.0))
    outbox.put(Waiting("email", notice("b"), 6.0))
    outbox.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'notice TEXT NOT NULL', 'notice TEXT')")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE waiting SET {column} = ? WHERE key = 'rich'", (value,))
    outbox, left = opened(path)
    assert left == (Waiting("email", notice("b"), 6.0),) and outbox.trouble == "" and outbox.remarks == []
    assert "outbox_row_unreadable" in caplog.text
    outbox.close()
    again, _ = opened(path)
    assert caplog.text.count("outbox_row_unreadable") == 1, "it is thrown away"
    again.close()


def test_its_files_are_their_owners_alone(path):
    outbox, _ = opened(path)
    outbox.put(Waiting("email", RICH, 5.0))
    outbox.flush()
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert len(list(path.parent.iterdir())) >= 2
    outbox.close()


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
