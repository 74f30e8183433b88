"""The validator as a whole: all problems in one run, readable, quick to start, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trading.config.config_texts import check, pair_config, text_of
from trading.config_validator import ConfigValidator, main

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = PROJECT / "src" / "trading" / "config_validator.py"
FIFTEEN = Path(__file__).parent / "config" / "data" / "fifteen_faults.json"
CONFIGS = sorted(path for path in (PROJECT / "config" / "trading").glob("*.json") if path.name != "schema.json")

FIFTEEN_FAULTS = [
    (5, 13, "error", "broker.type"),
    (6, 24, "error", "broker.initial_balance"),
    (7, 19, "error", "broker.commission"),
    (8, 21, "error", "broker.slippage_bps"),
    (14, 22, "error", "data.lookback_bars"),
    (18, 5, "error", "trading.symbol"),
    (19, 5, "error", "trading.max_drawdwon_pct"),
    (20, 25, "warning", "trading.max_drawdown_pct"),
    (23, 58, "error", "pairs[0].leg_b"),
    (24, 85, "error", "pairs[1].hedge_ratio"),
    (29, 15, "error", "strategy.entry_logic.name"),
    (30, 48, "error", "strategy.entry_logic.params.e_entry_z"),
    (34, 47, "error", "strategy.exit_logic.params.x_stop_z"),
    (38, 27, "error", "logging.log_file"),
    (38, 58, "error", "logging.level"),
]


def test_a_file_with_fifteen_faults_has_all_fifteen_told_in_one_run() -> None:
    problems = ConfigValidator().validate_file(FIFTEEN).problems
    assert [(each.line, each.column, each.severity, each.path) for each in problems] == FIFTEEN_FAULTS


def test_the_script_prints_one_line_a_problem_in_order_and_a_summary(tmp_path: Path) -> None:
    listing = tmp_path / "problems.json"
    run = _script(str(FIFTEEN), "--json", str(listing))
    lines = run.stdout.splitlines()
    assert run.returncode == 2 and run.stderr == ""
    assert [line.removeprefix(f"{FIFTEEN}:").split(":")[0] for line in lines[:-1]] == [
        str(each[0]) for each in FIFTEEN_FAULTS
    ]
    assert lines[0] == (
        f'{FIFTEEN}:5:13: error: broker.type: is not one of the words known here (found "mok", '
        "expected one of mock, binance_paper, binance, ibkr; did you mean mock?)"
    )
    assert lines[-1] == f"{FIFTEEN} cannot be used: 14 errors, 1 warning"
    rows = json.loads(listing.read_text())
    assert [(row["line"], row["column"], row["severity"], row["path"]) for row in rows] == FIFTEEN_FAULTS
    assert {"message", "found", "expected", "suggestion"} <= set(rows[0])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_passes_and_names_the_schema(config: Path) -> None:
    report = ConfigValidator().validate_file(config)
    assert report.ok, report.text()
    assert json.loads(config.read_text())["$schema"] == "schema.json"


def test_the_configs_for_the_main_job_have_no_warning_either() -> None:
    for name in ("0001.json", "real_pairs_1h.json"):
        assert ConfigValidator().validate_file(PROJECT / "config" / "trading" / name).problems == ()


def test_the_pair_config_of_the_contract_passes() -> None:
    report = ConfigValidator().validate_file(FIFTEEN.with_name("contract_pair.json"))
    assert report.problems == (), report.text()


def test_the_sample_of_one_symbol_is_warned_of_what_only_the_machine_can_supply() -> None:
    report = ConfigValidator().validate_file(PROJECT / "config" / "trading" / "0002_single_symbol.json")
    assert [(each.severity, each.path) for each in report.problems] == [
        ("warning", "data.market_info"),
        ("warning", "notifications.telegram.enabled"),
    ]


def test_a_bare_name_is_found_in_the_config_folder_and_under_the_home_folder(tmp_path: Path) -> None:
    assert _script("0001.json").returncode == 0
    elsewhere = _script("0001.json", cwd=tmp_path, TANDEM_HOME=str(PROJECT))
    assert elsewhere.returncode == 0, elsewhere.stdout
    lost = _script("0001.json", cwd=tmp_path)
    assert lost.returncode == 2 and "there is no file" in lost.stdout and lost.stderr == ""


def test_the_script_takes_the_environment_and_its_file_into_account(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TANDEM__TRADING__MAX_POSITIONS=zero\n")
    run = _script(str(PROJECT / "config" / "trading" / "0001.json"), cwd=tmp_path)
    assert run.returncode == 2
    assert "environment: error: trading.max_positions: TANDEM__TRADING__MAX_POSITIONS: is of the wrong" in run.stdout


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"[" * 10_000, "nested deeper"),
        (b" " * 10_000_000, "10,000,000 bytes"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"\xef\xbb\xbf" + text_of(pair_config()).encode(), "byte-order mark"),
        (b"[]", "$: is of the wrong kind"),
        (b"null", "$: is of the wrong kind"),
        ('{"\U0001f600\\n\u2028": "\\ud800"}'.encode(), "there is no such key"),
    ],
)
def test_hopeless_files_get_a_sentence_and_no_traceback(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(data)
    run = _script(str(path), PYTHONIOENCODING="ascii")
    assert run.returncode == 2
    assert words in run.stdout
    assert run.stderr == ""


def test_folders_and_missing_files_are_told(tmp_path: Path) -> None:
    assert "is a folder" in ConfigValidator().validate_file(tmp_path).text()
    assert "there is no file" in ConfigValidator().validate_file(tmp_path / "no\x00such.json").text()


def test_the_listing_can_go_to_the_screen_and_a_bad_target_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([str(FIFTEEN), "--json", "-"]) == 2
    assert len(json.loads(capsys.readouterr().out)) == 15
    assert main([str(CONFIGS[0]), "--json", str(tmp_path / "no" / "such.json")]) == 2
    assert "could not be written" in capsys.readouterr().err


def test_importing_the_validator_loads_none_of_the_heavy_libraries() -> None:
    heavy = ("ccxt", "telegram", "statsmodels", "matplotlib", "pandas", "scipy")
    code = f"import sys, trading.config_validator; print([name for name in {heavy!r} if name in sys.modules])"
    run = _python("-c", code, PYTHONPATH=str(PROJECT / "src"))
    assert run.stdout.strip() == "[]", run.stderr


def test_the_order_of_the_problems_is_that_of_the_places() -> None:
    places = [
        (each.line, each.column) for each in check(pair_config({"version": 1, "zzz": 1, "mock.bars": 0})).problems
    ]
    assert places == sorted(places, key=lambda place: (place[0] or 0, place[1] or 0)) and len(places) == 4


def _script(*arguments: str, cwd: Path = PROJECT, **environ: str) -> subprocess.CompletedProcess[str]:
    return _python(str(SCRIPT), *arguments, cwd=cwd, **environ)


def _python(*arguments: str, cwd: Path = PROJECT, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False)
