from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from brokers.broker_factory import BrokerUnavailable
from brokers.simulated.store import StoreError
from management.status_command import main
from pairs.words import PairState
from tests.trading.runs import CONFIGS, backtest, write_config
from trading.config.loader import ConfigError
from trading.events import Alarm, BarMarked, Event, OrderFailed, OrderSent, PairClosed, PairOpened
from trading.journal.errors import JournalBusy
from trading.journal.locks import WriterLock, is_held, lock_path
from trading.journal.reads import JournalReader
from trading.live_trading_bot import LiveTradingBot
from trading.market_input import InputError
from trading.records import RunResult
from trading.venues.opening import state_paths

SHORT = {"bars": 760, "seed": 7}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A quick market with trades."""
    return write_config(tmp_path, mock=SHORT, data={"lookback_bars": 200})


def bot_of(config: Path, **terms) -> LiveTradingBot:
    return LiveTradingBot(config, environ={}, **terms)


def stopped_at(bot: LiveTradingBot, event_kind: type, count: int = 1):
    """Run until the count-th event of a kind, then stop; the result and the events."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if sum(isinstance(one, event_kind) for one in events) == count and isinstance(event, event_kind):
            bot.stop()

    bot.add_listener(listen)
    return bot.run(), events


def reader(config: Path) -> JournalReader:
    return JournalReader.open(state_paths(bot_of(config).load())[0])


def nothing_is_left(config: Path, threads: set[threading.Thread]) -> None:
    journal, _ = state_paths(bot_of(config).load())
    assert set(threading.enumerate()) <= threads
    assert not is_held(lock_path(journal))


# what a bot is before it runs


def test_making_a_bot_and_asking_it_writes_nothing(short, folder):
    before = sorted(folder.rglob("*"))
    bot = bot_of(short)
    assert bot.get_status() == {}
    assert bot.load().bot_id == "0001"
    assert sorted(folder.rglob("*")) == before


def test_a_bare_name_is_the_shipped_config(monkeypatch):
    monkeypatch.chdir(CONFIGS.parents[1])
    assert LiveTradingBot("0001.json", environ={}).load().path.resolve() == (CONFIGS / "0001.json").resolve()


# a whole run


def test_the_shipped_run_ends_by_itself_and_its_numbers_add_up(folder):
    threads = set(threading.enumerate())
    bot = bot_of(CONFIGS / "0001.json")
    result = bot.run()
    assert len(result.trades) >= 5
    assert (bot.was_halted, bot.was_interrupted) == (False, False)
    assert result.mode == "mock" and result.config == "0001.json"
    assert result.uptime_s > 0 and result.bars == len(result.equity) + 500
    gained = sum(trade.pnl for trade in result.trades) + sum(one.unrealised for one in result.open)
    assert result.equity_end - result.equity_start == gained
    assert result.equity[-1][1] == pytest.approx(float(result.equity_end), abs=1e-6)
    with reader(CONFIGS / "0001.json") as journal:
        (run,) = journal.runs()
        assert (run.bars, run.signals) == (result.bars, result.signals) and run.ended is not None
        assert list(journal.trades(run.number)) == list(result.trades)
        assert len(journal.decisions(run.number)) >= 3 * len(result.equity) - 100
    nothing_is_left(CONFIGS / "0001.json", threads)


def test_the_status_tells_what_was_done_also_when_the_bot_is_gone(short):
    result = bot_of(short).run()
    status = bot_of(short).get_status()
    assert status["running"] is False
    assert status["bot_id"] == "0001"
    assert status["trades"] == {
        "closed": len(result.trades),
        "pnl": pytest.approx(float(sum(t.pnl for t in result.trades))),
    }
    assert status["broker_status"]["value"] == status["equity"] == pytest.approx(float(result.equity_end))
    assert status["data_feed_status"]["data_points"] == result.bars
    assert status["engine"]["total_signals"] == result.signals
    assert status["risk"]["breaker"] == "closed"
    assert status["monitoring"]["execution"]["orders"] == 4 * len(result.trades) + 2 * len(result.open)
    assert json.loads(json.dumps(status)) == status


def test_the_status_can_be_asked_while_the_bot_runs(short):
    seen: list[dict] = []

    def listen(event: Event) -> None:
        if isinstance(event, PairClosed) and not seen:
            seen.append(bot_of(short).get_status())

    bot = bot_of(short)
    bot.add_listener(listen)
    bot.run()
    assert seen[0]["running"] is True


