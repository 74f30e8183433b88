"""Spread and z, computed at once or bar by bar, are the same floats."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccxt_bt_bridge.bt_time import num_to_ms
from feeds.array_feed import ArrayFeed
from pairs.hedge import hedge_series
from pairs.spread import rolling_statistics
from pairs.words import HedgeSpec
from strategies.spread_lines import LINES, SpreadLines
from tests.strategies.harness import HOUR_MS, cointegrated, series

METHODS = ("fixed", "ols", "tls", "johansen", "kalman")
every_method = pytest.mark.parametrize("method", METHODS)


class Holder(bt.Strategy):
    params: Any = (("settings", None),)

    def __init__(self) -> None:
        self.spread = SpreadLines(*self.datas, **self.p.settings)
        self.windows: list[np.ndarray] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        self.windows.append(self.spread.spread_window(20))


def held(legs: Any, *, at_once: bool, settings: dict[str, Any]) -> Holder:
    cerebro = bt.Cerebro(stdstats=False, runonce=at_once, preload=at_once)
    for leg in legs:
        cerebro.adddata(ArrayFeed(series=leg))
    cerebro.addstrategy(Holder, settings=settings)
    return cerebro.run()[0]


def columns(of: Holder) -> np.ndarray:
    return np.array([getattr(of.spread.lines, name).array for name in LINES])


def broken(bars: int, seed: int, holes: int) -> tuple:
    """Two legs with bars without a usable price."""
    legs = cointegrated(bars, seed)
    random = np.random.default_rng(seed)
    closes = [leg.close.copy() for leg in legs]
    for close, nothing in zip(closes, (np.nan, 0.0), strict=True):
        close[random.integers(0, bars, holes)] = nothing
    return tuple(series(leg.symbol, close) for leg, close in zip(legs, closes, strict=True))


def options(method: str, **changes: Any) -> dict[str, Any]:
    hedge = HedgeSpec(method, changes.pop("prices", "log"), 40, changes.pop("refit_every", 7), ratio=_ratio(method))
    return {"hedge": hedge, "window": 25, "interval_ms": HOUR_MS} | changes


def _ratio(method: str) -> float | None:
    return 0.9 if method == "fixed" else None


@every_method
@given(
    st.integers(0, 1000),
    st.integers(2, 130),
    st.booleans(),
    st.sampled_from([0, 1]),
    st.sampled_from(["log", "level"]),
    st.sampled_from([1, 7]),
)
@settings(deadline=None, max_examples=12)
def test_at_once_and_bar_by_bar_are_equal_to_the_last_bit(method, seed, bars, inclusive, ddof, prices, refit_every):
    legs = broken(bars, seed, holes=seed % 3)
    chosen = options(method, prices=prices, refit_every=refit_every, inclusive=inclusive, ddof=ddof)
    at_once, by_bar = (held(legs, at_once=at_once, settings=chosen) for at_once in (True, False))
    np.testing.assert_array_equal(columns(at_once), columns(by_bar))
    for one, other in zip(at_once.windows, by_bar.windows, strict=True):
        np.testing.assert_array_equal(one, other)


@every_method
def test_the_lines_fill_up_and_hold_what_the_mathematics_says(method):
    legs = cointegrated(200)
    chosen = options(method)
    spread, zscore, ratio, intercept, mean, std = columns(held(legs, at_once=False, settings=chosen))
    y, x = (np.log(leg.close) for leg in legs)
    numbers = legs[0].time_ms // HOUR_MS
    hedges = hedge_series(chosen["hedge"], y, x, numbers)
    np.testing.assert_array_equal(ratio, hedges.ratios)
    assert np.isfinite(zscore[70:]).mean() > 0.9  # johansen refuses a fit now and then
    known = np.isfinite(zscore)
    np.testing.assert_array_equal(zscore[known], ((spread - mean) / std)[known])
    if method != "kalman":
        wanted = rolling_statistics(y, x, hedges.ratios, hedges.intercepts, 25)
        np.testing.assert_array_equal(zscore, wanted.zscore)
        np.testing.assert_array_equal(spread, wanted.spread)


def test_nothing_is_known_before_the_window_is_full_and_no_period_holds_back_the_strategy():
    holder = held(cointegrated(60), at_once=True, settings=options("fixed"))
    zscore = columns(holder)[1]
    assert np.isnan(zscore[:25]).all() and np.isfinite(zscore[25:]).all()
    assert len(holder.windows) == 60


def test_the_spread_of_a_window_is_by_the_hedge_in_force_now():
    legs = cointegrated(120)
    holder = held(legs, at_once=True, settings=options("ols"))
    _, _, ratio, intercept, _, _ = columns(holder)
    y, x = (np.log(leg.close[-20:]) for leg in legs)
    np.testing.assert_allclose(holder.windows[-1], y - intercept[-1] - ratio[-1] * x, rtol=1e-12)
    assert [len(window) for window in holder.windows[:21]] == [*range(1, 21), 20]


def unequal(missing_a: set[int], missing_b: set[int]) -> tuple:
    legs = []
    for leg, missing in zip(cointegrated(60), (missing_a, missing_b), strict=True):
        numbers = np.array([number for number in range(1, 61) if number not in missing])
        legs.append(series(leg.symbol, leg.close[numbers - 1], numbers=numbers))
    return tuple(legs)


@pytest.mark.parametrize("missing", [({40}, {43}), ({43}, {40}), ({60}, {1}), (set(), {30})])
def test_legs_of_different_times_are_refused_at_once(missing):
    with pytest.raises(ValueError, match="align them first"):
        held(unequal(*missing), at_once=True, settings=options("fixed"))


@pytest.mark.parametrize("missing", [({40}, {43}), ({43}, {40}), ({41}, {40})])
def test_legs_that_would_be_matched_by_count_are_refused_bar_by_bar(missing):
    with pytest.raises(ValueError, match="align them first"):
        held(unequal(*missing), at_once=False, settings=options("kalman"))


def test_a_leg_that_lags_leaves_the_lines_unknown():
    holder = held(unequal(set(), {50}), at_once=False, settings=options("fixed"))
    times = num_to_ms(np.array(holder.data.datetime.array))
    zscore = columns(holder)[1]
    assert len(times) == len(zscore) == 60
    assert np.isfinite(zscore[25:49]).all() and np.isnan(zscore[49:]).all()
