"""What is drawn of a pair is what its strategy saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.trading.runs import write_config
from trading.backtesting.backtest import run_backtest
from trading.config.loader import load_config
from trading.market_input import DataChoice, market_input
from trading.reports.pair_views import views_of_bars


def test_views_from_bars_are_those_of_the_backtest_to_the_last_bit(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, mock={"bars": 500, "seed": 5}, data={"lookback_bars": 200}), environ={})
    market = market_input(config, DataChoice())
    outcome = run_backtest(config, market)
    drawn = views_of_bars(config, market, None, None)
    assert [view.pair_id for view in drawn] == [view.pair_id for view in outcome.views]
    for ours, theirs in zip(drawn, outcome.views, strict=True):
        assert (ours.times == theirs.times).all()
        for name in ("price_a", "price_b", "spread", "zscore"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        assert (ours.entry_z, ours.exit_z, ours.stop_z) == (theirs.entry_z, theirs.exit_z, theirs.stop_z)


def test_a_view_is_cut_to_the_times_of_the_run(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, mock={"bars": 500, "seed": 5}, data={"lookback_bars": 200}), environ={})
    market = market_input(config, DataChoice())
    first, last = market.trade_after, market.trade_after.replace(hour=23)
    for view in views_of_bars(config, market, first, last):
        assert view.times[0] == np.datetime64(first.replace(tzinfo=None), "ms")
        assert view.times[-1] == np.datetime64(last.replace(tzinfo=None), "ms")