def test_a_second_run_is_a_new_run_of_the_same_market(short):
    first, second = bot_of(short).run(), bot_of(short).run()
    assert [trade.pnl for trade in first.trades] == [trade.pnl for trade in second.trades]
    assert len(first.trades) >= 2
    with reader(short) as journal:
        assert [run.ended is None for run in journal.runs()] == [False, False]
        assert len(journal.trades()) == len(first.trades) + len(second.trades)


# stopping and going on


def test_a_stopped_bot_keeps_its_position_and_goes_on_as_if_it_had_never_stopped(short):
    stopped, _ = stopped_at(bot_of(short), PairOpened)
    assert len(stopped.open) == 1
    status = bot_of(short).get_status()
    assert (status["running"], status["positions"]["total_positions"]) == (False, 1)
    resumed = bot_of(short).run()
    whole = backtest(short)
    key = ("pair_id", "entry_time", "exit_time", "exit_reason", "direction")
    held = [tuple(getattr(trade, name) for name in key) for trade in resumed.trades]
    assert held == [tuple(getattr(trade, name) for name in key) for trade in whole.trades]
    assert resumed.bars == whole.bars
    assert [time for time, _ in resumed.equity] == [time for time, _ in whole.equity]
    with reader(short) as journal:
        assert len(journal.runs()) == 1


def test_on_shutdown_close_leaves_the_bot_flat(tmp_path):
    config = write_config(tmp_path, mock=SHORT, data={"lookback_bars": 200}, trading={"on_shutdown": "close"})
    result, events = stopped_at(bot_of(config), PairOpened)
    assert result.open == ()
    assert [trade.exit_reason for trade in result.trades] == ["shutdown"]
    with reader(config) as journal:
        assert {one.state for one in journal.positions().values()} == {PairState.FLAT}
        assert journal.runs()[0].ended is None


@pytest.mark.parametrize(
    "execution",
    [{}, {"slice_notional": 100.0, "slice_pause_s": 2.0}, {"order_type": "limit", "limit_offset_bps": 50.0}],
    ids=["at once", "in slices", "limit"],
)
def test_on_shutdown_close_waits_for_what_is_being_entered_and_closes_it(execution, tmp_path):
    terms = {"trading": {"on_shutdown": "close"}, "broker": {"latency_ms": 200}, "execution": execution}
    config = write_config(tmp_path, mock=SHORT, data={"lookback_bars": 200}, **terms)
    result, events = stopped_at(bot_of(config), OrderSent)
    assert result.open == ()
    assert {trade.exit_reason for trade in result.trades} <= {"shutdown"}
    assert not [event for event in events if isinstance(event, Alarm) and "not closed" in event.message]


def test_a_bot_stopped_before_it_runs_trades_nothing(short):
    bot = bot_of(short)
    bot.stop()
    result = bot.run()
    assert result.trades == ()


def test_counters_go_on_where_they_were(short):
    stopped, _ = stopped_at(bot_of(short), PairClosed)
    resumed = bot_of(short).run()
    whole = backtest(short)
    assert 0 < stopped.signals < resumed.signals == whole.signals
    assert resumed.bars_in_position == whole.bars_in_position


# faults on the way


def test_an_unwound_entry_does_not_block_its_pair_for_ever(tmp_path):
    """The first entry fails half-way; the pair must trade again afterwards."""
    faults = [{"kind": "partial_fill", "symbol": "ETHUSDT", "at": 1, "times": 3, "fill_ratio": 0.3}]
    config = write_config(tmp_path, mock=SHORT, data={"lookback_bars": 200}, broker={"faults": faults})
    events: list[Event] = []
    bot = bot_of(config)
    bot.add_listener(events.append)
    result = bot.run()
    reasons = [event.reason for event in events if isinstance(event, OrderFailed)]
    assert reasons[0] in ("unwound:partial_fill:0.30", "unwound:hedge_failed")
    eth = [trade.exit_reason for trade in result.trades if trade.pair_id == "ETH_BTC"]
    assert eth[0].startswith("unwound:") and len(eth) > 1


