"""Downloads of history: complete, resumed after anything, honest about holes, and whole on disk."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable, KeyRefused, MarketClosed, RateBanned
from ccxt_bt_bridge.words import Bar
from feeds import bar_files
from feeds.bar_files import BarFile, BarFileError
from feeds.download import Advance, Download, Downloaded, Span
from feeds.history import HistoryError, load_bars

HOUR_MS = 3_600_000
T0 = 1_704_067_200_000  # 2024-01-01T00:00Z


def at(hour: int) -> int:
    return T0 + hour * HOUR_MS


def bar(hour: int) -> Bar:
    """The bar that closes at this hour; its numbers need all their digits."""
    price = 100.0 + hour / 7.0
    return Bar("BTCUSDT", at(hour), price, price + 1.0, price - 1.0, price + 0.1, hour / 3.0)


@dataclass
class Archive:
    """An exchange's history of the hours in ``there``, in pages of ten, and what goes wrong on the way."""

    there: set[int]
    failures: list[Exception] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    pages_until_failure: int = 1

    async def pages(self, symbol: str, since_ms: int, until_ms: int) -> AsyncIterator[list[Bar]]:
        self.asked.append((-(-(since_ms - T0) // HOUR_MS), (until_ms - T0) // HOUR_MS))
        hours = sorted(hour for hour in self.there if since_ms <= at(hour) <= until_ms)
        for number, first in enumerate(range(0, len(hours), 10)):
            if self.failures and number == self.pages_until_failure:
                raise self.failures.pop(0)
            yield [bar(hour) for hour in hours[first : first + 10]]
        if self.failures:
            raise self.failures.pop(0)


def bring(
    folder: Path,
    archive: Archive,
    first: int = 1,
    last: int = 60,
    *,
    form: str = "csv",
    now: int = 100,
    tell: Callable[[Advance], None] = lambda _: None,
    slept: list[float] | None = None,
) -> Downloaded:
    async def sleep(seconds: float) -> None:
        (slept if slept is not None else []).append(seconds)

    download = Download(archive.pages, now_ms=lambda: at(now) + 5, tell=tell, sleep=sleep)
    file = BarFile(folder, "BTC/USDT", "1h", form=form)
    return asyncio.run(download.bring("BTC/USDT", file, HOUR_MS, Span(at(first), at(last))))


def hours_in(folder: Path) -> list[int]:
    return [(time_ms - T0) // HOUR_MS for time_ms in load_bars(folder, "BTCUSDT", "1h").time_ms.tolist()]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_is_written_is_loaded_to_the_last_digit(tmp_path: Path, form: str) -> None:
    report = bring(tmp_path, Archive(set(range(1, 61))), form=form)
    assert (report.bars, report.added, report.holes, report.begins_later) == (60, 60, (), False)
    assert (report.first_ms, report.last_ms, report.path) == (at(1), at(60), tmp_path / f"BTCUSDT.{form}")
    assert list(load_bars(tmp_path, "BTCUSDT", "1h")) == [bar(hour) for hour in range(1, 61)]
    assert [path.name for path in tmp_path.iterdir()] == [f"BTCUSDT.{form}"]


def test_a_file_says_when_its_bars_opened(tmp_path: Path) -> None:
    bring(tmp_path, Archive({1, 2}), 1, 2)
    header, first, second = (tmp_path / "BTCUSDT.csv").read_text().splitlines()
    assert header == "timestamp,open,high,low,close,volume"
    assert first.startswith("2024-01-01T00:00:00Z,") and second.startswith("2024-01-01T01:00:00Z,")


def test_a_bar_that_has_not_closed_is_not_asked_for(tmp_path: Path) -> None:
    archive = Archive(set(range(1, 61)))
    report = bring(tmp_path, archive, now=20)
    assert report.last_ms == at(20) and archive.asked == [(1, 20)]


def test_a_second_download_asks_only_for_what_is_new(tmp_path: Path) -> None:
    archive = Archive(set(range(1, 1001)))
    bring(tmp_path, archive, 101, 900, now=2000)
    report = bring(tmp_path, archive, 1, 1000, now=2000)
    assert archive.asked == [(101, 900), (1, 100), (901, 1000)]
    assert report.added == 200 and hours_in(tmp_path) == list(range(1, 1001))


def test_a_download_of_what_is_there_asks_nothing_and_leaves_the_file_alone(tmp_path: Path) -> None:
    archive = Archive(set(range(1, 61)))
    bring(tmp_path, archive)
    before = (tmp_path / "BTCUSDT.csv").stat()
    assert bring(tmp_path, archive).added == 0
    after = (tmp_path / "BTCUSDT.csv").stat()
    assert len(archive.asked) == 1 and (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_bars_that_were_there_stay_as_they_are(tmp_path: Path) -> None:
    own = "timestamp,open,high,low,close,volume\n2024-01-01T04:00:00Z,7.0,7.0,7.0,7.0,7.0\n"
    (tmp_path / "BTCUSDT.csv").write_text(own)
    bring(tmp_path, Archive(set(range(1, 11))), 1, 10)
    loaded = list(load_bars(tmp_path, "BTCUSDT", "1h"))
    assert len(loaded) == 10 and loaded[4].close == 7.0


# holes


def test_a_hole_is_asked_for_again_and_told(tmp_path: Path) -> None:
    archive = Archive(set(range(1, 61)) - {20, 21, 40})
    report = bring(tmp_path, archive)
    assert report.holes == (Span(at(20), at(21)), Span(at(40), at(40)))
    assert archive.asked == [(1, 60), (20, 40)]


def test_a_hole_that_the_second_question_fills_is_none(tmp_path: Path) -> None:
    archive = Archive(set(range(1, 61)) - {20})

    def heal(advance: Advance) -> None:
        archive.there.add(20)

    report = bring(tmp_path, archive, tell=heal)
    assert report.holes == () and hours_in(tmp_path) == list(range(1, 61))


def test_holes_far_apart_are_questions_of_their_own(tmp_path: Path) -> None:
    archive = Archive(set(range(1, 1201)) - {100, 1100})
    report = bring(tmp_path, archive, 1, 1200, now=2000)
    assert len(report.holes) == 2 and archive.asked[1:] == [(100, 100), (1100, 1100)]


def test_a_symbol_that_was_listed_later_is_said_to_begin_then(tmp_path: Path) -> None:
    report = bring(tmp_path, Archive(set(range(30, 61))))
    assert report.begins_later and report.first_ms == at(30) and report.holes == ()


def test_a_symbol_without_any_bar_writes_no_file(tmp_path: Path) -> None:
    report = bring(tmp_path, Archive(set()))
    assert (report.bars, report.first_ms, report.last_ms, report.begins_later) == (0, None, None, False)
    assert list(tmp_path.iterdir()) == []


# what goes wrong


def test_a_failed_read_is_repeated_from_where_it_stood(tmp_path: Path) -> None:
    slept: list[float] = []
    archive = Archive(set(range(1, 61)), [ExchangeUnreachable("no answer")] * 2, pages_until_failure=2)
    report = bring(tmp_path, archive, slept=slept)
    assert report.added == 60 and hours_in(tmp_path) == list(range(1, 61))
    assert [first for first, _ in archive.asked] == [1, 21, 41]
    assert slept == [1.0, 1.0]


def test_pauses_grow_while_nothing_comes(tmp_path: Path) -> None:
    slept: list[float] = []
    archive = Archive(set(range(1, 61)), [ExchangeUnreachable("no answer")] * 4, pages_until_failure=0)
    assert bring(tmp_path, archive, slept=slept).added == 60
    assert slept == [1.0, 2.0, 4.0, 8.0]


def test_a_ban_is_waited_out(tmp_path: Path) -> None:
    slept: list[float] = []
    bring(tmp_path, Archive({1}, [RateBanned("too many", at(100) + 90_005)]), 1, 1, slept=slept)
    assert slept == [91.0]


def test_an_exchange_that_stays_away_ends_the_download_and_the_next_one_goes_on(tmp_path: Path) -> None:
    dying = Archive(set(range(1, 31)), [ExchangeUnreachable("gone")] * 50, pages_until_failure=9)
    with pytest.raises(ExchangeUnreachable):
        bring(tmp_path, dying)
    assert len(dying.asked) == 5 and not (tmp_path / "BTCUSDT.csv").exists()
    archive = Archive(set(range(1, 61)))
    assert bring(tmp_path, archive).added == 60 and archive.asked == [(31, 60)]


@pytest.mark.parametrize("error", [MarketClosed("gone"), KeyRefused("no"), ValueError("a defect")])
def test_what_waiting_cannot_mend_is_not_repeated(tmp_path: Path, error: Exception) -> None:
    slept: list[float] = []
    with pytest.raises(type(error)):
        bring(tmp_path, Archive({1, 2}, [error], pages_until_failure=0), slept=slept)
    assert slept == []


def interrupted(folder: Path, *, pages: int) -> None:
    """A download that dies after some pages."""
    archive = Archive(set(range(1, 61)), [ValueError("killed")], pages_until_failure=pages)
    with pytest.raises(ValueError, match="killed"):
        bring(folder, archive)


def test_an_interrupted_download_keeps_what_came_and_goes_on_from_there(tmp_path: Path) -> None:
    interrupted(tmp_path, pages=3)
    archive = Archive(set(range(1, 61)))
    assert not (tmp_path / "BTCUSDT.csv").exists()
    assert bring(tmp_path, archive).added == 60
    assert archive.asked == [(31, 60)] and hours_in(tmp_path) == list(range(1, 61))


@pytest.mark.parametrize("torn", [1, 7, 30])
def test_a_row_that_was_torn_is_fetched_again(tmp_path: Path, torn: int) -> None:
    interrupted(tmp_path, pages=3)
    (draft,) = tmp_path.iterdir()
    os.truncate(draft, draft.stat().st_size - torn)
    bring(tmp_path, Archive(set(range(1, 61))))
    assert list(load_bars(tmp_path, "BTCUSDT", "1h")) == [bar(hour) for hour in range(1, 61)]


def test_a_draft_of_a_file_that_was_finished_after_all_doubles_nothing(tmp_path: Path) -> None:
    interrupted(tmp_path, pages=3)
    (draft,) = tmp_path.iterdir()
    left = draft.read_bytes()
    bring(tmp_path, Archive(set(range(1, 61))))
    draft.write_bytes(left)
    assert bring(tmp_path, Archive(set(range(1, 61)))).added == 0
    assert hours_in(tmp_path) == list(range(1, 61))


def test_a_full_disk_is_a_sentence_and_what_came_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(tmp_path, Archive(set(range(1, 21))), 1, 20)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bar_files.os, "replace", full)
        with pytest.raises(BarFileError, match="disk is full at .*make room and call again"):
            bring(tmp_path, Archive(set(range(1, 61))))
    assert hours_in(tmp_path) == list(range(1, 21))
    archive = Archive(set(range(1, 61)))
    assert bring(tmp_path, archive).added == 40 and archive.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_on_the_way_ends_the_download(tmp_path: Path) -> None:
    file = BarFile(tmp_path, "BTC/USDT", "1h")
    (tmp_path / ".BTCUSDT.1h.part").symlink_to("/dev/full")
    with pytest.raises(BarFileError, match="the disk is full"):
        file.add([bar(1)])


def test_a_file_of_another_interval_is_refused_and_left_alone(tmp_path: Path) -> None:
    bring(tmp_path, Archive(set(range(1, 61))))
    content = (tmp_path / "BTCUSDT.csv").read_bytes()
    with pytest.raises(HistoryError, match="wanted bars of 5m, but its rows are mostly 1h apart"):
        BarFile(tmp_path, "BTC/USDT", "5m")
    assert (tmp_path / "BTCUSDT.csv").read_bytes() == content


def test_a_file_in_another_form_is_refused(tmp_path: Path) -> None:
    bring(tmp_path, Archive(set(range(1, 61))))
    with pytest.raises(BarFileError, match=r"has BTCUSDT\.csv already"):
        BarFile(tmp_path, "BTC/USDT", "1h", form="parquet")


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BarFileError, match="choose another folder"):
        BarFile(tmp_path / "file" / "bars", "BTC/USDT", "1h")


def test_progress_counts_to_the_whole(tmp_path: Path) -> None:
    told: list[Advance] = []
    bring(tmp_path, Archive(set(range(1, 61))), tell=told.append)
    assert [(one.done, one.total) for one in told] == [(10 * n, 60) for n in range(1, 7)] + [(60, 60)]
