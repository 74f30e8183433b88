"""Which files a bot may open, and what happens to the others: nothing."""

from __future__ import annotations

import builtins
import os
import sqlite3
from pathlib import Path

import pytest

from tests.trading.journal.journal_samples import a_decision, a_fill, an_intent, open_journal
from trading.journal.errors import JournalBusy, JournalError, JournalRefused, JournalUnwritable
from trading.journal.file import bring_forward
from trading.journal.locks import WriterLock, holder_of, is_held, lock_path
from trading.journal.reads import JournalReader
from trading.journal.schema import SCHEMA_VERSION
from trading.journal.writer import Journal


def make_journal(path: Path) -> None:
    with open_journal(path) as journal:
        journal.write_intent(an_intent())
        journal.record_decision(a_decision())


def edit(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def columns(path: Path) -> dict[str, set[tuple[str, str, int]]]:
    connection = sqlite3.connect(path)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {table: {row[1:4] for row in connection.execute(f"PRAGMA table_info({table})")} for table in tables}
    connection.close()
    return found


def make_version_1(path: Path) -> None:
    make_journal(path)
    edit(
        path,
        "ALTER TABLE decisions DROP COLUMN rule",
        "ALTER TABLE fills DROP COLUMN base_fee",
        "ALTER TABLE runs DROP COLUMN opening_equity",
        "ALTER TABLE runs DROP COLUMN terms",
        "DROP TABLE wire_outcomes",
        "UPDATE meta SET schema_version = 1",
    )


def test_what_a_journal_writes_is_its_owners_alone(tmp_path: Path) -> None:
    make_version_1(tmp_path / "bot.db")
    with open_journal(tmp_path / "bot.db") as journal:
        journal.write_intent(an_intent(2))
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir() if file.suffix != ".lock"}
    assert set(modes.values()) == {0o600} and {"bot.db", "bot.db-wal", "bot.db.bak-v1"} <= set(modes)


