"""The commands as a person calls them: exit codes, sentences instead of tracebacks, files written."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, str(PROJECT / "trading_bot.py")]
BACKTEST = [sys.executable, str(PROJECT / "backtest.py")]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A working directory with a small config of the mock market."""
    config = json.loads((PROJECT / "config" / "trading" / "0001.json").read_text())
    config["mock"]["bars"] = 650
    (tmp_path / "small.json").write_text(json.dumps(config))
    return tmp_path


def call(command: list[str], *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_run_prints_plain_lines_and_a_summary_and_writes_its_result(here: Path) -> None:
    done = call(RUN, "small.json", "--json", "out/run.json", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "opened" in done.stdout and "Pair trades" in done.stdout and "Max drawdown" in done.stdout
    result = json.loads((here / "out" / "run.json").read_text())
    assert result["mode"] == "mock" and len(result["trades"]) >= 5
    assert (here / "logs" / "json" / "trades.json").read_text().count("\n") == len(result["trades"])


def test_a_second_run_is_a_new_run_that_does_the_same(here: Path) -> None:
    results = []
    for name in ("first.json", "second.json"):
        assert call(RUN, "small.json", "--json", name, cwd=here).returncode == 0
        results.append(json.loads((here / name).read_text()))
    first, second = results
    for result in results:
        result.pop("uptime_s")
    assert first == second


def test_backtest_and_run_write_the_same_trades(here: Path) -> None:
    assert call(RUN, "small.json", "--json", "run.json", cwd=here).returncode == 0
    done = call(
        BACKTEST, "small.json", "--json", "bt.json", "--trades-csv", "t.csv", "--plot", "p.png", cwd=here
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run, backtest = (json.loads((here / name).read_text()) for name in ("run.json", "bt.json"))
    assert len(run["trades"]) == len(backtest["trades"]) >= 5
    for ours, theirs in zip(run["trades"], backtest["trades"], strict=True):
        assert ours["entry_time"] == theirs["entry_time"] and ours["exit_reason"] == theirs["exit_reason"]
        assert ours["pnl"] == pytest.approx(theirs["pnl"], abs=1e-6)
    assert (here / "t.csv").read_text().count("\n") == len(run["trades"]) + 1
    assert (here / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_reader_that_goes_away_does_not_stop_the_run(here: Path) -> None:
    piped = f"{sys.executable} {PROJECT / 'trading_bot.py'} small.json --json run.json | head -1"
    done = subprocess.run(
        piped, shell=True, cwd=here, env={**os.environ, "PYTHONPATH": str(PROJECT / "src")},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert len(json.loads((here / "run.json").read_text())["trades"]) >= 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("script", ["trading_bot.py", "backtest.py", "src/trading/config_validator.py"])
def test_a_full_disk_behind_the_output_stops_nothing(here: Path, script: str) -> None:
    wanted = "" if "validator" in script else "--json run.json"
    done = subprocess.run(
        f"{sys.executable} {PROJECT / script} small.json {wanted} > /dev/full", shell=True, cwd=here,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src")}, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert not wanted or json.loads((here / "run.json").read_text())["trades"]


def test_a_run_does_not_go_on_with_another_account(here: Path) -> None:
    bot = subprocess.Popen(
        [*RUN, "small.json"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src"), "TANDEM__MOCK__SPEED": "36000"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert bot.stdout is not None
    while "opened" not in bot.stdout.readline():
        assert bot.poll() is None
    bot.kill()
    bot.communicate()
    config = json.loads((here / "small.json").read_text())
    config["broker"]["initial_balance"] = 50000.0
    (here / "small.json").write_text(json.dumps(config))
    done = call(RUN, "small.json", cwd=here)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "initial_balance" in done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stop_signal_ends_the_run_cleanly_and_the_next_start_resumes(here: Path, name: str) -> None:
    bot = subprocess.Popen(
        [*RUN, "small.json", "--json", "cut.json"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src"), "TANDEM__MOCK__SPEED": "36000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert bot.stdout is not None
    while "opened" not in bot.stdout.readline():
        assert bot.poll() is None
    bot.send_signal(getattr(signal, name))
    _, errors = bot.communicate(timeout=60)
    assert bot.returncode == 130, errors
    assert "Traceback" not in errors
    cut = json.loads((here / "cut.json").read_text())
    done = call(RUN, "small.json", "--json", "rest.json", cwd=here)
    assert done.returncode == 0 and "resumes" in done.stdout
    rest = json.loads((here / "rest.json").read_text())
    assert rest["trades"][: len(cut["trades"])] == cut["trades"]


def test_in_a_terminal_the_status_is_live(here: Path) -> None:
    leader, follower = pty.openpty()
    bot = subprocess.Popen(
        [*RUN, "small.json"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src"), "TERM": "xterm-256color", "COLUMNS": "140"},
        stdout=follower,
        stderr=follower,
        stdin=follower,
    )
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 65536):
            seen += chunk
    except OSError:
        pass  # the terminal closes with its last process
    assert bot.wait(timeout=60) == 0
    assert b"\x1b[" in seen and b"equity" in seen and b"Pair trades" in seen


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere.json"], 2, "nowhere.json"),
        (["small.json", "--from", "tomorrow"], 2, "is no time"),
        (["small.json", "--from", "0001-01-01T00:00+14:00"], 2, "is no time"),
        (["small.json", "--data", "nowhere"], 2, "no folder nowhere"),
        (["small.json", "--json", "."], 2, "is a folder"),
        (["small.json", "--from", "2040-01-01"], 2, "no bar between"),
        (["small.json", "--from", "2024-01-25"], 2, "a warm-up of 500 leaves none to trade"),
    ],
)
@pytest.mark.parametrize("command", [RUN, BACKTEST], ids=["run", "backtest"])
def test_what_a_person_got_wrong_is_a_sentence(
    here: Path, command: list[str], arguments: list[str], code: int, sentence: str
) -> None:
    done = call(command, *arguments, cwd=here)
    assert done.returncode == code
    assert sentence in done.stderr and "Traceback" not in done.stderr
    assert not (here / "state").exists()


def test_a_broker_that_cannot_run_yet_is_refused_before_anything_is_opened(here: Path) -> None:
    config = json.loads((here / "small.json").read_text())
    config["broker"]["type"] = "ibkr"
    config["data"]["data_source"] = "ibkr"
    (here / "paper.json").write_text(json.dumps(config))
    done = call(RUN, "paper.json", "--data", "nowhere", cwd=here)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert not (here / "state").exists()


def test_the_old_script_path_runs_too(here: Path) -> None:
    done = call([sys.executable, str(PROJECT / "src" / "trading" / "trading_bot.py")], "small.json", cwd=here)
    assert done.returncode == 0, done.stderr
