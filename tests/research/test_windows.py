"""Earlier windows: what one finds is looked for in the next, beside the share that any pair has there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from management.cli import main
from pairs.all_pairs import pairwise_cointegration
from research.scan.windows import earlier_windows
from tests.research.markets import HOUR_MS, QUICK, T0, market, market_folder, reverting, series, walk

BARS = 480
THREE = replace(QUICK, bars=BARS, windows=3, end_ms=T0 + 3 * BARS * HOUR_MS)


def breaking() -> dict[str, np.ndarray]:
    """A and B keep together for two of three windows, C and D throughout; E is alone."""
    log_b, log_d = walk(1, 3 * BARS), walk(2, 3 * BARS)
    apart = np.concatenate([reverting(3, 2 * BARS, half_life=5.0), walk(4, BARS, step=0.006) - 3.0])
    together = reverting(5, 3 * BARS, half_life=5.0)
    return {"AUSDT": 0.8 * log_b + apart, "BUSDT": log_b, "CUSDT": 0.9 * log_d + together, "DUSDT": log_d,
            "EUSDT": walk(6, 3 * BARS)}  # fmt: skip


def test_every_window_is_tested_by_itself_and_its_finds_looked_for_in_the_next() -> None:
    histories = [series(symbol, logs) for symbol, logs in breaking().items()]
    windows = earlier_windows(histories, THREE, tester=pairwise_cointegration)
    assert [one.end_ms for one in windows] == [T0 + part * BARS * HOUR_MS for part in (1, 2, 3)]
    assert [(one.symbols, one.tested, one.found) for one in windows] == [(5, 10, 2), (5, 10, 2), (5, 10, 1)]
    assert [(one.asked_again, one.found_again) for one in windows] == [(0, 0), (2, 2), (2, 1)]
    assert windows[2].rate == 0.1


def test_a_window_before_the_data_is_left_out_and_a_symbol_listed_later_is_not_asked_again() -> None:
    logs = breaking()
    late = series("AUSDT", logs["AUSDT"][BARS:], first_hour=BARS + 1)
    histories = [late, *(series(symbol, one) for symbol, one in logs.items() if symbol != "AUSDT")]
    windows = earlier_windows(histories, replace(THREE, windows=5), tester=pairwise_cointegration)
    assert [(one.symbols, one.tested) for one in windows] == [(4, 6), (5, 10), (5, 10)]
    assert [(one.asked_again, one.found_again) for one in windows] == [(0, 0), (1, 1), (2, 1)]


def test_windows_are_told_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = market_folder(tmp_path / "bars", market(1, 2))
    options = ["--bars", str(BARS), "--simulated-pairs", "60", "--no-plots", "--windows", "3", "--json", "all.json"]
    assert main(["scan", "--data", str(folder), *options]) == 0
    shown = capsys.readouterr().out
    assert "  to 2024-01-21T00:00Z, 4 symbols: " in shown
    assert "  in all: of 1 found before 1 again, and of as many pairs like any other 0.2 would be" in shown
    ends = [one["end"] for one in json.loads(Path("all.json").read_text())["windows"]]
    assert ends == ["2024-01-21T00:00:00Z", "2024-02-10T00:00:00Z", "2024-03-01T00:00:00Z"]
