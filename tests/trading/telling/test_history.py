"""What notices read of the past, from a journal as the bot writes it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.trading.journal.journal_samples import START, a_decision, a_trade, open_journal
from tests.trading.runs import write_config
from trading.config.loader import load_config
from trading.journal.errors import JournalRefused
from trading.journal.writer import Journal
from trading.records import RefusalRecord
from trading.telling.history import PAST, DayFigures, History
from trading.venues.opening import state_paths

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The journal of a bot whose second run is under way."""
    monkeypatch.chdir(tmp_path)
    path, _ = state_paths(load_config(write_config(tmp_path), environ={}))
    with open_journal(path) as opened:
        for _ in range(2):
            opened.start_run(started=START, config_sha256="x", code_version="1")
        yield opened


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(load_config(tmp_path / "test.json", environ={}), 2)


def written(journal: Journal) -> None:
    with journal.transaction():
        pass


def test_the_newest_bars_of_a_pair_come_in_order_and_only_of_this_run(journal, history):
    for number in range(10):
        journal.record_decision(a_decision(number, zscore=None if number == 8 else float(number)))
        journal.record_decision(a_decision(number, pair_id="OTHER"))
    written(journal)
    rows = history.zscores("ETH_BTC", since=None, most=3)
    assert rows == ((START + 6 * HOUR, 6.0), (START + 7 * HOUR, 7.0), (START + 9 * HOUR, 9.0))
    assert History(history._config, 1).zscores("ETH_BTC", since=None, most=3) == ()


def test_a_long_trade_is_shown_from_its_entry(journal, history):
    for number in range(10):
        journal.record_decision(a_decision(number, zscore=float(number)))
    written(journal)
    since = START + 2 * HOUR
    assert [z for _, z in history.zscores("ETH_BTC", since=since, most=3)] == [float(n) for n in range(2, 10)]
    assert [z for _, z in history.zscores("ETH_BTC", since=START + 9 * HOUR, most=3)] == [7.0, 8.0, 9.0]


def test_a_day_has_its_own_bars_trades_and_refusals(journal, history):
    end = START + PAST + 3 * DAY
    for number in range(int((PAST + 4 * DAY) / (6 * HOUR))):
        journal.record_equity(START + number * 6 * HOUR, 10_000.0 + number)
    inside, outside = end - 2 * HOUR, end
    for when in (inside, outside):
        journal.record_refusal(RefusalRecord(when, "ETH_BTC", ("max_exposure",)))
        journal.save_trade(a_trade(exit_time=when))
    written(journal)
    figures = history.day(end)
    assert [time for time, _ in figures.equity] == [end - DAY + number * 6 * HOUR for number in range(5)]
    assert figures.gain == 4.0
    assert (figures.past[0][0], figures.past[-1][0]) == (end - PAST, end)
    assert [trade.exit_time for trade in figures.trades] == [inside] and figures.refused == 1


def test_the_days_last_bar_is_added_once_and_no_other():
    end = START + DAY
    figures = DayFigures((), 0, ((START, 10.0),), ((START, 10.0),))
    added = figures.with_bar((end, 9.0), end)
    assert added.equity == ((START, 10.0), (end, 9.0)) == added.past
    assert (added.gain, added.drawdown_pct) == (-1.0, pytest.approx(10.0))
    assert added.with_bar((end, 8.0), end) == added
    assert figures.with_bar((end + HOUR, 9.0), end) == figures


def test_without_a_journal_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    history = History(load_config(write_config(tmp_path), environ={}), 1)
    with pytest.raises(JournalRefused, match="there is no journal"):
        history.entry_fills("ETH_BTC", "r1")
    assert history.status(START) == {}
