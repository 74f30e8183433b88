"""One symbol with an entry and an exit rule: a desk with a single leg and no spread."""

from __future__ import annotations

from typing import Any

from pairs.words import Pair
from strategies.desk import Desk
from strategies.desk_strategy import DeskStrategy


class CustomStrategy(DeskStrategy):
    """Each symbol of the plan with the plan's rules; one data each."""

    def build_desk(self, pair: Pair, datas: tuple[Any, ...]) -> Desk:
        return Desk(pair, datas, self.plan, None)
