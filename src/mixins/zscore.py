"""The rules of a mean-reverting pair: enter when z has just left its band, leave when it is back, broke or dawdles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from mixins.base import HOLD, EntryAnswer, EntryMixin, ExitAnswer, ExitMixin, View
from mixins.params import parameter
from pairs.words import Direction, Pair, SpreadStatistics

HOLD_BARS_WHEN_UNKNOWN = 24.0


@dataclass(frozen=True)
class ZScoreEntryParams:
    e_window: int = parameter(100, "bars of the rolling mean and deviation of the spread", min=2, max=100_000)
    e_entry_z: float = parameter(2.0, "enter when |z| crosses this (a pair's own threshold wins)", above=0.0, max=100.0)
    e_min_edge: float = parameter(
        1.0, "expected reversion must be this many times the round-trip cost; 0 = do not ask", min=0.0, max=1000.0
    )
    e_statistics_window: str = parameter(
        "exclusive", "whether the window leaves the current bar out", choices=("exclusive", "inclusive")
    )
    e_ddof: int = parameter(1, "divisor of the variance: window - ddof", choices=(0, 1))


class ZScoreEntryMixin(EntryMixin):
    """Enter against a spread that has just crossed its entry threshold.

    *Reads:* z of this bar and the one before, the statistics behind it, the exit rule's levels, the costs.
    *Decides:* short above ``+entry``, long below ``-entry``, when all hold: ``entry <= |z| < stop``; the bar before was
    on the near side of the threshold (unknown is not near); the hedge ratio is positive; and the expected reversion
    ``(|z| - exit) * std`` is at least ``e_min_edge`` times the cost of a round trip held for one half-life (24 bars
    when that is unknown). ``strength`` is ``|z| / stop``, or ``|z| / (2 * entry)`` at most 1 when no stop is known.

    Answers "no" with: not_ready, below_entry, beyond_stop, no_fresh_crossing, bad_hedge_ratio, edge_below_cost.
    """

    Params: ClassVar[type] = ZScoreEntryParams
    market: ClassVar[str] = "pair"

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        return params.e_window + (params.e_statistics_window == "exclusive")

    @property
    def entry_level(self) -> float:
        """The pair's own threshold, else the rule's."""
        return self.view.pair.entry_z or self.params.e_entry_z

    def decide(self) -> EntryAnswer:
        z = self.view.zscore
        refusal = self._refusal(z)
        if refusal is not None:
            return EntryAnswer(None, 0.0, refusal)
        return EntryAnswer(Direction.SHORT if z > 0 else Direction.LONG, self._strength(abs(z)), "entry")

    def _refusal(self, z: float) -> str | None:
        if not math.isfinite(z):
            return "not_ready"
        if abs(z) < self.entry_level:
            return "below_entry"
        if abs(z) >= self.view.stop_level:
            return "beyond_stop"
        if not self._crossed_now(z):
            return "no_fresh_crossing"
        statistics = self.view.statistics
        if statistics is None:
            return "not_ready"
        if not (math.isfinite(statistics.hedge_ratio) and statistics.hedge_ratio > 0.0):
            return "bad_hedge_ratio"
        return None if self._pays(abs(z), statistics) else "edge_below_cost"

    def _crossed_now(self, z: float) -> bool:
        previous = self.view.previous_zscore
        return previous < self.entry_level if z > 0 else previous > -self.entry_level

    def _pays(self, distance: float, statistics: SpreadStatistics) -> bool:
        view, wanted = self.view, self.params.e_min_edge
        if wanted == 0:
            return True
        hold_hours = (view.half_life_bars or HOLD_BARS_WHEN_UNKNOWN) * view.bar_hours
        cost = view.costs.round_trip(statistics, view.price_a, view.price_b, hold_hours=hold_hours)
        return (distance - view.exit_level) * statistics.std >= wanted * cost

    def _strength(self, distance: float) -> float:
        full = self.view.stop_level if math.isfinite(self.view.stop_level) else 2.0 * self.entry_level
        return min(1.0, distance / full)


@dataclass(frozen=True)
class ZScoreExitParams:
    x_exit_z: float = parameter(0.5, "leave when |z| is back at this", min=0.0, max=100.0)
    x_stop_z: float = parameter(4.0, "leave when z has run this far (a pair's own stop wins)", above=0.0, max=1000.0)
    x_max_half_lives: float = parameter(3.0, "leave after this many half-lives; 0 = never", min=0.0, max=1000.0)
    x_cooldown_bars: int = parameter(12, "bars without entries after an exit's latch opens", min=0, max=100_000)
    x_statistics: str = parameter(
        "frozen", "z by the statistics frozen at entry, or by the rolling ones", choices=("frozen", "rolling")
    )


class ZScoreExitMixin(ExitMixin):
    """Leave a pair trade that has reverted, broken or taken too long.

    *Reads:* the frozen (or rolling) z, the side of the position, bars held, half-life.
    *Decides:* with ``d`` the z on the losing side (z of a short, -z of a long): "stop" when ``d >= stop``; "reversion"
    when ``d <= exit``, which is ``|z| <= exit`` or a z that has crossed to the other side; "half_life_timeout" after
    ``x_max_half_lives`` half-lives. In that order. An unknown z holds, with reason not_ready.
    """

    Params: ClassVar[type] = ZScoreExitParams
    market: ClassVar[str] = "pair"

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.exit_level = params.x_exit_z
        self.stop_level = view.pair.stop_z or params.x_stop_z
        self.cooldown_bars = params.x_cooldown_bars

    @classmethod
    def frozen_stop(cls, params: Any, pair: Pair) -> float:
        return cls.stop_alone(params, pair) if params.x_statistics == "frozen" else math.inf

    @classmethod
    def stop_alone(cls, params: Any, pair: Pair) -> float:
        return float(pair.stop_z or params.x_stop_z)

    def decide(self) -> ExitAnswer:
        position = self.view.position
        z = self.view.zscore if self.params.x_statistics == "rolling" else self.view.frozen_zscore
        if position is None or not math.isfinite(z):
            return ExitAnswer(False, "not_ready")
        loss_side = -position.direction.sign * z
        if loss_side >= self.stop_level:
            return ExitAnswer(True, "stop")
        if loss_side <= self.exit_level:
            return ExitAnswer(True, "reversion")
        return ExitAnswer(True, "half_life_timeout") if self._took_too_long() else HOLD

    def is_calm(self) -> bool:
        return abs(self.view.zscore) <= self.exit_level

    def _took_too_long(self) -> bool:
        half_life, allowed = self.view.half_life_bars, self.params.x_max_half_lives
        return half_life is not None and allowed > 0 and self.view.bars_held >= allowed * half_life
