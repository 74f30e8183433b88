"""What a bot answers from afar, from its files alone, whether it runs or not."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from notifications.bot_desk import Answer, Deed, NotTaken, Outcome, Topic, Wish
from tests.trading.journal.journal_samples import open_journal
from tests.trading.runs import write_config
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.control.command_queue import CommandQueue, CommandState, Verb
from trading.control.paths import control_paths
from trading.events import Event, PairOpened
from trading.journal.reads import JournalReader
from trading.live.spreads import LIVE_KEY
from trading.live_trading_bot import LiveTradingBot
from trading.records import RunResult
from trading.secret_text import Redactor
from trading.telling.answers import pair_answer
from trading.telling.desk import JournalDesk
from trading.venues.opening import state_paths

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "a-secret-in-a-log-line"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A folder in which a bot ran, closed some trades, and was stopped with an open pair."""
    folder = tmp_path_factory.mktemp("ran")
    path = write_config(
        folder,
        mock={"bars": 900, "seed": 7},
        data={"lookback_bars": 200},
        strategy={"entry_logic": {"params": {"e_entry_z": 1.2, "e_min_edge": 0.0}}},
    )
    bot, opened = LiveTradingBot(path, environ={}), []

    def listen(event: Event) -> None:
        if isinstance(event, PairOpened):
            opened.append(event.order.pair_id)
            if len(opened) == 4:
                bot.stop()

    bot.add_listener(listen)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = bot.run()
    assert result.trades and result.open
    return folder, result


@pytest.fixture
def config(ran: tuple[Path, RunResult], monkeypatch: pytest.MonkeyPatch) -> LoadedConfig:
    monkeypatch.chdir(ran[0])
    return load_config(ran[0] / "test.json", environ={})


@pytest.fixture
def desk(config: LoadedConfig) -> JournalDesk:
    return JournalDesk(config, redact=Redactor([SECRET]))


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JournalDesk:
    """Of a bot that has never run."""
    monkeypatch.chdir(tmp_path)
    return JournalDesk(load_config(write_config(tmp_path), environ={}), redact=str)


