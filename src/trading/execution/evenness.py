"""How far the two legs of a pair match: what one lacks to be the hedge of the other, what one has too much."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from pairs.words import LegOrder, PairOrder
from trading.execution.pair_ledger import PairLedger

ZERO = Decimal(0)
TOLERANCE = Decimal("0.05")  # of a leg: a rest that is too small to be ordered may be this large


class Evenness:
    """Asks the ledger; amounts are signed and on the venue's step. ``order`` is the pair's entry."""

    def __init__(self, ledger: PairLedger, rules: Mapping[str, Market]) -> None:
        self._ledger, self._rules = ledger, rules

    def held(self, order: PairOrder, leg: LegOrder) -> Decimal:
        return self._ledger.quantity(order.pair_id, leg.symbol)

    def share(self, order: PairOrder, leg: LegOrder) -> Decimal:
        """Of what was wanted of the leg."""
        return self.held(order, leg) / leg.quantity

    def larger_first(self, order: PairOrder) -> list[LegOrder]:
        """The leg of the larger share first: liquidity may have turned since, and a restart does not know it."""
        return sorted(order.legs, key=lambda leg: self.share(order, leg), reverse=True)

    def missing(self, order: PairOrder, lead: LegOrder, hedge: LegOrder) -> Decimal:
        """What the hedge lacks to match the lead; zero when that is little and too small to be ordered."""
        wanted, rules = hedge.quantity * self.share(order, lead), self._rules[hedge.symbol]
        missing = rules.round_amount(wanted - self.held(order, hedge))
        little = abs(missing) <= abs(wanted) * TOLERANCE
        if little and rules.shortfall(missing, Decimal(repr(hedge.reference_price))):
            return ZERO
        return missing if missing * hedge.quantity > 0 else ZERO

    def excess(self, order: PairOrder, lead: LegOrder, hedge: LegOrder) -> Decimal:
        """What of the lead is more than the hedge matches."""
        matched = lead.quantity * self.share(order, hedge)
        excess = self._rules[lead.symbol].round_amount(self.held(order, lead) - matched)
        return excess if excess * lead.quantity > 0 else ZERO

    def is_even(self, order: PairOrder) -> bool:
        """True for two legs that hedge each other, for none, and for a single one."""
        lead, *others = self.larger_first(order)
        return not any(self.missing(order, lead, hedge) for hedge in others)

    def is_hedged(self, order: PairOrder) -> bool:
        """All legs hold the same share of what was wanted, and hold some."""
        shares = [self.share(order, leg) for leg in order.legs]
        return min(shares) > 0 and max(shares) - min(shares) <= max(shares) * TOLERANCE
