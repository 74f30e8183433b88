"""What a pair looks like between two bars goes into the journal, and is in nobody's way."""

from __future__ import annotations

import logging

import pytest

from tests.trading.journal.journal_samples import open_journal
from tests.trading.journal.test_journal_durability import fill_disk, free_disk
from trading.journal.writer import Journal
from trading.live.spreads import LIVE_KEY, LiveSpreads


@pytest.fixture
def journal(tmp_path):
    with open_journal(tmp_path / "j.sqlite") as opened:
        yield opened


def spread(z: float, note: str = "") -> dict[str, dict[str, object]]:
    return {"ETH_BTC": {"time": "2024-01-01T00:00:00+00:00", "z": z, "spread": 0.01, "note": note}}


def test_the_last_prices_are_written_and_nothing_where_nothing_moved(journal: Journal, monkeypatch) -> None:
    told = [spread(1.0)]
    spreads = LiveSpreads(journal, lambda: told[-1], every_s=2.0)
    spreads.write()
    assert journal.risk_state(LIVE_KEY) == spread(1.0)
    saved: list[str] = []
    monkeypatch.setattr(journal, "save_risk_state", lambda key, value: saved.append(key))
    spreads.write()
    assert saved == []
    told.append(spread(2.0))
    spreads.write()
    assert saved == [LIVE_KEY]


def test_a_full_disk_is_logged_and_the_next_look_writes(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    told = spread(1.0, "x" * 20_000)
    spreads = LiveSpreads(journal, lambda: told, every_s=2.0)
    fill_disk(journal)
    with caplog.at_level(logging.WARNING):
        spreads.write()
    assert "live_spreads_unwritten" in caplog.text and journal.risk_state(LIVE_KEY) is None
    free_disk(journal)
    spreads.write()
    assert journal.risk_state(LIVE_KEY) == told
