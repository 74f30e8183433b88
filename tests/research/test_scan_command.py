"""``tandem scan`` over a folder: what it prints and writes, and every way in which it cannot."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from management.cli import main
from pairs.cointegration import engle_granger
from tests.research.markets import BARS, market, market_folder, series, walk, write

COLUMNS = (
    "leg_a,leg_b,n_bars,hedge_ratio,intercept,coint_t,coint_p,coint_lag,coint_t_reverse,coint_p_reverse,adf_t,adf_p,"
    "half_life_bars,half_life_low,half_life_high,q_value,passed,reason"
)


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs, three walks, and a stablecoin."""
    folder = market_folder(tmp_path_factory.mktemp("bars"), market(2, 3))
    return write(folder, series("TUSDUSDT", walk(1, step=1e-5)))


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scanned(bars: Path, *more: str, code: int = 0) -> None:
    usual = ["--interval", "1h", "--bars", str(BARS), "--simulated-pairs", "60", "--no-plots"]
    assert main(["scan", "--data", str(bars), *usual, *more]) == code


def rows(path: str = "all.csv") -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def content(path: str) -> Any:
    return json.loads(Path(path).read_text())


# what is written


def test_every_tested_pair_has_a_row_with_the_columns_that_others_read(bars: Path) -> None:
    scanned(bars, "--csv", "all.csv")
    assert Path("all.csv").read_text().splitlines()[0] == COLUMNS
    found = rows()
    assert len(found) == 21 and {row["n_bars"] for row in found} == {str(BARS)}
    assert [float(row["coint_p"]) for row in found] == sorted(float(row["coint_p"]) for row in found)
    assert {row["passed"] for row in found[:2]} == {"true"} and {row["passed"] for row in found[2:]} == {"false"}
    assert all((row["passed"] == "true") == (row["reason"] == "") for row in found)


def test_a_row_is_the_test_of_its_two_legs_in_both_directions(bars: Path) -> None:
    scanned(bars, "--csv", "all.csv", "--autolag", "bic")
    prices = market(2, 3)
    for row in rows():
        log_a, log_b = prices[row["leg_a"]], prices[row["leg_b"]]
        test, back = engle_granger(log_a, log_b, autolag="bic"), engle_granger(log_b, log_a, autolag="bic")
        assert float(row["coint_t"]) == pytest.approx(test.statistic, abs=1e-8)
        assert float(row["coint_p_reverse"]) == pytest.approx(back.pvalue, abs=1e-9)
        assert float(row["hedge_ratio"]) == pytest.approx(test.hedge_ratio, rel=1e-9)
        assert int(row["coint_lag"]) == test.lag


def test_the_pairs_for_the_bot_have_the_seven_keys_and_the_window_they_were_chosen_on(bars: Path) -> None:
    scanned(bars, "--pairs-config", "out/pairs.json", "--csv", "all.csv")
    written = content("out/pairs.json")
    assert "inputs: all.inputs.json" in written["description"]
    pairs = {pair["pair_id"]: pair for pair in written["pairs"]}
    assert set(pairs) == {"A0_B0", "A1_B1"}
    assert pairs["A0_B0"] == {
        "pair_id": "A0_B0", "leg_a": "A0/USDT", "leg_b": "B0/USDT",
        "hedge_ratio": pytest.approx(0.8, abs=0.05), "z_score_threshold": 2.0, "stop_loss_z": 4.0,
        "half_life_candles": pytest.approx(10.0, abs=5.0), "intercept": pytest.approx(1.0, abs=0.2), "prices": "log",
        "interval": "1h", "formation_start": "2024-01-01T01:00:00Z", "formation_end": "2024-03-01T00:00:00Z",
    }  # fmt: skip


def test_files_have_names_of_their_own_by_default(bars: Path) -> None:
    scanned(bars)
    names = sorted(path.name for path in Path().iterdir())
    assert names[-1] == "pairs_config.json"
    assert [name.split("_")[:2] for name in names[:-1]] == [["cointegration", "results"]] * 2
    assert names[0].endswith(".csv") and names[1] == names[0].replace(".csv", ".inputs.json")


