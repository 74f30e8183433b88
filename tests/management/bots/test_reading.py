"""What an onlooker finds and reads of bots: few rows, of the newest run, never written."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from management.bots.curve import MOST_POINTS, EquityCurve
from management.bots.finding import BotFiles, find_bots
from management.bots.log_lines import log_tail
from management.bots.reading import BotReader, Unreadable
from tests.management.sample_bots import PAIR, START, journal_of, write_bot


@pytest.fixture
def files(tmp_path: Path) -> BotFiles:
    write_bot(tmp_path)
    return find_bots(tmp_path)["0001_mock"]


def test_only_journals_are_bots_and_only_those_with_a_name_for_an_address(tmp_path: Path) -> None:
    for name in ("b_mock.journal.sqlite", "a_mock.journal.sqlite", "a_mock.exchange.sqlite", "a b.journal.sqlite"):
        (tmp_path / name).touch()
    assert list(find_bots(tmp_path)) == ["a_mock", "b_mock"]
    assert find_bots(tmp_path / "nowhere") == {}


def test_an_onlooker_cannot_write(files: BotFiles) -> None:
    with BotReader(files) as reader, pytest.raises(Unreadable, match="readonly"):
        reader._ask("DELETE FROM trades RETURNING id")


def test_the_newest_rows_of_the_newest_run_alone_are_read(tmp_path: Path, files: BotFiles) -> None:
    with BotReader(files) as reader:
        assert [row["time"] for row in reader.decisions_of(PAIR, 2)] == ["2024-01-03T00:00:00Z", "2024-01-03T01:00:00Z"]
        assert reader.count("trades") == 1
    with journal_of(tmp_path) as journal:
        journal.start_run(started=START, config_sha256="1" * 64, code_version="0.1.0")
    with BotReader(files) as reader:
        assert (reader.decisions_of(PAIR, 2), reader.count("trades"), reader.newest("intents", 9)) == ([], 0, [])


def test_a_file_that_is_gone_or_no_journal_is_unreadable_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be opened"):
        BotReader(BotFiles("none_mock", tmp_path))
    sqlite3.connect(tmp_path / "odd_mock.journal.sqlite").close()
    with pytest.raises(Unreadable, match="no such table"):
        BotReader(BotFiles("odd_mock", tmp_path))


# the curve


def test_a_curve_is_read_on_and_knows_its_drawdown(tmp_path: Path, files: BotFiles) -> None:
    curve = EquityCurve()
    with BotReader(files) as reader:
        curve.read_on(reader)
    assert len(curve.points()) == 50 and curve.points().equity[6] == 10_006.0
    assert curve.points().drawdown_pct[7] == pytest.approx(100.0 * 6.0 / 10_006.0)
    later = START + timedelta(days=30)
    with journal_of(tmp_path) as journal:
        journal.resume_run()
        journal.record_equity(later, 9_000.0)
        journal.record_equity(later, 9_500.0)  # the last word on a moment counts
    with BotReader(files) as reader:
        curve.read_on(reader)
        curve.read_on(reader)
    assert curve.points().equity[49:] == [10_000.0, 9_500.0]


def test_a_sample_of_the_equity_is_of_the_newest_run_with_its_first_and_last_bar(tmp_path: Path) -> None:
    with journal_of(tmp_path) as journal:
        for first in (1.0, 5_000.0):
            journal.start_run(started=START, config_sha256="0" * 64, code_version="0.1.0")
            with journal.transaction():
                for number in range(1_000):
                    journal.record_equity(START + timedelta(minutes=number), first + number)
    with BotReader(find_bots(tmp_path)["0001_mock"]) as reader:
        sample = reader.equity_sample(100)
    assert (sample[0], sample[-1]) == (5_000.0, 5_999.0) and 100 <= len(sample) <= 120
    assert sample == sorted(sample)


def test_a_long_curve_is_thinned_and_keeps_its_end(tmp_path: Path) -> None:
    bars = 2 * MOST_POINTS + 7
    with journal_of(tmp_path) as journal:
        journal.start_run(started=START, config_sha256="0" * 64, code_version="0.1.0")
        with journal.transaction():
            for number in range(bars):
                journal.record_equity(START + timedelta(minutes=number), float(number + 1))
    curve = EquityCurve()
    with BotReader(find_bots(tmp_path)["0001_mock"]) as reader:
        curve.read_on(reader)
    equity = curve.points().equity
    assert MOST_POINTS / 2 < len(equity) <= MOST_POINTS + 1
    assert (equity[0], equity[-1]) == (1.0, float(bars))
    assert {later - one for one, later in zip(equity, equity[1:-1], strict=False)} == {4.0}


# the log


def test_the_end_of_a_log_is_read_by_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "bot.log"
    lines = [f"2024-01-01T00:00:{number:02d}.000Z WARNING some.module alarm number {number}" for number in range(60)]
    log.write_text("\n".join([*lines, "Traceback (most recent call last):", "é" * 20]) + "\n", encoding="utf-8")
    tail = [line.masked(str.upper) for line in log_tail(log, most_bytes=500)]
    assert [line.time for line in tail[:-2]] == [f"2024-01-01T00:00:{number}.000Z" for number in range(54, 60)]
    assert tail[-3].level == "WARNING" and tail[-3].text == "ALARM NUMBER 59"
    assert (tail[-2].level, tail[-2].text) == ("", "TRACEBACK (MOST RECENT CALL LAST):")
    assert log_tail(tmp_path / "none.log") == ()
