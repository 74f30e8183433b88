"""SuperTrend against its definition."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest

from mixins.supertrend import SuperTrend
from tests.mixins import reference
from tests.mixins.harness import Bars, BarsFeed, bars_from_closes, random_bars


class Plot(bt.Strategy):
    params: Any = (("period", 10), ("multiplier", 3.0))

    def __init__(self) -> None:
        self.trend = SuperTrend(self.data, period=self.p.period, multiplier=self.p.multiplier)
        self.band, self.direction = [], []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        self.band.append(self.trend.supertrend[0])
        self.direction.append(self.trend.direction[0])


def drawn(bars: Bars, runonce: bool, **params) -> tuple[np.ndarray, np.ndarray]:
    cerebro = bt.Cerebro(runonce=runonce, stdstats=False)
    cerebro.adddata(BarsFeed(bars=bars))
    cerebro.addstrategy(Plot, **params)
    strategy = cerebro.run()[0]
    return np.array(strategy.band), np.array(strategy.direction)


@pytest.mark.parametrize("runonce", [True, False])
@pytest.mark.parametrize(("period", "multiplier"), [(10, 3.0), (1, 1.0), (7, 0.5)])
def test_it_is_what_its_definition_says(runonce, period, multiplier):
    bars = random_bars(seed=period)
    band, direction = drawn(bars, runonce, period=period, multiplier=multiplier)
    expected_band, expected_direction = reference.supertrend(bars, period, multiplier)
    np.testing.assert_allclose(band, expected_band, rtol=1e-9)
    np.testing.assert_array_equal(direction, expected_direction)
    assert {1.0, -1.0} <= set(direction)


@pytest.mark.parametrize("runonce", [True, False])
def test_unknown_prices_give_an_unknown_trend_not_an_error(runonce):
    closes = np.full(40, 100.0)
    closes[20] = np.nan
    band, direction = drawn(bars_from_closes(closes), runonce, period=5)
    assert np.isnan(band[20]) and np.isnan(direction[20])
    assert np.isfinite(band[19]) and np.isfinite(direction[19])