def test_the_report_for_machines_has_no_number_that_is_none(bars: Path) -> None:
    scanned(bars, "--json", "all.json")
    text = Path("all.json").read_text()
    report = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no number"))
    assert report["tested"] == 21 and report["passing"] == 2
    assert report["excluded"] == [{"name": "TUSDUSDT", "reason": "TUSD is a stablecoin"}]
    assert report["chance"]["expected_nominal"] == pytest.approx(0.05 * 21)
    assert [one["pair_id"] for one in report["chosen"]] == [row["leg_a"][:2] + "_" + row["leg_b"][:2] for row in rows(
        next(Path().glob("*.csv")).name)[:2]]  # fmt: skip
    assert report["chosen"][0]["edge"] > 1.0 and len(report["chosen"][0]["parts"]) == 3


def test_pictures_are_drawn_of_every_chosen_pair_and_of_all_p_values(bars: Path) -> None:
    assert main(["scan", "--data", str(bars), "--simulated-pairs", "60", "--top", "1", "--plots", "pictures"]) == 0
    (chosen,) = content("pairs_config.json")["pairs"]
    pictures = sorted(Path("pictures").iterdir())
    assert [path.name for path in pictures] == [f"{chosen['pair_id']}.png", "overview.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG\r\n") and path.stat().st_size > 10_000 for path in pictures)