def test_faults_at_random_never_leave_the_books_apart(tmp_path):
    faults = [{"kind": kind, "rate": 0.08, "times": 1000} for kind in
              ("reject", "timeout_before_execution", "timeout_after_execution", "partial_fill")]  # fmt: skip
    config = write_config(
        tmp_path, mock=SHORT, data={"lookback_bars": 200}, broker={"faults": faults, "latency_ms": 150}
    )
    held: dict[str, object] = {}

    @contextmanager
    def look(path):
        yield
        held["books"] = [
            (path.floor.ledger.net(s), path.venue._exchange.venue.account.ledger.amount(s))
            for s in path.session.symbols
        ]

    result = bot_of(config).run(showing=look)
    assert result.trades
    assert all(ours == theirs for ours, theirs in held["books"])


def failing_rule(folder: Path, monkeypatch: pytest.MonkeyPatch, method: str, body: str) -> Path:
    """The shipped entry rule; one method does something else first. ``calls`` counts over all its lives."""
    (folder / "broken_rules.py").write_text(
        "from mixins.zscore import ZScoreEntryMixin\n"
        "calls = 0\n"
        "class BrokenEntryMixin(ZScoreEntryMixin):\n"
        f"    def {method}(self, *values, **named):\n"
        "        global calls\n"
        "        calls += 1\n"
        f"        {body}\n"
        f"        return super().{method}(*values, **named)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "broken_rules", raising=False)
    return write_config(
        folder,
        mock=SHORT,
        data={"lookback_bars": 200},
        strategy={"entry_logic": {"name": "broken_rules:BrokenEntryMixin"}},
    )


def run_and_listen(config: Path) -> tuple[LiveTradingBot, RunResult, list[str]]:
    alarms: list[str] = []
    bot = bot_of(config)
    bot.add_listener(lambda event: alarms.append(event.message) if isinstance(event, Alarm) else None)
    return bot, bot.run(), alarms


def test_a_rule_that_fails_now_and_then_begins_anew_and_the_run_goes_on(tmp_path, monkeypatch):
    body = "if calls in (100, 105): raise ZeroDivisionError('a rule of mine')"
    config = failing_rule(tmp_path, monkeypatch, "decide", body)
    bot, result, alarms = run_and_listen(config)
    failures = [alarm.split("; ")[:2] for alarm in alarms if "strategy failed" in alarm]
    assert failures == [
        ["the strategy failed: ZeroDivisionError('a rule of mine')", f"it begins anew ({number} of 3 within a day)"]
        for number in (1, 2)
    ]
    whole = backtest(write_config(tmp_path, name="whole.json", mock=SHORT, data={"lookback_bars": 200}))
    assert not bot.was_halted
    assert (result.bars, result.end) == (whole.bars, whole.end)
    ours = {(trade.pair_id, trade.entry_time, trade.exit_time) for trade in result.trades}
    theirs = {(trade.pair_id, trade.entry_time, trade.exit_time) for trade in whole.trades}
    assert len(ours & theirs) >= len(theirs) - 4, "a failure costs the decisions of one bar"
    assert "a rule of mine" in Path("logs/errors.log").read_text(encoding="utf-8")


def test_a_rule_that_always_fails_leaves_its_pairs_to_the_engine(tmp_path, monkeypatch):
    """It opens pairs, then fails for good: they are held, and left by their stops and by the risk limits alone."""
    config = failing_rule(tmp_path, monkeypatch, "decide", "if calls > 180: raise ZeroDivisionError('for good')")
    bot, result, alarms = run_and_listen(config)
    assert len([alarm for alarm in alarms if "strategy failed" in alarm]) == 4
    assert any(alarm.endswith("Mend the rule, start the bot again, then `tandem resume CONFIG`") for alarm in alarms)
    assert bot.was_halted
    assert result.bars == backtest(write_config(tmp_path, name="whole.json", mock=SHORT)).bars, "to the market's end"
    failed = next(time for time, reason in result.risk_trips if reason == "strategy_failed")
    later = [trade for trade in result.trades if trade.exit_time > failed]
    assert later or result.open, "something was open"
    assert {trade.exit_reason for trade in later} <= {"stop", "stop_loss", "take_profit"}
    assert all(trade.entry_time <= failed for trade in (*result.trades, *result.open))


def test_failures_of_former_days_are_forgotten(tmp_path, monkeypatch):
    body = "if calls % 120 == 0: raise ZeroDivisionError('a rule of mine')"  # less often than once a day
    bot, _, alarms = run_and_listen(failing_rule(tmp_path, monkeypatch, "decide", body))
    failures = [alarm.split("; ")[1] for alarm in alarms if "strategy failed" in alarm]
    assert len(failures) > 4 and set(failures) == {"it begins anew (1 of 3 within a day)"} and not bot.was_halted


def test_a_rule_that_says_exit_ends_no_bot(tmp_path, monkeypatch):
    bot, result, alarms = run_and_listen(failing_rule(tmp_path, monkeypatch, "decide", "if calls == 100: exit(5)"))
    assert [alarm.split(";")[0] for alarm in alarms if "strategy failed" in alarm] == [
        "the strategy failed: SystemExit(5)"
    ]
    assert result.trades and not bot.was_halted


@pytest.mark.parametrize(
    "raised", ["BaseException('odd')", "GeneratorExit()", "asyncio.CancelledError()", "KeyboardInterrupt()"]
)
def test_a_rule_that_raises_what_ends_others_ends_no_bot(raised, tmp_path, monkeypatch):
    body = f"import asyncio\n        if calls == 100: raise {raised}"
    bot, result, alarms = run_and_listen(failing_rule(tmp_path, monkeypatch, "decide", body))
    told = [alarm.split(";")[0] for alarm in alarms if "strategy failed" in alarm]
    assert told == [f"the strategy failed: {raised.removeprefix('asyncio.')}"]
    assert result.trades and not bot.was_halted


def test_a_secret_that_a_rule_lets_slip_is_in_no_log(tmp_path, monkeypatch):
    canary = "canary-0123456789-canary"
    body = f"if calls == 100: raise ZeroDivisionError('signed with {canary}')"
    config = failing_rule(tmp_path, monkeypatch, "decide", body)
    LiveTradingBot(config, environ={"BINANCE_API_SECRET": canary}).run()
    texts = {path: path.read_text(encoding="utf-8") for path in Path("logs").rglob("*") if path.is_file()}
    assert "signed with" in texts[Path("logs/errors.log")]
    assert [path for path, text in texts.items() if canary in text] == []


def test_a_journal_that_somebody_else_writes_to_for_a_while_ends_no_run(short):
    """A backup, or a browser of SQLite files: nothing more is opened, everything else goes on."""
    bot, alarms, holding = bot_of(short), [], threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, Alarm):
            alarms.append(event.message)
        if isinstance(event, PairOpened) and not holding.is_set():
            threading.Thread(target=hold_journal, args=(state_paths(bot.load())[0], holding)).start()
            holding.wait(10.0)

    bot.add_listener(listen)
    result = bot.run()
    assert [alarm for alarm in alarms if alarm.startswith("nothing more is sent")]
    assert not [alarm for alarm in alarms if "broke" in alarm]
    assert bot.was_halted and not result.open
    assert result.end == backtest(short).end


