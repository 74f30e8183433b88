"""Pair trading on several pairs at once: two datas each, one spread, one entry and one exit rule."""

from __future__ import annotations

from typing import Any

from pairs.words import Pair
from strategies.desk import Desk
from strategies.desk_strategy import DeskStrategy
from strategies.spread_lines import SpreadLines


class PairStrategy(DeskStrategy):
    """Every pair of the plan with the plan's rules. Datas: leg_a, leg_b of the first pair, then of the next."""

    def build_desk(self, pair: Pair, datas: tuple[Any, ...]) -> Desk:
        window = self.plan.spread_window
        lines = SpreadLines(
            *datas,
            hedge=pair.hedge,
            window=window.bars,
            inclusive=window.inclusive,
            ddof=window.ddof,
            interval_ms=self.plan.interval_ms,
        )
        return Desk(pair, datas, self.plan, lines)
