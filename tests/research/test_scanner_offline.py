"""The five cases by which a scanner was validated offline, from files to the files that it writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from management.cli import main
from tests.research.markets import market, market_folder, planted, reverting, walk

Scanned = Callable[[dict[str, np.ndarray]], dict[str, dict[str, str]]]


@pytest.fixture
def scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scanned:
    """Writes these log prices as files, scans them, and gives the rows of the CSV by ``leg_a leg_b``."""
    monkeypatch.chdir(tmp_path)

    def scan(prices: dict[str, np.ndarray]) -> dict[str, dict[str, str]]:
        folder = market_folder(tmp_path / "bars", prices)
        quick = ["--simulated-pairs", "60", "--no-plots", "--csv", "all.csv"]
        assert main(["scan", "--data", str(folder), *quick]) == 0
        with open("all.csv", newline="") as file:
            return {f"{row['leg_a']} {row['leg_b']}": row for row in csv.DictReader(file)}

    return scan


def chosen() -> list[dict[str, Any]]:
    pairs: list[dict[str, Any]] = json.loads(Path("pairs_config.json").read_text())["pairs"]
    return pairs


def test_hedge_ratio_calculation(scanned: Scanned) -> None:
    """Within 1.4 % of the ratio that the market was made with."""
    log_a, log_b = planted(100, ratio=0.75, half_life=5.0)
    row = scanned({"AUSDT": log_a, "BUSDT": log_b})["AUSDT BUSDT"]
    assert float(row["hedge_ratio"]) == pytest.approx(0.75, rel=0.014)
    assert chosen()[0]["hedge_ratio"] == pytest.approx(float(row["hedge_ratio"]), rel=1e-9)


def test_stationarity_detection(scanned: Scanned) -> None:
    """The Dickey-Fuller figure of a spread that returns is small, that of one that wanders is not."""
    log_a, log_b = planted(100)
    rows = scanned({"AUSDT": log_a, "BUSDT": log_b, "CUSDT": walk(7)})
    assert float(rows["AUSDT BUSDT"]["adf_p"]) < 0.001 < 0.05 < float(rows["BUSDT CUSDT"]["adf_p"])


def test_cointegration_detection(scanned: Scanned) -> None:
    """p < 0.05 both ways for the pair that keeps together, and for no other."""
    log_a, log_b = planted(100)
    rows = scanned({"AUSDT": log_a, "BUSDT": log_b, "CUSDT": walk(7), "DUSDT": walk(8)})
    found = [legs for legs, row in rows.items() if max(float(row["coint_p"]), float(row["coint_p_reverse"])) < 0.05]
    assert found == ["AUSDT BUSDT"] == [legs for legs, row in rows.items() if row["passed"] == "true"]


def test_half_life_filter(scanned: Scanned) -> None:
    """A pair that keeps together, but takes more than 24 hours to return half way, is not chosen."""
    log_b, log_d = walk(1), walk(2)
    quick = 1.0 + 0.8 * log_b + reverting(3, half_life=8.0)
    slow = 1.0 + 0.8 * log_d + reverting(9, half_life=60.0, step=0.01)
    rows = scanned({"AUSDT": quick, "BUSDT": log_b, "CUSDT": slow, "DUSDT": log_d})
    assert float(rows["CUSDT DUSDT"]["half_life_bars"]) > 24.0 > float(rows["AUSDT BUSDT"]["half_life_bars"])
    assert "half_life_hours" in rows["CUSDT DUSDT"]["reason"]
    assert [pair["pair_id"] for pair in chosen()] == ["A_B"]


def test_universe_scanning(scanned: Scanned) -> None:
    """All pairs of several symbols, and the planted ones out of them."""
    rows = scanned(market(3, 6))
    assert len(rows) == 12 * 11 // 2
    assert {pair["pair_id"] for pair in chosen()} == {"A0_B0", "A1_B1", "A2_B2"}
