"""Everything that can be known before the first leg is sent: both legs pass, or none is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from pairs.words import LegOrder, PairOrder
from trading.execution.foreign_book import ForeignBook
from trading.execution.funds import Funds
from trading.execution.quotes import Quotes
from trading.execution.settings import ExecutionSettings
from trading.execution.slicing import Slicing, too_small


class PreTrade:
    """``now``: the engine's clock; ``doubts``: why the venue itself is not fit for anything new just now.

    Answers with reasons in the words that are told and journalled.
    """

    def __init__(
        self,
        quotes: Quotes,
        rules: Mapping[str, Market],
        settings: ExecutionSettings,
        foreign: ForeignBook,
        *,
        funds: Funds,
        slicing: Slicing,
        doubts: Callable[[], tuple[str, ...]],
        now: Callable[[], datetime],
    ) -> None:
        self._quotes, self._rules, self._settings, self._foreign, self._now = quotes, rules, settings, foreign, now
        self._funds, self._slicing, self._doubts = funds, slicing, doubts

    async def reasons_against(self, order: PairOrder) -> tuple[str, ...]:
        """The decision is fresh, the venue is fit, both legs pass its rules, and the account can carry them."""
        if (self._now() - order.decided_at).total_seconds() > self._settings.longest_decision_age_s:
            return ("stale_bar",)
        if known := self._foreign.reasons_against(leg.symbol for leg in order.legs) or self._doubts():
            return known
        if halted := await self._quotes.without_quote(order):
            return tuple(f"no_quote:{symbol}" for symbol in halted)
        reasons = tuple(reason for leg in order.legs for reason in self._reasons_against_leg(leg))
        return reasons or self._reasons_against_parts(order) or await self._funds.reasons_against(order)

    def _reasons_against_leg(self, leg: LegOrder) -> Iterator[str]:
        rules, most = self._rules[leg.symbol], self._rules[leg.symbol].max_amount
        if not leg.quantity.is_finite() or rules.round_amount(leg.quantity) != leg.quantity:
            yield f"off_step:{leg.symbol}"
        elif rules.kind == "spot" and leg.quantity < 0:  # there is no order that only buys back
            yield f"spot_cannot_be_sold_short:{leg.symbol}"
        elif rules.shortfall(leg.quantity, Decimal(repr(leg.reference_price))):
            yield f"below_minimum:{leg.symbol}"
        elif most is not None and abs(leg.quantity) > most:
            yield f"above_maximum:{leg.symbol}"
        if not rules.is_open:
            yield f"not_trading:{leg.symbol}"

    def _reasons_against_parts(self, order: PairOrder) -> tuple[str, ...]:
        """Whatever acceptable part of the first leg fills, its hedge can be ordered."""
        count = self._slicing.count(order)
        if count > self._settings.max_slices:
            return ("too_many_slices",)
        share = Decimal(repr(self._settings.min_fill_ratio)) / count
        hedges = self._quotes.by_liquidity(order.legs)[1:]
        return tuple(
            f"part_below_minimum:{leg.symbol}" for leg in hedges if too_small(self._rules[leg.symbol], leg, share)
        )
