"""Everything that can be known before the first leg is sent: both legs pass, or none is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from pairs.words import PairOrder
from trading.execution.foreign_book import ForeignBook
from trading.execution.quotes import Quotes
from trading.execution.settings import ExecutionSettings


class PreTrade:
    """``now``: the engine's clock. Answers with reasons in the words that are told and journalled."""

    def __init__(
        self,
        quotes: Quotes,
        rules: Mapping[str, Market],
        settings: ExecutionSettings,
        foreign: ForeignBook,
        now: Callable[[], datetime],
    ) -> None:
        self._quotes, self._rules, self._settings, self._foreign, self._now = quotes, rules, settings, foreign, now

    async def reasons_against(self, order: PairOrder) -> tuple[str, ...]:
        """The decision is fresh and both legs pass the venue's rules, before the first is sent."""
        if (self._now() - order.decided_at).total_seconds() > self._settings.longest_decision_age_s:
            return ("stale_bar",)
        if strange := self._foreign.reasons_against(leg.symbol for leg in order.legs):
            return strange
        halted = await self._quotes.without_quote(order)
        if halted:
            return tuple(f"no_quote:{symbol}" for symbol in halted)
        reasons = []
        for leg in order.legs:
            reference = Decimal(repr(leg.reference_price))
            if self._rules[leg.symbol].shortfall(leg.quantity, reference):
                reasons.append(f"below_minimum:{leg.symbol}")
            most = self._rules[leg.symbol].max_amount
            if most is not None and abs(leg.quantity) > most:
                reasons.append(f"above_maximum:{leg.symbol}")
            if not self._rules[leg.symbol].is_open:
                reasons.append(f"not_trading:{leg.symbol}")
        return tuple(reasons)