def test_an_older_schema_is_migrated_and_keeps_its_rows(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    make_version_1(old)
    make_journal(new)
    with open_journal(old) as journal:
        assert journal.decisions() == (a_decision(rule=""),)
        assert journal.unresolved_intents() == (an_intent(),)
        journal.record_decision(a_decision(1))
        journal.flush()
        assert journal.decisions()[1] == a_decision(1)
    assert columns(old) == columns(new)


def test_a_migration_leaves_a_copy_of_what_was(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    make_version_1(path)
    was = columns(path)
    open_journal(path).close()
    backup = tmp_path / "j.db.bak-v1"
    assert columns(backup) == was != columns(path)
    connection = sqlite3.connect(backup)
    assert connection.execute("SELECT schema_version FROM meta").fetchall() == [(1,)]
    assert connection.execute("SELECT count(*) FROM decisions").fetchall() == [(1,)]
    connection.close()


def test_an_older_journal_is_brought_forward_for_who_reads_it_first(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    make_version_1(path)
    lock = WriterLock(lock_path(path))
    with pytest.raises(JournalBusy):
        bring_forward(path)
    lock.release()
    bring_forward(path)
    assert (tmp_path / "j.db.bak-v1").exists()
    with JournalReader.open(path) as reader:
        assert reader.unresolved_intents() == (an_intent(),)
    was = path.read_bytes()
    bring_forward(path)
    bring_forward(tmp_path / "none.db")
    (tmp_path / "odd.db").write_text("no journal")
    bring_forward(tmp_path / "odd.db")
    assert path.read_bytes() == was and (tmp_path / "odd.db").read_text() == "no journal"


def test_a_current_journal_is_not_copied(tmp_path: Path) -> None:
    make_journal(tmp_path / "j.db")
    open_journal(tmp_path / "j.db").close()
    assert not list(tmp_path.glob("*.bak*"))


def test_a_newer_schema_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    make_journal(path)
    edit(path, f"UPDATE meta SET schema_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    words = f"schema {SCHEMA_VERSION + 1} of a newer program.*up to {SCHEMA_VERSION}.*update the program"
    with pytest.raises(JournalRefused, match=words):
        open_journal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bot_id": "0002"}, "belongs to bot '0001', not to '0002'"),
        ({"mode": "live"}, "was written in mode 'mock', this run is 'live'"),
        ({"account": "other"}, "was written for another account"),
    ],
)
def test_the_journal_of_another_is_refused(tmp_path: Path, change: dict[str, str], sentence: str) -> None:
    path = tmp_path / "j.db"
    make_journal(path)
    with pytest.raises(JournalRefused, match=sentence):
        open_journal(path, **change)
    with open_journal(path) as journal:
        assert journal.unresolved_intents() == (an_intent(),)


def test_an_account_is_not_stored_in_the_clear(tmp_path: Path) -> None:
    open_journal(tmp_path / "j.db", account="binance:SECRETKEY123").close()
    assert b"SECRETKEY123" not in (tmp_path / "j.db").read_bytes()


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to look at" * 40])
def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(content)
    with pytest.raises(JournalRefused, match="left as it is"):
        open_journal(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    edit(path, "CREATE TABLE music (title TEXT)")
    with pytest.raises(JournalRefused, match="not a readable journal"):
        open_journal(path)


def test_a_damaged_journal_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        for number in range(400):
            journal.record_decision(a_decision(number))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = b"\xa5" * 8192
    path.write_bytes(content)
    with pytest.raises(JournalRefused, match="left as it is"):
        open_journal(path)
    assert path.read_bytes() == bytes(content)


def test_a_journal_that_lost_its_main_file_is_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    (tmp_path / "j.db-wal").write_bytes(b"commits of a journal that is gone")
    with pytest.raises(JournalRefused, match="is gone but its write-ahead log"):
        open_journal(path)
    assert not path.exists()


def test_what_a_kill_left_of_a_new_journal_is_no_hindrance(tmp_path: Path) -> None:
    for suffix in (".new", ".new-wal", ".new-shm"):
        (tmp_path / f"j.db{suffix}").write_bytes(b"half a file")
    make_journal(tmp_path / "j.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j.db", "j.db.lock"]


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path), pytest.raises(JournalBusy, match=r"held by another process \(process \d+\)"):
        open_journal(path)
    open_journal(path).close()


def test_one_account_is_traded_once_by_one_bot_whatever_the_folder(tmp_path: Path) -> None:
    def opened(folder: str, bot_id: str, login: str = "binance live a-key") -> Journal:
        return Journal.open(tmp_path / folder / "j.db", bot_id=bot_id, mode="live", account="binance", login=login)

    bot_id = tmp_path.name + str(os.getpid())
    with opened("a", bot_id):
        with pytest.raises(JournalBusy, match=rf"process {os.getpid()}.*bot_id of its own"):
            opened("b", bot_id)
        opened("c", bot_id + "2").close()
        opened("d", bot_id, "binance live another-key").close()
    opened("b", bot_id).close()


def test_whether_it_is_held_is_seen_without_a_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lock = tmp_path / "j.db", tmp_path / "j.db.lock"
    real = builtins.open

    def read_only(file, mode="r", **terms):
        if set(mode) & set("wax+"):
            raise OSError(30, "Read-only file system", str(file))
        return real(file, mode, **terms)

    with open_journal(path):
        monkeypatch.setattr(builtins, "open", read_only)
        assert is_held(lock) and holder_of(lock) == str(os.getpid())
    assert not is_held(lock)


def test_a_refused_journal_is_not_left_locked(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    make_journal(path)
    with pytest.raises(JournalRefused):
        open_journal(path, bot_id="0002")
    open_journal(path).close()


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalUnwritable, match="cannot be opened for writing"):
        open_journal(tmp_path / "file" / "j.db")


def test_an_onlooker_reads_what_a_running_bot_commits(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with open_journal(path) as journal, JournalReader.open(path) as reader:
        assert (reader.meta.owner.bot_id, reader.epoch) == ("0001", journal.epoch)
        journal.record_fill(a_fill(), "P", "r")
        assert reader.fills_of("P", "r") == (a_fill(),)
        journal.write_intent(an_intent())
        assert reader.unresolved_intents() == (an_intent(),)


def test_an_onlooker_reads_after_the_bot_has_gone(tmp_path: Path) -> None:
    make_journal(tmp_path / "j.db")
    with JournalReader.open(tmp_path / "j.db") as reader:
        assert reader.decisions() == (a_decision(),)
    open_journal(tmp_path / "j.db").close()


def test_an_onlooker_needs_no_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_journal(tmp_path / "j.db")
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK)
    with JournalReader.open(tmp_path / "j.db") as reader:
        assert reader.decisions() == (a_decision(),)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["j.db", "j.db.lock"]


def test_an_onlooker_cannot_write(tmp_path: Path) -> None:
    make_journal(tmp_path / "j.db")
    with JournalReader.open(tmp_path / "j.db") as reader, pytest.raises(Exception, match="readonly"):
        reader._connection.exec_driver_sql("DELETE FROM intents")
    assert not [name for name in dir(JournalReader) if name.startswith(("write_", "record_", "save_"))]


def test_an_onlooker_is_told_that_there_is_nothing_yet(tmp_path: Path) -> None:
    with pytest.raises(JournalRefused, match="has not run here yet"):
        JournalReader.open(tmp_path / "j.db")
    assert not list(tmp_path.iterdir())


def test_an_onlooker_does_not_migrate(tmp_path: Path) -> None:
    make_version_1(tmp_path / "j.db")
    with pytest.raises(JournalRefused, match="older schema 1: start the bot once"):
        JournalReader.open(tmp_path / "j.db")


def test_every_error_has_one_root() -> None:
    assert all(issubclass(kind, JournalError) for kind in (JournalBusy, JournalRefused, JournalUnwritable))


def test_a_journal_makes_its_folder(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "a" / "b" / "j.db", bot_id="x", mode="mock", account="") as journal:
        assert journal.meta.owner.bot_id == "x"
