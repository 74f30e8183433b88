"""A pair whose trade is open keeps its parameters when the config changes, takes no more entries, and says so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from management import control_command
from tests.research.markets import market_folder
from tests.trading.runs import write_config
from tests.trading.test_pair_health import falls_apart, pair
from trading.config.loader import load_config
from trading.events import Alarm, Event, PairOpened
from trading.journal.errors import JournalRefused
from trading.journal.reads import JournalReader
from trading.journal.writer import Journal
from trading.kept_pairs import with_kept_pairs
from trading.live_trading_bot import LiveTradingBot
from trading.market_input import DataChoice, InputError, market_input
from trading.preflight.here import check_journal
from trading.records import RunResult

END = datetime(2024, 2, 7, tzinfo=UTC)
PAIRS = {"AAA_BBB": pair("AAA", "BBB", 0.8), "CCC_DDD": pair("CCC", "DDD", 0.9)}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the pairs to the file of pairs that the config names."""
    monkeypatch.chdir(tmp_path)
    market_folder(tmp_path / "bars", falls_apart())
    data = {"data_source": "replay", "dir": "bars"}
    write = partial(write_config, tmp_path, pairs=None, pairs_file="pairs.json", data=data)

    def written(**changes: dict[str, Any] | None) -> Path:
        pairs = [PAIRS[name] | (changes.get(name) or {}) for name in PAIRS if changes.get(name, {}) is not None]
        Path("pairs.json").write_text(json.dumps({"pairs": pairs}))
        return write()

    return written


def run(path: Path, *, until: Callable[[Event], bool] = lambda event: False) -> tuple[RunResult, list[Event]]:
    """Until an event of this kind, then stopped, the positions kept."""
    bot, events = LiveTradingBot(path, environ={}, choice=DataChoice(end=END)), []

    def listen(event: Event) -> None:
        events.append(event)
        if until(event):
            bot.stop()

    bot.add_listener(listen)
    return bot.run(), events


def opened(event: Event) -> bool:
    return isinstance(event, PairOpened) and event.order.pair_id == "AAA_BBB"


def said(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Alarm) and "close-only" in event.message]


def test_a_changed_pair_keeps_what_its_trade_was_opened_with_and_is_close_only(config: Callable[..., Path]) -> None:
    path = config()
    first, _ = run(path, until=opened)
    (held,) = [one for one in first.open if one.pair_id == "AAA_BBB"]
    config(AAA_BBB={"hedge_ratio": 0.7, "stop_loss_z": 5.0})
    rest, events = run(path)
    (message,) = said(events)
    assert message.startswith("AAA_BBB is close-only, no more entries: its trade keeps what it was opened with")
    assert "stop_z None is now 5.0" in message and "hedge_ratio 0.8 is now 0.7" in message
    own = [trade for trade in rest.trades if trade.pair_id == "AAA_BBB"]
    assert [trade.entry_time for trade in own][-1] == held.entry_time
    assert len([trade for trade in rest.trades if trade.pair_id == "CCC_DDD"]) > 3


def test_a_pair_that_left_is_traded_to_its_end_and_not_entered_again(config: Callable[..., Path]) -> None:
    path = config()
    first, _ = run(path, until=opened)
    (held,) = [one for one in first.open if one.pair_id == "AAA_BBB"]
    config(AAA_BBB=None)
    shown = {one["pair_id"]: one["state"] for one in LiveTradingBot(path, environ={}).get_status()["pairs"]}
    assert shown["AAA_BBB"] == "open" and set(shown) == {"AAA_BBB", "CCC_DDD"}
    rest, events = run(path)
    assert said(events) == ["AAA_BBB is close-only, no more entries: the config names it no more"]
    own = [trade for trade in rest.trades if trade.pair_id == "AAA_BBB"]
    assert own[-1].entry_time == held.entry_time and own[-1].exit_reason in ("reversion", "stop", "half_life_timeout")


