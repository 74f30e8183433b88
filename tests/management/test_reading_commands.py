"""``tandem report``, ``why`` and ``export`` as a person calls them: files, exit codes, sentences."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from management.cli import main
from tests.conftest import PROJECT
from tests.management.lived_bot import lived_bot
from tests.trading.reports.result_samples import sample_result
from tests.trading.runs import write_config
from trading.config.loader import load_config
from trading.journal.writer import Journal
from trading.reports.result_files import write_json
from trading.venues.opening import state_paths


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the bot has lived."""
    monkeypatch.chdir(lived_bot().folder)
    return lived_bot().folder


def test_a_report_of_a_result_and_of_a_run_are_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in ("run.json", "bot.json"):
        target = tmp_path / f"of_{source}.html"
        assert main(["report", source, "--html", str(target)]) == 0
        assert target.read_text("utf-8").startswith("<!doctype html>")
        assert f"wrote {target}" in capsys.readouterr().out


def test_a_report_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "bt.json", sample_result())
    monkeypatch.chdir(tmp_path)
    assert main(["report", "bt.json"]) == 0
    assert (tmp_path / "bt_report.html").stat().st_size > 10_000


def test_a_pdf_without_a_browser_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["report", "run.json", "--pdf", str(tmp_path / "r.pdf")]) == 2
    assert "needs Chromium" in capsys.readouterr().err
    assert not (tmp_path / "r.pdf").exists()


def test_why_tells_a_trade_and_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "bot.json", "3"]) == 0
    assert "trade 3: " in capsys.readouterr().out
    assert main(["why", "bot.json", "--run", "1", "3"]) == 0
    assert "trade 3: " in capsys.readouterr().out
    assert main(["why", "bot.json", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) > len(lived_bot().result.trades)
    assert main(["why", "bot.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["number"] is not None


@pytest.mark.parametrize("per", ["pair", "leg", "fill"])
def test_export_sums_to_the_journal(per: str, tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    assert main(["export", "trades", "bot.json", "--per", per, "--all", "--csv", str(target)]) == 0
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with lived_bot().journal() as journal:
        closed = {(trade.pair_id, f"{trade.entry_time:%Y-%m-%dT%H:%M:%SZ}") for trade in journal.trades()}
        profit = sum(trade.pnl for trade in journal.trades())
    own = [row for row in rows if (row["pair_id"], row["entry_time"]) in closed]
    assert sum(Decimal(row["pnl"]) for row in own) == profit


def test_export_of_a_result_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "trades", "run.json", "--from", "2024-01-20"]) == 0
    printed = capsys.readouterr().out.splitlines()
    wanted = [trade for trade in lived_bot().result.trades if f"{trade.exit_time:%Y-%m-%d}" >= "2024-01-20"]
    assert len(printed) == 1 + len(wanted)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "nowhere.json"], "there is no file nowhere.json"),
        (["report", "bot.json", "--run", "9"], "0001 has no run 9; its journal has run 1"),
        (["report", "run.json", "--run", "1"], "--run goes with a config"),
        (["report", "run.json", "--html", "."], "is a folder: name a file"),
        (["why", "bot.json", "77"], "there is no trade 77"),
        (["why", "bot.json", "--run", "9"], "0001 has no run 9"),
        (["why", "nowhere.json"], "nowhere.json"),
        (["export", "trades", "run.json", "--per", "fill"], "has no fills: they are in the bot's journal"),
        (["export", "trades", "run.json", "--all"], "--run and --all go with a config"),
        (["export", "trades", "bot.json", "--run", "9"], "0001 has no run 9"),
    ],
)
def test_what_cannot_be_is_a_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert words in said.err and "Traceback" not in said.err


def test_damaged_json_and_a_newer_result_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = (lived_bot().folder / "run.json").read_text()
    (tmp_path / "cut.json").write_text(content[: len(content) // 2])
    (tmp_path / "newer.json").write_text(json.dumps(json.loads(content) | {"result_version": 99}))
    for command in (["report"], ["export", "trades"]):
        assert main([*command, str(tmp_path / "cut.json")]) == 2
        assert "damaged or no JSON" in capsys.readouterr().err
        assert main([*command, str(tmp_path / "newer.json")]) == 2
        assert "version 99, this program reads up to 1" in capsys.readouterr().err


COMMANDS = (["report", "test.json"], ["why", "test.json"], ["export", "trades", "test.json"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_bot_that_has_not_run_is_told(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_config(tmp_path)
    assert main(command) == 2
    assert "the bot has not run here yet" in capsys.readouterr().err
    journal, _ = state_paths(load_config(path, environ={}))
    with Journal.open(journal, bot_id="0001", mode="mock", account="x"):
        assert main(command) == 2
    assert "the journal of 0001 has no run: start the bot first" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_damaged_journal_is_told(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    journal, _ = state_paths(load_config(write_config(tmp_path), environ={}))
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b"no journal at all" * 100)
    assert main(command) == 2
    assert "is not a readable journal" in capsys.readouterr().err


def test_a_damaged_row_of_a_journal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lived = lived_bot()
    shutil.copytree(lived.folder, tmp_path / "bot")
    monkeypatch.chdir(tmp_path / "bot")
    journal, _ = state_paths(lived.config)
    with closing(sqlite3.connect(journal)) as rows:
        rows.execute("UPDATE runs SET terms = '{bad'")
        rows.commit()
    assert main(["report", "bot.json"]) == 2
    assert "the journal has a damaged row" in capsys.readouterr().err


def test_a_result_with_a_profit_that_is_no_number_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = json.loads((lived_bot().folder / "run.json").read_text())
    row["trades"][0]["pnl"] = "NaN"
    (tmp_path / "r.json").write_text(json.dumps(row))
    assert main(["report", str(tmp_path / "r.json")]) == 2
    assert "a number was wanted, found 'NaN'" in capsys.readouterr().err


def test_a_running_bot_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer holds its journal open while the commands read it."""
    lived = lived_bot()
    shutil.copytree(lived.folder, tmp_path / "bot")
    monkeypatch.chdir(tmp_path / "bot")
    journal, _ = state_paths(lived.config)
    with Journal.open(journal, bot_id="0001", mode="mock", account="simulated"):
        assert main(["why", "bot.json", "1"]) == 0
        assert main(["report", "bot.json", "--html", str(tmp_path / "r.html")]) == 0
        assert main(["export", "trades", "bot.json", "--csv", str(tmp_path / "t.csv")]) == 0


def test_the_commands_of_their_page_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (PROJECT / "docs" / "report.md").read_text(encoding="utf-8")
    commands = [line.split()[1:] for line in page.splitlines() if line.startswith("tandem ")]
    shutil.copytree(lived_bot().folder, tmp_path / "bot")
    monkeypatch.chdir(tmp_path / "bot")
    shutil.copy("bot.json", "0001.json")
    shutil.copy("run.json", "result.json")
    assert len(commands) >= 6
    for command in commands:
        assert main(command) == 0, command
