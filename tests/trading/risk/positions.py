"""Pair orders and positions for tests of risk: a pair of two symbols that nobody else has, or shared ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from pairs.words import Action, Direction, LegOrder, LegPosition, PairOrder, PairPosition, PairState

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)


def entry(pair: str, legs: Mapping[str, float], prices: Mapping[str, float], when: datetime = NOON) -> PairOrder:
    wanted = tuple(LegOrder(symbol, Decimal(str(amount)), prices[symbol]) for symbol, amount in legs.items())
    return PairOrder(f"{pair}:{when}", pair, Action.ENTER, Direction.LONG, wanted, when, "entry")


def holding(
    pair: str, legs: Mapping[str, float], prices: Mapping[str, float], state: PairState = PairState.OPEN
) -> PairPosition:
    """Entered at ``prices``."""
    held = tuple(
        LegPosition(symbol, Decimal(str(amount)), Decimal(str(prices[symbol]))) for symbol, amount in legs.items()
    )
    gross = sum(abs(amount) * prices[symbol] for symbol, amount in legs.items())
    return PairPosition(pair, state, Direction.LONG, held, NOON, None, None, None, gross)