def test_no_statistics_or_drawing_library_is_loaded_for_a_scan_without_pictures(bars: Path) -> None:
    check = (
        "import sys; from research.scan_command import main; code = main(sys.argv[1:]); "
        "heavy = {'matplotlib', 'statsmodels', 'scipy', 'pandas', 'distributed'} & set(sys.modules); "
        "sys.exit(code or ' '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, "--data", str(bars), "--no-plots"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr


# what is said


def test_the_terminal_hears_what_was_left_out_what_chance_gives_and_what_is_chosen(
    bars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scanned(bars)
    shown = capsys.readouterr()
    assert "7 symbols, 1,440 bars of 1h, closes 2024-01-01T01:00Z to" in shown.out
    assert "TUSDUSDT: TUSD is a stablecoin" in shown.out
    assert "Tested: 21 pairs, Engle-Granger both ways, lags by aic" in shown.out
    assert "of 21 unrelated pairs 1.1 would have p <= 0.05 by the tables" in shown.out
    assert "2 of 21 pairs pass, chosen: " in shown.out and "Expected false among them: 0.1 at most" in shown.out
    assert "Wrote pairs_config.json" in shown.out
    assert "testing pairs: 21" in shown.err and "\x1b" not in shown.out + shown.err


def test_without_a_rule_every_test_has_all_lags(bars: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scanned(bars, "--autolag", "none", "--csv", "all.csv")
    assert {row["coint_lag"] for row in rows()} == {"24"}
    assert "Engle-Granger both ways, 24 lags" in capsys.readouterr().out


def test_johansens_trace_is_a_column_on_request(bars: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scanned(bars, "--johansen")
    assert "trace (95 %: 15.5)" in capsys.readouterr().out
    scanned(bars)
    assert "trace" not in capsys.readouterr().out


def test_no_pair_is_a_normal_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scanned(market_folder(tmp_path / "walks", market(0, 6)))
    shown = capsys.readouterr().out
    assert "0 of 15 pairs pass; the nearest are " in shown and ", and they fail by:" in shown
    assert "q_value" in shown and "without one does not start" in shown
    assert content("pairs_config.json")["pairs"] == []


def test_options_win_over_the_config_and_the_config_over_the_defaults(bars: Path) -> None:
    config = Path(__file__).resolve().parents[2] / "config" / "trading" / "0001.json"
    changed = json.loads(config.read_text()) | {"cointegration": {"max_half_life_hours": 3, "top_n_pairs": 1}}
    Path("mine.json").write_text(json.dumps(changed))
    scanned(bars, "--config", "mine.json", "--csv", "strict.csv")
    assert "half_life_hours" in rows("strict.csv")[0]["reason"]
    scanned(bars, "--config", "mine.json", "--max-half-life", "24", "--csv", "loose.csv")
    assert [row["passed"] for row in rows("loose.csv")[:3]] == ["true", "false", "false"]


def test_only_the_symbols_asked_for_are_tested(bars: Path) -> None:
    scanned(bars, "--symbols", "A0/USDT, B0USDT,W0/USDT:USDT", "--csv", "all.csv")
    assert len(rows()) == 3


def test_lags_and_false_discovery_are_chosen_by_options(bars: Path) -> None:
    more = ("--autolag", "none", "--max-lag", "1", "--false-discovery", "by", "--max-q", "0.01", "--min-edge", "0")
    scanned(bars, *more, "--csv", "all.csv")
    assert {row["coint_lag"] for row in rows()} == {"1"}
    weight = sum(1.0 / rank for rank in range(1, 22))
    assert float(rows()[0]["q_value"]) == pytest.approx(float(rows()[0]["coint_p"]) * 21 * weight, rel=1e-6)


# the same again


def test_a_scan_can_be_had_again_from_the_inputs_it_names(bars: Path) -> None:
    scanned(bars, "--csv", "first.csv", "--max-half-life", "30", "--symbols", "A0USDT,B0USDT,W1USDT,W2USDT")
    assert main(["scan", "--repeat", "first.inputs.json", "--csv", "second.csv", "--no-plots"]) == 0
    assert Path("first.csv").read_bytes() == Path("second.csv").read_bytes()
    first, second = content("first.inputs.json"), content("second.inputs.json")
    assert first == second and set(first) == {"folder", "files", "settings", "versions"}
    assert first["settings"]["gates"]["max_half_life_hours"] == 30.0 and first["settings"]["end_ms"] is not None


def test_options_that_a_repeated_scan_would_not_heed_are_refused(
    bars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scanned(bars, "--csv", "first.csv")
    assert main(["scan", "--repeat", "first.inputs.json", "--bars", "300", "--to", "2024-02-01"]) == 2
    assert "--repeat scans as that scan did, whatever --bars, --to says" in capsys.readouterr().err


def test_a_scan_made_with_other_versions_says_so(bars: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scanned(bars, "--csv", "first.csv")
    inputs = content("first.inputs.json")
    inputs["versions"]["numpy"] = "1.0"
    Path("first.inputs.json").write_text(json.dumps(inputs))
    assert main(["scan", "--repeat", "first.inputs.json", "--csv", "second.csv", "--no-plots"]) == 0
    assert f"made with numpy 1.0, now {np.__version__}: last digits may differ" in capsys.readouterr().out


def test_inputs_that_have_changed_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = market_folder(tmp_path / "bars", market(0, 3))
    scanned(folder, "--csv", "first.csv")
    write(folder, series("W1USDT", walk(99)))
    assert main(["scan", "--repeat", "first.inputs.json", "--csv", "second.csv"]) == 2
    assert "has changed since that scan: W1USDT.csv" in capsys.readouterr().err
    assert not Path("second.csv").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"folder": "x"}', '{"folder": "x", "files": [], "settings": {"bars": 0}}'])
def test_a_file_that_lists_no_inputs_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd.json").write_text(text)
    assert main(["scan", "--repeat", "odd.json"]) == 2
    assert "odd.json: no list of a scan's inputs" in capsys.readouterr().err


def test_more_bars_than_before_change_nothing_of_a_window_that_ends_before_them(tmp_path: Path) -> None:
    longer = {symbol: np.concatenate([logs, logs[-1] + np.zeros(1)]) for symbol, logs in market(1, 2).items()}
    scanned(market_folder(tmp_path / "short", market(1, 2)), "--csv", "short.csv")
    scanned(market_folder(tmp_path / "long", longer), "--to", "2024-03-01", "--csv", "long.csv")
    assert Path("short.csv").read_bytes() == Path("long.csv").read_bytes()


# bad input

NOT_TWO = "two symbols are wanted"
BAD: dict[str, tuple[list[str], str]] = {
    "an unknown symbol": (["--symbols", "A0USDT,QQQUSDT"], "has no file for QQQUSDT; it has"),
    "one symbol": (["--symbols", "A0USDT"], NOT_TWO),
    "too many bars": (["--bars", "99999"], "too little data: 99999 bars are wanted"),
    "too few bars": (["--bars", "10"], "too few to test anything"),
    "no bars": (["--bars", "-5"], "-5 bars make no window"),
    "another interval": (["--interval", "5m"], "wanted bars of 5m"),
    "an odd rate": (["--max-q", "7"], "a false-discovery rate of 7 is not between 0 and 1"),
    "more lags than bars": (["--max-lag", "1000"], "too little data"),
    "before the data": (["--to", "2020-01-01"], "there are 0 up to 2020-01-01"),
    "an unknown executor": (["--executor", "spark://x"], "known: local, dask://HOST:PORT"),
    "a folder for a file": (["--csv", "."], "is a folder: name a file"),
    "one file for two": (["--csv", "x.json", "--json", "x.json"], "x.json is wanted for two files"),
    "a device": (["--csv", "/dev/null"], "/dev/null is a device or a pipe"),
    "an edge that is none": (["--min-edge", "nan"], "a smallest edge of nan is none"),
    "a half-life without end": (["--max-half-life", "inf"], "a largest half-life of inf h is none"),
    "no chance": (["--simulated-pairs", "0"], "chance needs simulated pairs"),
    "a cluster without address": (["--executor", "dask://"], "known: local, dask://HOST:PORT"),
    "two sources": (["--exchange", "binance"], "exclude each other"),
    "two folders of one name": (["--data", "x/bars", "--data", "y/bars"], "the files of each universe have its name"),
    "two folders again": (["--data", "x", "--repeat", "first.inputs.json"], "--repeat is one scan again"),
    "a missing config": (["--config", "nothing.json"], "nothing.json"),
}  # fmt: skip


def test_a_folder_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--data", "nowhere"]) == 2
    assert "no folder nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_a_sentence(bars: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    more, words = BAD[case]
    assert main(["scan", "--data", str(bars), *more]) == 2
    shown = capsys.readouterr()
    assert words in shown.err and "Traceback" not in shown.err and shown.out == ""
    assert list(Path().glob("*.csv")) == []


def test_what_cannot_be_written_any_more_is_said_with_what_is_there(
    bars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = 1 if os.geteuid() == 0 else 2  # who may not write there hears it before the scan
    scanned(bars, "--csv", "all.csv", "--json", "/proc/all.json", code=code)
    shown = capsys.readouterr().err
    assert "/proc/all.json" in shown and "cannot be written" in shown and Path("all.csv").exists() == (code == 1)


@pytest.mark.parametrize("option", [["--bars", "many"], ["--to", "noon"], ["--interval", "7h"], ["--autolag", "hqic"]])
def test_what_is_no_number_time_or_choice_is_refused(option: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["scan", *option])
    assert ended.value.code == 2


def test_ctrl_c_stops_cleanly_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    folder = market_folder(tmp_path / "many", market(0, 30))
    script = Path(__file__).resolve().parents[2] / "run_scanner.py"
    command = [sys.executable, str(script), "--data", str(folder), "--simulated-pairs", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as scan:
        assert scan.stderr is not None and scan.stdout is not None
        said = iter(scan.stderr.readline, "")
        assert any(line.startswith("measuring chance") for line in said)
        scan.send_signal(signal.SIGINT)
        assert "".join(said) == "stopped; nothing was written\n"
        assert scan.wait(100) == 130 and scan.stdout.read() == ""
    assert [path for path in Path().rglob("*") if path.is_file() and path.parent.name != "many"] == []


def test_ctrl_c_while_pictures_are_drawn_names_what_is_there(
    bars: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("research.scan.plots.plot_overview", interrupted)
    assert main(["scan", "--data", str(bars), "--csv", "all.csv", "--pairs-config", "chosen.json"]) == 130
    told = capsys.readouterr().err
    assert "stopped; what was written before is whole: all.csv, all.inputs.json, chosen.json" in told
    assert all(Path(name).is_file() for name in ("all.csv", "all.inputs.json", "chosen.json"))


def test_no_symbol_at_all_is_refused(bars: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--data", str(bars), "--symbols", " , "]) == 2
    assert "no symbol is named" in capsys.readouterr().err


def test_the_script_is_the_command(bars: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "run_scanner.py"
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "--pairs-config" in done.stdout and "--executor" in done.stdout
