"""A run's result as JSON and CSV."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.trading.journal.journal_samples import START
from tests.trading.reports.result_samples import empty_result, sample_result, sample_trade
from trading.reports.output_files import NotWritten, output_path
from trading.reports.result_files import OutputPathError, result_json, write_json, write_trades_csv


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def no_constants(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON number")


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_keys_are_those_that_others_rely_on() -> None:
    row = result_json(sample_result())
    assert list(row)[:12] == (
        "config mode bars start end equity_start equity_end trades open refused metrics equity".split()
    )
    assert set(row["trades"][0]) == set(
        "pair_id direction entry_time exit_time entry_z exit_z exit_reason in_formation legs pnl pnl_price pnl_fees "
        "pnl_funding legging_cost".split()
    )
    leg_keys = set("symbol quantity entry_price exit_price fees funding slippage".split())
    assert leg_keys <= set(row["trades"][0]["legs"][0])
    assert set(row["open"][0]) == {"pair_id", "direction", "entry_time", "legs", "unrealised"}
    assert set(row["refused"][0]) == {"time", "pair_id", "reasons"}
    assert set(row["metrics"]) == set(
        "return_pct sharpe max_drawdown_pct win_rate_pct trades trades_in_formation exposure_pct turnover "
        "periods_per_year".split()
    )


def test_numbers_are_numbers_and_times_end_in_z() -> None:
    row = result_json(sample_result())
    assert (row["equity_start"], row["metrics"]["periods_per_year"]) == (10_000.0, 8760)
    assert (row["start"], row["end"]) == ("2024-01-01T00:00:00Z", "2024-01-01T20:00:00Z")
    assert row["equity"][0] == ["2024-01-01T04:00:00Z", 10_000.0]
    assert row["refused"][1] == {
        "time": "2024-01-01T02:00:00Z",
        "pair_id": "SOL_ADA",
        "reasons": ["max_exposure", "max_daily_trades"],
    }
    assert row["open"][0]["legs"][0]["exit_price"] is None
    assert all(isinstance(value, float) for value in row["trades"][0]["legs"][0].values() if value != "ETHUSDT")


def test_trades_are_in_order_of_exit() -> None:
    exits = [trade["exit_time"] for trade in result_json(sample_result())["trades"]]
    assert all(earlier <= later for earlier, later in pairwise(exits)) and len(set(exits)) == 3


def test_the_parts_of_a_profit_add_up_to_the_cent() -> None:
    row = result_json(sample_result())
    for trade in row["trades"]:
        assert trade["pnl"] == pytest.approx(trade["pnl_price"] + trade["pnl_fees"] + trade["pnl_funding"], abs=0.001)
        legs = sum(leg["pnl_price"] + leg["fees"] + leg["funding"] for leg in trade["legs"])
        by_prices = sum(leg["quantity"] * (leg["exit_price"] - leg["entry_price"]) for leg in trade["legs"])
        assert (legs, by_prices) == (
            pytest.approx(trade["pnl"], abs=0.001),
            pytest.approx(trade["pnl_price"], abs=0.001),
        )
    total = sum(trade["pnl"] for trade in row["trades"]) + sum(item["unrealised"] for item in row["open"])
    assert row["equity_end"] - row["equity_start"] == pytest.approx(total, abs=0.001)


def test_a_file_holds_what_the_function_gave(here: Path) -> None:
    path = write_json("reports/deep/result.json", sample_result())
    assert path == here / "reports/deep/result.json"
    assert json.loads(path.read_text(), parse_constant=no_constants) == result_json(sample_result())


def test_nothing_that_is_not_a_number_reaches_the_file() -> None:
    odd = sample_result(
        trades=(sample_trade(0, entry_z=float("nan"), exit_z=float("inf")),),
        equity=((START, float("nan")), (START, 1.0)),
    )
    row = json.loads(write_json("result.json", odd).read_text(), parse_constant=no_constants)
    assert (row["trades"][0]["entry_z"], row["trades"][0]["exit_z"]) == (None, None)
    assert [equity for _, equity in row["equity"]] == [1.0]


def test_a_run_without_a_bar_is_a_result_too() -> None:
    row = json.loads(write_json("result.json", empty_result()).read_text(), parse_constant=no_constants)
    assert (row["start"], row["trades"], row["equity"], row["metrics"]["trades"]) == (None, [], [], 0)


def test_one_symbol_has_one_leg_and_no_z() -> None:
    single = sample_trade(0)
    single = replace(single, legs=single.legs[:1], entry_z=None, exit_z=None)
    (row,) = result_json(sample_result(trades=(single,)))["trades"]
    assert (len(row["legs"]), row["entry_z"]) == (1, None)
    (cells,) = csv_rows(write_trades_csv("t.csv", sample_result(trades=(single,))))
    assert (cells["leg_b_symbol"], cells["leg_b_quantity"], cells["entry_z"]) == ("", "", "")


def test_the_csv_has_a_row_a_trade_with_exact_money() -> None:
    result = sample_result()
    rows = csv_rows(write_trades_csv("out/trades.csv", result))
    assert [row["exit_time"] for row in rows] == [trade["exit_time"] for trade in result_json(result)["trades"]]
    first = sample_trade(0, gain=-4)
    assert (
        Decimal(rows[0]["pnl"])
        == first.pnl
        == sum(Decimal(rows[0][f"pnl_{part}"]) for part in ("price", "fees", "funding"))
    )
    assert (rows[0]["leg_a_quantity"], rows[0]["leg_b_entry_price"]) == ("1.5", "30000.7")
    assert (rows[0]["in_formation"], rows[0]["exit_reason"]) == ("true", "stop")
    assert len(rows[0]) == 8 + 2 * 8 + 5


def test_a_run_without_trades_gives_a_csv_with_its_head() -> None:
    assert len(write_trades_csv("t.csv", empty_result()).read_text().splitlines()) == 1


def test_a_file_named_on_the_command_line_may_lie_anywhere(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "new" / "run.json"
    assert write_json(elsewhere, sample_result()) == elsewhere
    assert json.loads(elsewhere.read_text())["mode"] == sample_result().mode


def test_a_place_that_cannot_be_written_is_told_before_the_run() -> None:
    with pytest.raises(OutputPathError, match="name another path"):
        output_path("/proc/no/run.json")


def test_a_folder_is_not_overwritten(here: Path) -> None:
    (here / "folder").mkdir()
    (here / "file").write_text("x")
    with pytest.raises(OutputPathError, match="is a folder"):
        write_json("folder", sample_result())
    with pytest.raises(OutputPathError, match="a file stands where a folder is wanted"):
        write_json("file/result.json", sample_result())


def test_a_failed_write_keeps_the_former_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json("result.json", sample_result())
    before = (here / "result.json").read_bytes()

    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NotWritten, match=r"result.json: cannot be written \(No space left on device\)"):
        write_json("result.json", empty_result())
    assert (here / "result.json").read_bytes() == before
    assert [path.name for path in here.iterdir()] == ["result.json"]


def test_an_absolute_path_inside_is_fine(here: Path) -> None:
    assert write_json(here / "a.json", sample_result(end=START + timedelta(minutes=1))).exists()
