"""Bar by bar and in one go: the same hedge to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from pairs.hedge import HedgeTracker, hedge_series
from pairs.words import HedgeSpec


def walks(bars: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    x = 4.0 + np.cumsum(rng.normal(0, 0.01, bars))
    return 0.3 + 0.8 * x + rng.normal(0, 0.01, bars), x


@pytest.mark.parametrize("method", ["fixed", "ols", "tls", "johansen", "kalman"])
@pytest.mark.parametrize("hole", [None, 140])
def test_a_tracker_follows_the_series_to_the_last_bit(method, hole):
    y, x = walks(300)
    numbers = 1000 + np.arange(300)
    if hole:
        numbers[hole:] += 17
    spec = HedgeSpec(method, window=60, refit_every=24, ratio=0.9)
    whole = hedge_series(spec, y, x, numbers)
    tracker = HedgeTracker(spec, keep=41)
    for t in range(300):
        tail = slice(max(0, t - 79), t + 1)
        now = tracker.step(y[tail], x[tail], numbers[tail])
        np.testing.assert_array_equal([now.ratio, now.intercept], [whole.ratios[t], whole.intercepts[t]])
        last = tracker.last_hedges(y[max(0, t - 40) : t + 1], x[max(0, t - 40) : t + 1])
        np.testing.assert_array_equal(last.errors[-1], whole.errors[t])
        if method == "kalman":
            np.testing.assert_array_equal(last.errors, whole.errors[max(0, t - 40) : t + 1])


def test_a_restart_in_the_middle_refits_on_the_same_bars():
    y, x = walks(400)
    numbers = 5000 + np.arange(400)
    spec = HedgeSpec("ols", window=60, refit_every=24)
    whole = hedge_series(spec, y, x, numbers)
    late = hedge_series(spec, y[131:], x[131:], numbers[131:])
    settled = 60 + 24
    np.testing.assert_array_equal(late.ratios[settled:], whole.ratios[131 + settled :])