def hold_journal(path: Path, holding: threading.Event) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        holding.set()
        time.sleep(8.0)
        other.execute("ROLLBACK")


def test_a_rule_that_cannot_be_made_ends_the_run_and_lets_go_of_everything(tmp_path, monkeypatch):
    config = failing_rule(tmp_path, monkeypatch, "__init__", "raise ZeroDivisionError('a rule of mine')")
    threads = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError, match="a rule of mine"):
        bot_of(config).run()
    nothing_is_left(config, threads)
    assert "a rule of mine" in Path("logs/errors.log").read_text(encoding="utf-8")


# wrong input leaves nothing open


def test_a_broker_that_cannot_run_is_told_and_leaves_nothing(tmp_path):
    config = write_config(tmp_path, broker={"type": "ibkr"}, data={"data_source": "ibkr"})
    threads = set(threading.enumerate())
    with pytest.raises(BrokerUnavailable, match='"ibkr" cannot be run yet'):
        bot_of(config).run()
    nothing_is_left(config, threads)
    assert not Path("state").exists()


def test_missing_data_are_told_and_leave_nothing(tmp_path):
    config = write_config(tmp_path, data={"data_source": "replay"})
    threads = set(threading.enumerate())
    with pytest.raises(InputError, match="--data DIR"):
        bot_of(config).run()
    nothing_is_left(config, threads)


