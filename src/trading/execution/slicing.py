"""A large order in several: how many slices there are, and how far each one goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from pairs.words import LegOrder, PairOrder
from trading.execution.settings import ExecutionSettings


class Slicing:
    """``settings.slice_notional``: the pair's gross notional per slice, quote currency; None: all at once."""

    def __init__(self, rules: Mapping[str, Market], settings: ExecutionSettings) -> None:
        self._rules, self._settings = rules, settings

    def count(self, order: PairOrder) -> int:
        """By the notional, at most one more than is allowed. No slice is so small that the venue would refuse an
        acceptable part of one of its legs."""
        most = min(self._wanted(order), self._settings.max_slices + 1)
        return next((count for count in range(most, 1, -1) if self._fits(order, count)), 1)

    def targets(self, order: PairOrder, leg: LegOrder) -> list[Decimal]:
        """What the leg holds after each slice, signed, on the venue's step; the last is all of it."""
        count, rules = self.count(order), self._rules[leg.symbol]
        parts = [rules.round_amount(leg.quantity * at / count) for at in range(1, count)]
        return [*dict.fromkeys(part for part in parts if part), leg.quantity]

    def _wanted(self, order: PairOrder) -> int:
        notional = self._settings.slice_notional
        return 1 if notional is None else max(1, math.ceil(order.gross_notional / notional))

    def _fits(self, order: PairOrder, count: int) -> bool:
        share = Decimal(repr(self._settings.min_fill_ratio)) / count
        return not any(too_small(self._rules[leg.symbol], leg, share) for leg in order.legs)


def too_small(rules: Market, leg: LegOrder, share: Decimal) -> bool:
    """Whether the venue would refuse this share of a leg."""
    return rules.shortfall(rules.round_amount(leg.quantity * share), Decimal(repr(leg.reference_price))) is not None
