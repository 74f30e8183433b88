"""What a crash, a full disk and a torn log leave behind: a prefix of the commits, and a bot that knows."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal
from itertools import count
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from pairs.words import PairState
from tests.trading.journal.journal_samples import START, a_decision, an_intent, cannot_look_at, open_journal
from trading.journal.errors import JournalBusy, JournalUnwritable
from trading.journal.words import IntentState
from trading.journal.writer import Journal


def pragma(journal: Journal, name: str) -> object:
    return journal._connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def fill_disk(journal: Journal, pages: int = 0) -> None:
    """Let SQLite meet a full disk after ``pages`` more pages."""
    pragma(journal, f"max_page_count = {int(str(pragma(journal, 'page_count'))) + pages}")


def free_disk(journal: Journal) -> None:
    pragma(journal, "max_page_count = 1073741823")


def test_the_live_connection_is_durable(tmp_path: Path) -> None:
    for _ in range(2):
        with open_journal(tmp_path / "j.db") as journal:
            found = {
                name: pragma(journal, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_each_write_is_committed_when_it_returns(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        for number in range(3):
            journal.write_intent(an_intent(number))
            other = sqlite3.connect(tmp_path / "j.db")
            assert other.execute("SELECT count(*) FROM intents").fetchone() == (number + 1,)
            other.close()


def test_a_torn_log_gives_a_prefix_of_the_commits(tmp_path: Path) -> None:
    path, torn = tmp_path / "j.db", tmp_path / "torn.db"
    with open_journal(path) as journal:
        for number in range(8):
            journal.write_intent(an_intent(number))
        shutil.copy(path, torn)
        log = (tmp_path / "j.db-wal").read_bytes()
    seen = set()
    for size in (*range(0, len(log), 311), len(log)):
        (tmp_path / "torn.db-wal").write_bytes(log[:size])
        (tmp_path / "torn.db-shm").unlink(missing_ok=True)
        connection = sqlite3.connect(f"file:{torn}?mode=ro", uri=True)
        ids = [row[0] for row in connection.execute("SELECT client_order_id FROM intents ORDER BY id")]
        connection.close()
        assert ids == [an_intent(number).client_order_id for number in range(len(ids))]
        seen.add(len(ids))
    assert seen == set(range(9))


def test_a_torn_log_is_opened_and_written_on(tmp_path: Path) -> None:
    path, torn = tmp_path / "j.db", tmp_path / "torn.db"
    with open_journal(path) as journal:
        for number in range(4):
            journal.write_intent(an_intent(number))
        shutil.copy(path, torn)
        log = (tmp_path / "j.db-wal").read_bytes()
    (tmp_path / "torn.db-wal").write_bytes(log[:-100])
    with open_journal(torn) as journal:
        assert len(journal.unresolved_intents()) == 3
        journal.write_intent(an_intent(9))
        assert len(journal.unresolved_intents()) == 4


def test_a_full_disk_refuses_an_intent_and_reading_goes_on(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal.write_intent(an_intent(0))
        fill_disk(journal)
        stored = 1
        with pytest.raises(JournalUnwritable, match="full"):
            for stored in range(1, 200):
                journal.write_intent(an_intent(stored))
        assert len(journal.unresolved_intents()) == stored
        free_disk(journal)
        journal.write_intent(an_intent(500))
        assert journal.unresolved_intents()[-1] == an_intent(500)


def test_a_transaction_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        fill_disk(journal)
        with pytest.raises(JournalUnwritable), journal.transaction():
            journal.write_intent(an_intent())
            journal.save_position("ETH_BTC", PairState.ENTERING, {"filling": "x" * 20_000})
        assert (journal.unresolved_intents(), journal.positions()) == ((), {})


def test_nothing_follows_a_failure_inside_a_transaction(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        fill_disk(journal)
        with pytest.raises(JournalUnwritable), journal.transaction():
            with pytest.raises(JournalUnwritable):
                journal.save_position("ETH_BTC", PairState.ENTERING, {"filling": "x" * 20_000})
            free_disk(journal)
            journal.write_intent(an_intent())
        assert journal.unresolved_intents() == ()
        journal.write_intent(an_intent())
        assert journal.unresolved_intents() == (an_intent(),)


def test_rows_of_a_bar_outlive_a_full_disk_without_a_word_to_the_strategy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        fill_disk(journal)
        for number in range(600):
            journal.record_decision(a_decision(number, reason="x" * 100))
        assert "journal_unwritable" in caplog.text
        with pytest.raises(JournalUnwritable):
            journal.flush()
        free_disk(journal)
        journal.flush()
        assert [decision.time for decision in journal.decisions()] == [a_decision(n).time for n in range(600)]


def test_a_journal_that_became_read_only_refuses_an_intent(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        journal._connection.exec_driver_sql("PRAGMA query_only = ON")
        with pytest.raises(JournalUnwritable, match="readonly"):
            journal.write_intent(an_intent())
        journal._connection.exec_driver_sql("PRAGMA query_only = OFF")


def test_a_journal_that_was_replaced_refuses_an_intent_until_the_other_file_is_gone(tmp_path: Path) -> None:
    path, other = tmp_path / "j.db", tmp_path / "other.db"
    open_journal(other).close()
    with open_journal(path) as journal:
        journal.write_intent(an_intent(1))
        other.replace(path)
        with pytest.raises(JournalUnwritable, match="not the file any more that this bot opened"):
            journal.write_intent(an_intent(2))
        path.unlink()
        journal.write_intent(an_intent(2))
    with open_journal(path) as journal:
        assert len(journal.unresolved_intents()) == 2


@pytest.mark.parametrize("lost", ["j.db", "j.db*"], ids=["the file", "the lock too"])
@pytest.mark.parametrize("moved", [False, True])
def test_a_journal_that_was_deleted_is_written_anew_whole(lost: str, moved: bool, tmp_path: Path) -> None:
    path, away = tmp_path / "j.db", tmp_path / "away"
    away.mkdir()
    with open_journal(path) as journal:
        journal.write_intent(an_intent(1))
        for file in tmp_path.glob(lost):
            file.rename(away / file.name) if moved else file.unlink()
        journal.write_intent(an_intent(2))
        seen = sqlite3.connect(path)
        assert seen.execute("SELECT count(*) FROM intents").fetchone() == (2,), "durable when it returns"
        seen.close()
        with pytest.raises(JournalBusy):
            open_journal(path)
        journal.write_intent(an_intent(3))
        assert pragma(journal, "synchronous") == 2 and pragma(journal, "journal_mode") == "wal"
    with open_journal(path) as journal:
        assert len(journal.unresolved_intents()) == 3


def test_a_journal_whose_folder_was_deleted_is_written_anew_where_that_can_be(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with open_journal(folder / "j.db") as journal:
        journal.write_intent(an_intent(1))
        shutil.rmtree(folder)
        folder.touch()
        with pytest.raises(JournalUnwritable, match="was deleted or moved away and could not be written anew"):
            journal.write_intent(an_intent(2))
        folder.unlink()
        journal.write_intent(an_intent(2))
    with open_journal(folder / "j.db") as journal:
        assert len(journal.unresolved_intents()) == 2


STEPS = [
    ("trading.journal.writer.WriterLock", 1),
    ("trading.journal.file._remove", 1),
    ("pathlib.Path.touch", 1),
    ("trading.journal.file.sqlite3.connect", 1),
    ("trading.journal.file._raw", 1),
    ("trading.journal.writer.file_identity", 2),
    ("trading.journal.file._remove", 2),
    ("trading.journal.file.os.replace", 1),
    ("trading.journal.file._sync_folder", 1),
    ("trading.journal.file.sqlite3.connect", 2),
]


def fail_once(patch: pytest.MonkeyPatch, name: str, at: int) -> None:
    """The ``at``-th call of it from now on fails."""
    calls, real = count(1), resolve_name(name)

    def failing(*given: Any, **terms: Any) -> Any:
        if next(calls) == at:
            raise sqlite3.OperationalError("disk I/O error") if "sqlite3" in name else OSError(5, "Input/output error")
        return real(*given, **terms)

    patch.setattr(name, failing)


@pytest.mark.parametrize(("name", "at"), STEPS)
def test_writing_anew_may_fail_at_any_step_and_the_next_commit_has_everything(
    name: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.write_intent(an_intent(1))
        for file in tmp_path.glob("j.db*"):
            file.unlink()
        fail_once(monkeypatch, name, at)
        with pytest.raises(JournalUnwritable, match=r"could not be written anew \(.*error\): .* tries again"):
            journal.write_intent(an_intent(2))
        assert journal.unresolved_intents() == (an_intent(1),)
        journal.write_intent(an_intent(2))
        assert journal.unresolved_intents() == (an_intent(1), an_intent(2))
        seen = sqlite3.connect(path)
        assert seen.execute("SELECT count(*) FROM intents").fetchone() == (2,), "durable when it returns"
        seen.close()
        with pytest.raises(JournalBusy):
            open_journal(path)
        assert not list(tmp_path.glob("*.new*"))
    with open_journal(path) as journal:
        assert journal.unresolved_intents() == (an_intent(1), an_intent(2))


def test_a_file_that_came_while_it_was_written_anew_is_not_this_bots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "j.db", tmp_path / "other.db"
    open_journal(other).close()
    with open_journal(path) as journal:
        path.unlink()
        fail_once(monkeypatch, "trading.journal.file._sync_folder", 1)
        with pytest.raises(JournalUnwritable, match="could not be written anew"):
            journal.write_intent(an_intent(1))
        other.replace(path)
        with pytest.raises(JournalUnwritable, match="not the file any more that this bot opened"):
            journal.write_intent(an_intent(1))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_path_that_cannot_be_looked_at_is_written_all_the_same(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        with monkeypatch.context() as patch:
            cannot_look_at(path, patch, number)
            journal.write_intent(an_intent(1))
        journal.write_intent(an_intent(2))
        seen = sqlite3.connect(path)
        assert seen.execute("SELECT count(*) FROM intents").fetchone() == (2,)
        seen.close()


def test_a_writer_that_cannot_get_its_turn_says_so(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.db") as journal:
        pragma(journal, "busy_timeout = 10")
        thief = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
        thief.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnwritable, match="locked"):
            journal.write_intent(an_intent())
        thief.execute("ROLLBACK")
        thief.close()
        journal.write_intent(an_intent())


CHILD = """
import sys
from tests.trading.journal.journal_samples import an_intent, open_journal
journal = open_journal(sys.argv[1])
number = 0
while True:
    journal.write_intent(an_intent(number))
    print(number, flush=True)
    number += 1
"""


def test_what_was_reported_written_is_there_after_a_kill(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    path = tmp_path / "j.db"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout is not None
        reported = [int(child.stdout.readline()) for _ in range(20)]
        child.send_signal(signal.SIGKILL)
        reported += [int(line) for line in child.stdout]
    with open_journal(path) as journal:
        found = journal.unresolved_intents()
        assert len(found) in (len(reported), len(reported) + 1)
        assert found == tuple(an_intent(number) for number in range(len(found)))
        journal.update_intent(found[0].client_order_id, state=IntentState.DONE, filled=Decimal(1))
        journal.record_equity(START, 1.0)
