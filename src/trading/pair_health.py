"""Whether a pair that is traded still keeps together: tested anew every so many bars, close-only where it does not.

The same in a backtest and live, on the bars that the strategy sees; by absolute bar numbers, so that a bot that starts
again comes to the same verdict. An open trade is left to its own exits; what is refused is the next entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ccxt_bt_bridge.bt_time import datetime_to_ms, num_to_ms
from pairs.cointegration import engle_granger
from pairs.half_life import half_life
from pairs.spread import transform
from pairs.windows import Array
from pairs.words import Pair
from strategies.desk import Desk


@dataclass(frozen=True, slots=True)
class HealthTerms:
    """``every_bars`` None: never tested. ``window``: the bars of a test. ``max_pvalue``: of Engle-Granger.

    ``max_hedge_drift``: relative difference of the fitted hedge ratio from the traded one. ``max_half_life_ratio``: the
    fitted half-life over the pair's own. ``max_half_lives``: the time in a trade over that.
    """

    every_bars: int | None = None
    window: int = 300
    max_pvalue: float = 0.2
    max_hedge_drift: float = 0.5
    max_half_life_ratio: float = 3.0
    max_half_lives: float = 5.0


@dataclass(frozen=True, slots=True)
class HealthChange:
    """A pair became close-only for these reasons, or may be entered again (no reasons)."""

    time: datetime
    pair_id: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        if not self.reasons:
            return f"{self.pair_id} keeps together again: it may be entered"
        return f"{self.pair_id} is close-only, no more entries: {'; '.join(self.reasons)}"


class PairHealth:
    """Looks at the desks of a strategy at each step. ``tell`` hears changes after ``trade_after``.

    ``kept``: pairs that are close-only whatever a test says, and why.
    """

    def __init__(
        self,
        terms: HealthTerms,
        *,
        interval_ms: int,
        trade_after: datetime,
        tell: Callable[[HealthChange], None],
        kept: Mapping[str, str] | None = None,
    ) -> None:
        self._terms, self._interval_ms, self._trade_after, self._tell = terms, interval_ms, trade_after, tell
        self._kept = {pair_id: (reason,) for pair_id, reason in (kept or {}).items()}
        self._found: dict[str, tuple[str, ...]] = {}
        self._told: dict[str, bool] = {}

    def look(self, time: datetime, desks: Iterable[Desk]) -> None:
        """The desks whose bar of this time has just been read, before they decide."""
        if self._terms.every_bars is None and not self._kept:
            return
        for desk in desks:
            if desk.bars and desk.time == time and desk.lines is not None:
                pair_id = desk.pair.pair_id
                if self._is_due(desk):
                    self._found[pair_id] = tuple(self._complaints(desk))
                desk.close_only = (*self._kept.get(pair_id, ()), *self._found.get(pair_id, ()))
                self._tell_change(desk, time)

    def _is_due(self, desk: Desk) -> bool:
        """At the first bar there is of each ``every_bars`` of the calendar: the very one may be missing."""
        every = self._terms.every_bars
        if every is None or len(desk.data) < max(self._terms.window, 2):
            return False
        turn_ms = every * self._interval_ms
        return datetime_to_ms(desk.time) // turn_ms > num_to_ms(desk.data.lines.datetime[-1]) // turn_ms

    def _tell_change(self, desk: Desk, time: datetime) -> None:
        pair_id, is_sick = desk.pair.pair_id, bool(desk.close_only)
        if time > self._trade_after and is_sick != self._told.get(pair_id, False):
            self._told[pair_id] = is_sick
            self._tell(HealthChange(time, pair_id, desk.close_only))

    def _complaints(self, desk: Desk) -> Iterator[str]:
        try:
            tested = _Test(*_closes(desk, self._terms.window), desk.pair)
        except ValueError as error:
            yield f"it cannot be tested: {error}"
            return
        terms, traded = self._terms, _traded_ratio(desk)
        if not tested.pvalue <= terms.max_pvalue:
            yield f"p {tested.pvalue:.2g} over {terms.window} bars, wanted {terms.max_pvalue:g} or less"
        if not abs(tested.hedge_ratio / traded - 1.0) <= terms.max_hedge_drift:
            yield f"hedge ratio {tested.hedge_ratio:.3g}, traded {traded:.3g}: drifted by more than the allowed part"
        own = desk.half_life_bars
        if own is not None and not tested.half_life_bars <= terms.max_half_life_ratio * own:
            yield f"half-life {tested.half_life_bars:.3g} bars, its own {own:.3g}"
        if own is not None and desk.bars_held > terms.max_half_lives * own:
            yield f"in its trade for {desk.bars_held} bars, {desk.bars_held / own:.1f} half-lives"


class _Test:
    """Engle-Granger of leg_a on leg_b, and the half-life of the spread that it fits."""

    def __init__(self, y: Array, x: Array, pair: Pair) -> None:
        log_or_level = pair.hedge.prices
        y, x = transform(y, log_or_level), transform(x, log_or_level)
        fitted = engle_granger(y, x)
        self.pvalue, self.hedge_ratio = fitted.pvalue, fitted.hedge_ratio
        measured = half_life(y - fitted.intercept - fitted.hedge_ratio * x).bars
        self.half_life_bars = math.inf if math.isnan(measured) else measured


def _closes(desk: Desk, bars: int) -> tuple[Array, Array]:
    first, second = (np.asarray(data.close.get(size=bars), dtype=float) for data in desk.datas)
    return first, second


def _traded_ratio(desk: Desk) -> float:
    """Of the open trade, else of the next one; NaN while there is none."""
    statistics = desk.statistics if desk.position is None else desk.position.statistics
    return math.nan if statistics is None else statistics.hedge_ratio
