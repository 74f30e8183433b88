"""What the trades of a run say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from tests.trading.reports.plot_samples import cointegrated_view, run_of
from tests.trading.reports.result_samples import sample_result, sample_trade
from trading.reports.trade_figures import pair_rows, profit_parts, trade_figures


def test_the_figures_are_those_of_pandas() -> None:
    trades = run_of((cointegrated_view("ETH_BTC", seed=3), cointegrated_view("LTC_BCH", seed=4))).trades
    found, profits = trade_figures(trades), pd.Series([float(trade.pnl) for trade in trades])
    assert found is not None and len(trades) > 20
    won, lost = profits[profits > 0], profits[profits <= 0]
    assert found.win_rate_pct == pytest.approx(100.0 * len(won) / len(profits))
    assert found.profit_factor == pytest.approx(won.sum() / -lost.sum())
    assert float(found.average) == pytest.approx(profits.mean())
    assert float(found.average_won) == pytest.approx(won.mean())
    assert float(found.average_lost) == pytest.approx(lost.mean())
    assert (float(found.best), float(found.worst)) == (profits.max(), profits.min())
    assert found.median_held == pd.Series([t.exit_time - t.entry_time for t in trades]).median()
    assert found.losses_in_a_row == (profits <= 0).groupby((profits > 0).cumsum()).sum().max()


def test_parts_are_the_sums_of_the_legs_and_of_the_pairs() -> None:
    result = sample_result()
    parts = profit_parts(result.trades)
    assert parts.total == sum(trade.pnl for trade in result.trades)
    rows = pair_rows(result)
    for name in ("price", "fees", "funding", "slippage", "legging", "total"):
        assert sum(getattr(row.parts, name) for row in rows) == getattr(parts, name)
    assert parts.before_costs + parts.slippage == parts.price


def test_without_a_loss_there_is_no_profit_factor_and_without_a_trade_no_figure() -> None:
    won = sample_trade(0, gain=30)
    assert trade_figures(()) is None
    found = trade_figures((won, replace(won, exit_time=won.exit_time + timedelta(hours=1))))
    assert found is not None and found.profit_factor is None
    assert found.average_lost == Decimal(0) and found.losses_in_a_row == 0