@pytest.fixture
def apart(config: LoadedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the journal, to be spoiled, in a folder of its own; its path."""
    path, _ = state_paths(config)
    with closing(sqlite3.connect(path)) as source:
        monkeypatch.chdir(tmp_path)
        path.parent.mkdir()
        with closing(sqlite3.connect(path)) as target:
            source.backup(target)
    yield path


def ask(desk: JournalDesk, topic: Topic, argument: str = "") -> Answer:
    return desk.ask(topic, argument, NOW)


def told(answer: Answer) -> str:
    return "\n".join((answer.title, *answer.lines))


def wish(deed: Deed, pair_id: str | None = None) -> Wish:
    return Wish(deed, pair_id, "a test", "anna")


# questions


def test_the_status_has_equity_breaker_limits_and_feeds(desk, ran):
    text = told(ask(desk, Topic.STATUS))
    assert text.startswith("0001 on mock, not running\nequity ")
    held = [position.pair_id for position in ran[1].open]
    assert "breaker closed" in text and f"max_positions {len(held)} of 5" in text and "BTCUSDT not running" in text
    assert all(pair_id in text.partition("open: ")[2].partition("\n")[0] for pair_id in held)


def test_every_pair_is_listed_and_one_told_with_its_legs(desk, config, ran):
    listed = ask(desk, Topic.PAIRS)
    assert listed.is_table and listed.lines[0].split() == ["pair", "state", "z"]
    assert [line.split()[0] for line in listed.lines[1:]] == [pair.pair_id for pair in config.pairs]
    held = ran[1].open[0]
    answer = ask(desk, Topic.PAIR, held.pair_id.lower())
    assert answer.title == f"{held.pair_id}: open"
    for leg in held.legs:
        assert any(f"{leg.symbol} {leg.quantity:+f}" in line for line in answer.lines)
    assert any(line.startswith(f"{held.direction} since") for line in answer.lines)


def test_a_running_bots_pair_is_told_with_its_z_between_bars(tmp_path):
    pair = {"pair_id": "ETH_BTC", "state": "flat", "z": 1.0, "legs": []}
    with open_journal(tmp_path / "j.sqlite") as journal:
        live = {"time": "2024-01-03T01:30:05+00:00", "z": 3.21, "spread": 0.01}
        journal.save_risk_state(LIVE_KEY, {"ETH_BTC": live})
        running, stopped = (
            pair_answer({"running": is_running, "pairs": [pair]}, journal, "ETH_BTC").lines
            for is_running in (True, False)
        )
    assert running[:2] == ("z +1.00", "z +3.21 at the prices of 01:30:05 UTC")
    assert not any("prices" in line for line in stopped)


def test_profit_and_its_parts_are_those_of_the_trades(desk, ran):
    trades = ran[1].trades
    answer = ask(desk, Topic.PROFIT)
    assert answer.title == f"Profit {sum(trade.pnl for trade in trades):+,.2f}"
    assert f"fees {sum(trade.pnl_fees for trade in trades):+,.2f}" in answer.lines[0]
    assert answer.lines[2].startswith(f"{len(trades)} trades, ")


def test_the_days_add_up_to_the_profit(desk, ran):
    answer = ask(desk, Topic.DAILY, "60")
    rows = [line.split() for line in answer.lines[1:]]
    assert len(rows) == 60 and sum(int(count) for _, count, _ in rows) == len(ran[1].trades)
    total = sum(float(profit.replace(",", "")) for _, _, profit in rows)
    assert total == pytest.approx(float(sum(trade.pnl for trade in ran[1].trades)), abs=0.05)
    assert rows[0][0] == f"{ran[1].end:%Y-%m-%d}"
    assert len(ask(desk, Topic.DAILY).lines) == 8


def test_the_last_trades_come_newest_first(desk, ran):
    trades = ran[1].trades
    lines = ask(desk, Topic.TRADES, "2").lines
    assert [line.split()[0] for line in lines] == [trade.pair_id for trade in reversed(trades[-2:])]
    assert f"{trades[-1].exit_reason}: {trades[-1].pnl:+,.2f}" in lines[0]


def test_the_balance_is_the_runs(desk, ran):
    assert ask(desk, Topic.BALANCE).title == f"Equity {ran[1].equity_end:,.2f}"


@pytest.mark.parametrize("wanted", ["{pair}", "{lower}", "{number}", "", "{pair}@{time}"])
def test_why_tells_each_step_of_a_trade(desk, ran, wanted):
    number, trade = len(ran[1].trades), ran[1].trades[-1]
    time = f"{trade.entry_time:%Y-%m-%dT%H:%MZ}"
    argument = wanted.format(pair=trade.pair_id, lower=trade.pair_id.lower(), number=number, time=time)
    answer = ask(desk, Topic.WHY, argument)
    assert answer.title.startswith(f"trade {number}: {trade.pair_id}, run 1")
    assert f"left: {trade.exit_reason}; {trade.pnl:+,.2f} after fees and funding" in answer.lines[0]
    kinds = {line.split()[2] for line in answer.lines[1:]}
    assert {"intent", "fill", "risk", "result"} <= kinds


def test_config_and_version_name_their_fingerprint(desk, config):
    answer = ask(desk, Topic.CONFIG)
    assert answer.title == f"{config.name}, {config.sha256[:12]}"
    assert json.loads("\n".join(answer.lines))["broker"]["type"] == "mock"
    assert config.sha256 in told(ask(desk, Topic.VERSION))


def test_logs_are_the_last_lines_without_secrets(desk, config):
    path = Path(config.model.logging.log_file)
    with path.open("a") as log:
        log.write(f"a line with {SECRET}\n")
    answer = ask(desk, Topic.LOGS, "3")
    assert len(answer.lines) == 3 and answer.lines[-1] == "a line with ***"
    with path.open("ab") as log:
        log.write(b"x" * 200_000 + b"\n\xff\xfe broken\n")
    assert [line[-6:] for line in ask(desk, Topic.LOGS).lines] == ["broken"]


@pytest.mark.parametrize("pair_id", ["", "X_Y", "'; DROP TABLE trades", "x" * 5000])
def test_a_pair_that_is_not_there_is_a_sentence(desk, pair_id):
    assert ask(desk, Topic.PAIR, pair_id).title.startswith("There is no pair")


@pytest.mark.parametrize(
    "wanted", ["X_Y", "999", "²", "@", "ETH_BTC@then", "ETH_BTC@2001-01-01", "'; DROP TABLE trades"]
)
def test_a_trade_that_is_not_there_is_a_sentence(desk, wanted):
    title = ask(desk, Topic.WHY, wanted).title
    assert title.startswith(("there is no trade", "'then' is no time"))


@pytest.mark.parametrize("topic", [Topic.DAILY, Topic.TRADES, Topic.LOGS])
@pytest.mark.parametrize("argument", ["0", "-1", "many", "1e3", "²", "1 2"])
def test_a_number_that_is_none_is_a_sentence(desk, topic, argument):
    assert ask(desk, topic, argument).title.startswith("A number from 1 to")


@pytest.mark.parametrize("topic", list(Topic))
def test_a_bot_that_has_never_run_says_so(empty, topic):
    text = told(ask(empty, topic, "" if topic in (Topic.DAILY, Topic.TRADES, Topic.LOGS) else "ETH_BTC"))
    assert topic in (Topic.CONFIG, Topic.VERSION) or "no journal" in text or "no log" in text or "no pair" in text
    assert not Path("state").exists()


@pytest.mark.parametrize("topic", [Topic.STATUS, Topic.PROFIT, Topic.WHY, Topic.DAILY])
def test_a_damaged_journal_is_a_sentence(config, apart, topic):
    apart.write_bytes(b"no journal" * 1000)
    desk = JournalDesk(config, redact=str)
    answer = ask(desk, topic, "" if topic is Topic.DAILY else config.pairs[0].pair_id)
    assert answer.title == "That cannot be read now" and "journal" in answer.lines[0]


def test_a_journal_that_somebody_holds_is_a_sentence(config, apart, monkeypatch):
    monkeypatch.setattr("trading.journal.file.sqlite3.connect", partial(sqlite3.connect, timeout=0.05))
    with closing(sqlite3.connect(apart)) as holder:
        holder.execute("PRAGMA journal_mode = DELETE")
        holder.execute("BEGIN EXCLUSIVE")
        answer = ask(JournalDesk(config, redact=str), Topic.PROFIT)
    assert answer.title == "That cannot be read now" and "locked" in answer.lines[0]


def test_an_answer_from_a_long_journal_comes_within_two_seconds(config, apart):
    """A year of hours for fifty pairs."""
    with closing(sqlite3.connect(apart)) as journal:
        (run,) = journal.execute("SELECT MAX(number) FROM runs").fetchone()
        rows = (
            (run, "2024-01-01T00:00:00Z", f"P{number % 50}", 1.0, 1.0, 1.0, "hold", "", "z")
            for number in range(438_000)
        )
        journal.executemany(
            "INSERT INTO decisions (run, time, pair_id, spread, zscore, hedge_ratio, answer, reason, rule) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        journal.commit()
    desk = JournalDesk(config, redact=str)
    for topic in (Topic.STATUS, Topic.PAIR, Topic.WHY):
        begun = time.process_time()
        assert ask(desk, topic, config.pairs[0].pair_id).lines
        assert time.process_time() - begun < 2.0, topic


# commands


def test_a_command_is_in_the_queue_with_who_gave_it(desk, config):
    given = desk.give(wish(Deed.CLOSE, config.pairs[0].pair_id))
    assert "is not running" in given.sentence and "within 60 minutes" in given.sentence
    with CommandQueue(control_paths(config).commands) as queue:
        command = queue.command(given.number)
        assert (command.verb, command.pair_id) == (Verb.CLOSE, config.pairs[0].pair_id)
        assert (command.reason, command.given_by, command.state) == ("a test", "anna", CommandState.WAITING)
        assert desk.outcome(given.number) is None
        queue.end(command, CommandState.DONE, f"closed {SECRET}")
        assert desk.outcome(given.number) == Outcome(True, "closed ***")
        queue.end(command, CommandState.DROPPED, "too old")
        assert desk.outcome(given.number) == Outcome(False, "dropped: too old")


@pytest.mark.parametrize("deed", list(Deed))
def test_every_deed_is_a_verb_of_the_bots(desk, config, deed):
    given = desk.give(wish(deed, config.pairs[0].pair_id if deed is Deed.CLOSE else None))
    with CommandQueue(control_paths(config).commands) as queue:
        assert queue.command(given.number).verb.value == deed.value
        assert queue.command(given.number).verb.is_safe_when_late is deed.is_taken_late
        queue.end(queue.command(given.number), CommandState.DROPPED, "")


def test_a_pair_is_known_in_any_case_and_an_unknown_one_is_not_taken(desk, config):
    pair_id = config.pairs[0].pair_id
    assert desk.examine(wish(Deed.CLOSE, pair_id.lower())) == wish(Deed.CLOSE, pair_id)
    assert desk.examine(wish(Deed.FLATTEN)) == wish(Deed.FLATTEN)
    with pytest.raises(NotTaken, match="There is no pair X_Y"):
        desk.examine(wish(Deed.CLOSE, "X_Y"))


def test_a_queue_that_cannot_be_used_takes_nothing_and_says_so(config, apart):
    control_paths(config).commands.write_bytes(b"no database" * 500)
    desk = JournalDesk(config, redact=str)
    for act in (lambda: desk.give(wish(Deed.HALT)), lambda: desk.outcome(1)):
        with pytest.raises(NotTaken, match="cannot be"):
            act()


def test_the_desk_reads_and_never_writes_the_journal(desk, config):
    path, _ = state_paths(config)
    before = path.read_bytes()
    for topic in Topic:
        ask(desk, topic, config.pairs[0].pair_id if topic in (Topic.PAIR, Topic.WHY) else "")
    assert path.read_bytes() == before
    with JournalReader.open(path) as journal:
        assert journal.runs()[-1].ended is None


def test_an_open_trades_own_terms_are_known_though_the_config_has_lost_its_pair(desk, config, ran):
    """Its pair is kept, and may be closed."""
    held = ran[1].open[0].pair_id
    others = tuple(pair for pair in config.pairs if pair.pair_id != held)
    changed = JournalDesk(replace(config, pairs=others), redact=str)
    assert changed.examine(wish(Deed.CLOSE, held)).pair_id == held