def test_a_wrong_config_is_told_before_anything_is_opened(tmp_path):
    config = write_config(tmp_path, trading={"max_positions": 0})
    with pytest.raises(ConfigError, match="max_positions"):
        bot_of(config).run()
    assert not Path("state").exists()


def test_a_second_process_on_the_same_journal_is_refused(short):
    journal, _ = state_paths(bot_of(short).load())
    threads = set(threading.enumerate())
    lock = WriterLock(lock_path(journal))
    try:
        with pytest.raises(JournalBusy, match="one bot writes one journal"):
            bot_of(short).run()
        assert set(threading.enumerate()) <= threads
    finally:
        lock.release()
    assert bot_of(short).run().trades


def test_the_market_of_another_seed_does_not_continue_a_run(short, tmp_path):
    stopped_at(bot_of(short), PairOpened)
    threads = set(threading.enumerate())
    other = write_config(tmp_path, mock={**SHORT, "seed": 8}, data={"lookback_bars": 200})
    with pytest.raises(StoreError, match="another market"):
        bot_of(other).run()
    nothing_is_left(other, threads)


def test_a_second_run_resumes_with_its_own_fills_only(short):
    """A new run of the mock market plays the same times again: references repeat, money must not."""
    whole = bot_of(short).run()
    for _ in range(3):
        stopped_at(bot_of(short), PairOpened)
    resumed = bot_of(short).run()
    assert resumed.trades == whole.trades
    assert resumed.equity == whole.equity
    assert (resumed.bars, resumed.bars_in_position) == (whole.bars, whole.bars_in_position)


def test_an_exchange_file_that_is_gone_is_not_made_anew_beside_an_old_journal(short):
    bot_of(short).run()
    _, exchange = state_paths(bot_of(short).load())
    exchange.unlink()
    with pytest.raises(StoreError, match="move the journal away too"):
        bot_of(short).run()
    assert not exchange.exists()


def test_a_position_that_somebody_closed_meanwhile_halts_the_bot(short, capsys):
    stopped, _ = stopped_at(bot_of(short), PairOpened)
    _, exchange = state_paths(bot_of(short).load())
    symbol = stopped.open[0].legs[0].symbol
    connection = sqlite3.connect(exchange)
    connection.execute("DELETE FROM positions WHERE symbol = ?", (symbol,))
    connection.commit()
    connection.close()
    events: list[Event] = []
    bot = bot_of(short)
    bot.add_listener(events.append)
    bot.run()
    assert bot.was_halted
    assert not any(isinstance(event, PairOpened) for event in events)
    status = bot_of(short).get_status()
    assert (status["risk"]["breaker"], status["risk"]["risk_violations"]) == ("halted", ["ledger_mismatch"])
    assert [told.partition(": the journal holds ")[0] for told in status["differences"]] == [symbol]
    assert main([str(short)]) == 0
    assert f"at the start, {symbol}: the journal holds" in capsys.readouterr().out


def test_a_start_after_a_halt_says_why_nothing_is_opened_and_what_to_do(short):
    stopped, _ = stopped_at(bot_of(short), PairOpened)
    _, exchange = state_paths(bot_of(short).load())
    with closing(sqlite3.connect(exchange)) as connection:
        connection.execute("DELETE FROM positions WHERE symbol = ?", (stopped.open[0].legs[0].symbol,))
        connection.commit()
    stopped_at(bot_of(short), BarMarked)
    _, events = stopped_at(bot_of(short), BarMarked)
    alarms = [event.message for event in events if isinstance(event, Alarm)]
    (why,) = [alarm for alarm in alarms if "halted since" in alarm]
    assert why.endswith("(ledger_mismatch): nothing is opened until a person resumes: `tandem resume CONFIG`")


def test_a_run_in_accelerated_time_works_as_well(tmp_path):
    config = write_config(tmp_path, mock={"bars": 260, "speed": 400_000}, data={"lookback_bars": 200})
    begun = time.monotonic()
    result = bot_of(config).run()
    assert result.bars == len(result.equity) + 200
    assert time.monotonic() - begun < 30


def test_a_bar_is_told_once_in_order(short):
    times = []
    bot = bot_of(short)
    bot.add_listener(lambda event: times.append(event.time) if isinstance(event, BarMarked) else None)
    bot.run()
    assert times == sorted(set(times))
