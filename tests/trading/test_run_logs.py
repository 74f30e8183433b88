"""A run's log files: what is in them, what never is, and that they never cost the caller anything."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.trading.journal.journal_samples import START, a_trade, an_intent
from trading.journal.words import IntentState
from trading.reports.rows import trade_row
from trading.run_logs import LogPlan, PatientHandler, RunLogs, order_line, trade_line

log = logging.getLogger("trading.engine")


def plan(folder: Path, **changes: Any) -> LogPlan:
    base = LogPlan(
        log_file=folder / "logs/live/bot.log",
        json_dir=folder / "logs/json",
        error_file=folder / "logs/errors.log",
        equity_file=folder / "logs/equity_0001.csv",
        save_equity_curve=True,
    )
    return replace(base, **changes)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[RunLogs]:
    with RunLogs(plan(tmp_path)) as opened:
        yield opened


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(path)]


def test_a_line_is_time_level_name_event(logs: RunLogs, tmp_path: Path) -> None:
    log.info("leg_filled pair=%s amount=%s", "ETH_BTC", 1.5)
    log.debug("not asked for")
    (line,) = lines(tmp_path / "logs/live/bot.log")
    time, rest = line.split(" ", 1)
    assert rest == "INFO trading.engine leg_filled pair=ETH_BTC amount=1.5"
    assert len(time) == 24 and time[10] == "T" and time.endswith("Z")


def test_log_times_are_utc(logs: RunLogs, tmp_path: Path) -> None:
    record = log.makeRecord(log.name, logging.INFO, __file__, 1, "event", (), None)
    record.created, record.msecs = 1_704_067_200.25, 250.0
    log.handle(record)
    assert lines(tmp_path / "logs/live/bot.log")[0].startswith("2024-01-01T00:00:00.250Z ")


def test_a_line_stays_one_line(logs: RunLogs, tmp_path: Path) -> None:
    log.warning("exchange_said text=%s", "no\n2024-01-01 INFO forged line\r\n")
    assert len(lines(tmp_path / "logs/live/bot.log")) == 1


def test_errors_have_a_file_of_their_own_with_tracebacks(logs: RunLogs, tmp_path: Path) -> None:
    log.warning("only_a_warning")
    try:
        raise ValueError("price was NaN")
    except ValueError:
        log.exception("decision_failed pair=ETH_BTC")
    text = (tmp_path / "logs/errors.log").read_text()
    assert "ERROR trading.engine decision_failed pair=ETH_BTC\nTraceback" in text
    assert text.rstrip().endswith("ValueError: price was NaN") and "only_a_warning" not in text
    assert len(lines(tmp_path / "logs/live/bot.log")) == 2


def test_no_errors_leave_no_error_file(logs: RunLogs, tmp_path: Path) -> None:
    log.info("quiet")
    assert not (tmp_path / "logs/errors.log").exists()


def test_trades_are_json_lines(logs: RunLogs, tmp_path: Path) -> None:
    for number in range(2):
        logs.trade(a_trade(number))
    assert json_lines(tmp_path / "logs/json/trades.json") == [trade_row(a_trade(0)), trade_row(a_trade(1))]
    assert trade_line(a_trade())["pnl"] == pytest.approx(57.89247)


def test_orders_are_json_lines(logs: RunLogs, tmp_path: Path) -> None:
    logs.order(an_intent(), time=START)
    logs.order(an_intent(state=IntentState.DONE), time=START, order_id="77")
    first, last = json_lines(tmp_path / "logs/json/orders.json")
    assert (first["state"], first["order_id"], first["amount"], first["average"]) == ("INTENT", None, 1.23, None)
    assert (last["state"], last["order_id"], last["side"], last["time"]) == (
        "DONE",
        "77",
        "buy",
        "2024-01-01T00:00:00Z",
    )
    assert order_line(an_intent(), time=START) == first


def test_lines_are_added_to_those_of_earlier_runs(tmp_path: Path) -> None:
    for number in range(2):
        with RunLogs(plan(tmp_path)) as logs:
            logs.trade(a_trade(number))
            logs.equity(START, 10_000.0 + number)
    assert len(json_lines(tmp_path / "logs/json/trades.json")) == 2
    assert lines(tmp_path / "logs/equity_0001.csv") == [
        "time,equity",
        "2024-01-01T00:00:00Z,10000.0",
        "2024-01-01T00:00:00Z,10001.0",
    ]


def test_what_was_not_asked_for_is_not_written(tmp_path: Path) -> None:
    with RunLogs(plan(tmp_path, save_trades=False, save_equity_curve=False)) as logs:
        logs.trade(a_trade())
        logs.order(an_intent(), time=START)
        logs.equity(START, 1.0)
    assert not (tmp_path / "logs").exists()


def test_files_rotate_and_the_oldest_go(tmp_path: Path) -> None:
    with RunLogs(plan(tmp_path, max_mb=0.001, backups=2)) as logs:
        for number in range(100):
            log.info("event number=%d filling=%s", number, "x" * 60)
            logs.equity(START, float(number))
    names = sorted(path.name for path in (tmp_path / "logs/live").iterdir())
    assert names == ["bot.log", "bot.log.1", "bot.log.2"]
    curves = sorted((tmp_path / "logs").glob("equity_0001.csv*"))
    assert len(curves) == 3 and all(lines(path)[0] == "time,equity" for path in curves)
    assert "number=99 " in lines(tmp_path / "logs/live/bot.log")[-1]


CANARY = "c4n4ry/Value+With=Signs"
TOKEN = "bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


def test_secrets_are_in_no_file(tmp_path: Path) -> None:
    with RunLogs(plan(tmp_path, level="DEBUG"), secrets=(CANARY, "")) as logs:
        log.debug("arguments %s", {"key": CANARY})
        log.info("GET https://api/fapi/v1/order?x=1&signature=deadbeef99&y=%s", "c4n4ry%2FValue%2BWith%3DSigns")
        log.info("headers={'X-MBX-APIKEY': 'headerkey77', 'a': 'b'} apiKey=plainkey88 password: 'hunter2zz'")
        log.info("POST https://api.telegram.org/%s/sendMessage", TOKEN)
        logging.getLogger("httpx").info("httpx_info %s", TOKEN)
        logging.getLogger("ccxt.base.exchange").debug("ccxt_debug")
        try:
            raise RuntimeError(f"GET ?signature=deadbeef99 {CANARY}")
        except RuntimeError:
            log.exception("read_failed")
        logs.trade(a_trade(exit_reason=f"manual {CANARY}"))
    text = "".join(path.read_text() for path in (tmp_path / "logs").rglob("*") if path.is_file())
    leaks = [
        CANARY,
        "c4n4ry%2F",
        "deadbeef99",
        "headerkey77",
        "plainkey88",
        "hunter2zz",
        TOKEN[3:],
        "httpx_info",
        "ccxt_d",
    ]
    assert [leak for leak in leaks if leak in text] == []
    assert "signature=***&y=***" in text and "/bot***/sendMessage" in text and "'a': 'b'" in text
    assert json_lines(tmp_path / "logs/json/trades.json")[0]["exit_reason"] == "manual ***"


def test_closing_leaves_logging_as_it_was(tmp_path: Path) -> None:
    root, httpx = logging.getLogger(), logging.getLogger("httpx")
    before = (list(root.handlers), root.level, httpx.level)
    known = set(logging.Logger.manager.loggerDict)
    logs = RunLogs(plan(tmp_path, level="DEBUG"))
    assert (root.level, httpx.level) == (logging.DEBUG, logging.WARNING) and len(root.handlers) == len(before[0]) + 2
    log.info("inside")
    logs.close()
    logs.close()
    assert (list(root.handlers), root.level, httpx.level) == before
    log.error("outside")
    assert len(lines(tmp_path / "logs/live/bot.log")) == 1
    assert set(logging.Logger.manager.loggerDict) - known <= {"httpx", "httpcore", "ccxt", "telegram"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full.log").symlink_to("/dev/full")
    with RunLogs(plan(tmp_path, log_file=tmp_path / "full.log")) as logs:
        for number in range(50):
            log.error("event number=%d", number)
        assert logs.lost_lines == 50
        assert len(lines(tmp_path / "logs/errors.log")) == 50
    told = capsys.readouterr().err
    assert told.count("log_unwritable") == 1 and "No space left" in told and "Traceback" not in told


def test_a_disk_that_has_room_again_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    with RunLogs(plan(tmp_path)) as logs:
        log.info("lost")
        logs.trade(a_trade())
        logs.equity(START, 1.0)
        assert logs.lost_lines == 3
        (tmp_path / "logs").unlink()
        log.info("found")
    assert "found" in lines(tmp_path / "logs/live/bot.log")[0]


def test_a_failed_rotation_costs_nothing_but_its_line(tmp_path: Path) -> None:
    (tmp_path / "logs/live/bot.log.1/full").mkdir(parents=True)
    with RunLogs(plan(tmp_path, max_mb=0.0005, backups=1)) as logs:
        for number in range(30):
            log.info("event number=%d filling=%s", number, "x" * 60)
        assert logs.lost_lines > 0


def test_a_line_that_cannot_be_formatted_is_lost_alone(logs: RunLogs, tmp_path: Path) -> None:
    record = log.makeRecord(log.name, logging.INFO, __file__, 1, "wants %d numbers", ("no",), None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PatientHandler):
            handler.handle(record)
    log.info("next")
    assert logs.lost_lines == 2
    assert len(lines(tmp_path / "logs/live/bot.log")) == 1
