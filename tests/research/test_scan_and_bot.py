"""What a scan chooses is what a backtest and a bot trade."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from management.cli import main
from tests.research.markets import BARS, market, market_folder
from tests.trading.runs import backtest, live, write_config
from trading.config.loader import load_config
from trading.market_input import DataChoice

LONGER = BARS + 400


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config with the pairs that a scan of the first ``BARS`` bars chose."""
    monkeypatch.chdir(tmp_path)
    folder = market_folder(tmp_path / "bars", market(2, 3, LONGER))
    end = ["--bars", str(BARS), "--to", "2024-03-01T00:00Z"]
    assert main(["scan", "--data", str(folder), *end, "--simulated-pairs", "60", "--no-plots", "--csv", "a.csv"]) == 0
    data = {"data_source": "replay", "dir": "bars"}
    return write_config(tmp_path, pairs=None, pairs_file="pairs_config.json", data=data)


def test_a_backtest_trades_the_pairs_of_a_scan_and_counts_its_window_apart(config: Path) -> None:
    pairs = {pair.pair_id: pair for pair in load_config(config, environ={}).pairs}
    assert set(pairs) == {"A0_B0", "A1_B1"}
    assert pairs["A0_B0"].formation_end == datetime(2024, 3, 1, tzinfo=UTC)
    assert pairs["A0_B0"].hedge.ratio == pytest.approx(0.8, abs=0.05) and pairs["A0_B0"].hedge.intercept != 0.0
    result = backtest(config)
    assert {trade.pair_id for trade in result.trades} == set(pairs)
    assert {trade.in_formation for trade in result.trades} == {True, False}


def test_a_bot_trades_the_pairs_of_a_scan_out_of_sample(config: Path) -> None:
    result = live(config, DataChoice(start=datetime(2024, 2, 9, tzinfo=UTC)))
    assert {trade.pair_id for trade in result.trades} == {"A0_B0", "A1_B1"}
    assert not any(trade.in_formation for trade in result.trades)
    assert sum(trade.pnl for trade in result.trades) > 0


def test_a_scan_of_the_pairs_themselves_is_one_config_away(config: Path) -> None:
    again = ["scan", "--config", str(config), "--simulated-pairs", "60", "--no-plots"]
    assert main([*again, "--csv", "b.csv", "--pairs-config", "next.json"]) == 0
    assert '"A0_B0"' in Path("next.json").read_text()
