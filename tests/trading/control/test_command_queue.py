from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading.control.command_queue import CommandQueue, CommandState, CommandsUnreadable, Verb

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.commands.sqlite"


def test_a_command_is_read_by_another_connection_with_who_and_when(path):
    with CommandQueue(path, now=lambda: NOW) as ours, CommandQueue(path) as theirs:
        number = ours.give(Verb.CLOSE, reason="news", by="anna", pair_id="A_B")
        (command,) = theirs.waiting()
    assert (command.number, command.verb, command.pair_id) == (number, Verb.CLOSE, "A_B")
    assert (command.reason, command.given_by, command.given_at) == ("news", "anna", NOW)
    assert str(command) == "close A_B"


def test_what_was_begun_and_ended_is_not_waiting_any_more(path):
    with CommandQueue(path) as queue:
        first, second = (queue.give(Verb.HALT, reason="r", by="b") for _ in range(2))
        queue.begin(queue.command(first))
        assert [command.number for command in queue.waiting()] == [second]
        assert [command.number for command in queue.cut_short()] == [first]
        queue.end(queue.command(first), CommandState.DONE, "halted")
        assert queue.cut_short() == ()
        assert (queue.command(first).state, queue.command(first).result) == (CommandState.DONE, "halted")


def test_many_writers_lose_nothing_and_numbers_are_in_order(path):
    CommandQueue(path).close()

    def give(at: int) -> int:
        with CommandQueue(path) as queue:
            return queue.give(Verb.HALT, reason=str(at), by="b")

    with ThreadPoolExecutor(8) as pool:
        numbers = sorted(pool.map(give, range(24)))
    with CommandQueue(path) as queue:
        assert [command.number for command in queue.waiting()] == numbers == list(range(1, 25))


def test_the_age_is_the_walls(path):
    with CommandQueue(path, now=lambda: NOW) as queue:
        queue.give(Verb.RESUME, reason="r", by="b")
    with CommandQueue(path, now=lambda: NOW + timedelta(hours=2)) as queue:
        assert queue.age_s(queue.waiting()[0]) == 7200.0


def test_a_file_that_is_no_queue_is_named(path):
    path.write_bytes(b"this is no database, and it is long enough to be looked at" * 40)
    with pytest.raises(CommandsUnreadable, match=r"bot\.commands\.sqlite"):
        CommandQueue(path)


def test_a_locked_file_is_an_error_and_not_a_hang(path):
    with CommandQueue(path, timeout_s=0.05) as queue, closing(sqlite3.connect(path, isolation_level=None)) as other:
        queue.give(Verb.HALT, reason="r", by="b")
        other.execute("BEGIN IMMEDIATE")
        (command,) = queue.waiting()
        with pytest.raises(CommandsUnreadable, match="locked"):
            queue.begin(command)