def test_a_pair_of_the_same_symbols_waits_until_the_kept_one_is_closed(config: Callable[..., Path]) -> None:
    path = config()
    run(path, until=opened)
    config(AAA_BBB={"pair_id": "NEW"})
    rest, events = run(path)
    assert said(events) == [
        "NEW is close-only, no more entries: it shares AAAUSDT, BBBUSDT with AAA_BBB, whose trade is open",
        "AAA_BBB is close-only, no more entries: the config names it no more",
    ]
    assert {trade.pair_id for trade in rest.trades} == {"AAA_BBB", "CCC_DDD"}


def test_a_lost_pair_of_which_nothing_was_written_is_asked_for(config: Callable[..., Path]) -> None:
    path = config()
    run(path, until=opened)
    file = Path("state/0001_mock.journal.sqlite")
    with Journal.open(file, bot_id="0001", mode="mock", account="simulated") as journal:
        journal.save_risk_state("pairs", {})
    config(AAA_BBB={"pair_id": "NEW"})
    with pytest.raises(JournalRefused, match="AAA_BBB .* is open, but the config does not name it so: put the pair"):
        run(path)


def test_another_formation_of_the_same_pair_changes_nothing(config: Callable[..., Path]) -> None:
    path = config()
    run(path, until=opened)
    config(AAA_BBB={"formation_start": "2023-01-01T00:00:00Z", "formation_end": "2023-03-01T00:00:00Z"})
    assert with_kept_pairs(load_config(path, environ={})).kept == {}


def test_without_an_open_trade_the_config_is_as_it_stands(config: Callable[..., Path]) -> None:
    path = config()
    assert with_kept_pairs(load_config(path, environ={})).kept == {}
    run(path)
    config(AAA_BBB={"hedge_ratio": 0.7})
    loaded = load_config(path, environ={})
    assert with_kept_pairs(loaded) == loaded
    with JournalReader.open(Path("state/0001_mock.journal.sqlite")) as journal:
        assert journal.risk_state("pairs")["AAA_BBB"]["hedge"]["ratio"] == 0.8


def test_a_file_without_pairs_lets_the_open_trade_be_seen_commanded_and_ended(
    config: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(CCC_DDD=None)
    run(path, until=opened)
    config(AAA_BBB=None, CCC_DDD=None)
    shown = {one["pair_id"]: one["state"] for one in LiveTradingBot(path, environ={}).get_status()["pairs"]}
    assert shown == {"AAA_BBB": "open"}
    assert control_command.close([str(path), "AAA_BBB"]) == 0
    assert control_command.close([str(path), "XXX_YYY"]) == 2
    assert "there is no pair XXX_YYY" in capsys.readouterr().err
    rest, events = run(path)
    assert said(events) == ["AAA_BBB is close-only, no more entries: the config names it no more"]
    assert rest.trades[-1].exit_reason == "closed_by_hand" and not rest.open
    with pytest.raises(InputError, match=r"pairs.json names no pair, and no trade is open: there is nothing to trade"):
        run(path)
    with pytest.raises(InputError, match="Scan again"):
        market_input(load_config(path, environ={}), DataChoice())


def test_a_bot_goes_on_with_the_trade_of_an_earlier_program(config: Callable[..., Path]) -> None:
    path = config(CCC_DDD=None)
    first, _ = run(path, until=opened)
    file = Path("state/0001_mock.journal.sqlite")
    with closing(sqlite3.connect(file)) as journal:
        for statement in (
            "ALTER TABLE runs DROP COLUMN opening_equity",
            "ALTER TABLE runs DROP COLUMN terms",
            "DROP TABLE wire_outcomes",
            "UPDATE meta SET schema_version = 3",
        ):
            journal.execute(statement)
        journal.commit()
    (found,) = check_journal(load_config(path, environ={}), {})
    assert not found.remedy and "of an earlier program: the start brings it forward" in found.message
    rest, _ = run(path)
    assert rest.trades[0].entry_time == first.open[0].entry_time
    assert file.with_name(f"{file.name}.bak-v3").exists()
