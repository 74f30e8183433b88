"""From a target to a pair order: how much of each leg, on the venue's steps, or why not."""

from __future__ import annotations

import math
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from mixins.base import EntryAnswer, View
from pairs.sizing import SizingInputs, SizingSpec, gross_notional, split_gross
from pairs.words import LegOrder
from strategies.plan import StrategyPlan

MAX_HEDGE_ERROR = 0.05


def entry_legs(
    plan: StrategyPlan, view: View, answer: EntryAnswer, equity: float
) -> tuple[tuple[LegOrder, ...], str | None]:
    """Signed leg orders for an entry, or no legs and the reason."""
    gross = gross_notional(plan.sizing, _inputs(plan, view, answer, equity))
    if not gross > 0.0:
        return (), "size_is_zero"
    wanted = _quantities(plan.sizing, view, gross)
    assert answer.direction is not None
    sign = answer.direction.sign
    prices = (view.price_a, view.price_b)
    legs = []
    for symbol, quantity, price, side in zip(view.pair.symbols, wanted, prices, (sign, -sign), strict=False):
        amount = plan.markets[symbol].round_amount(Decimal(repr(quantity))) * side
        legs.append(LegOrder(symbol, amount, price))
    reason = _shortfall(legs, plan.markets) or _hedge_error(legs, wanted)
    return ((), reason) if reason else (tuple(legs), None)


def _inputs(plan: StrategyPlan, view: View, answer: EntryAnswer, equity: float) -> SizingInputs:
    statistics = view.statistics
    edge = (abs(view.zscore) - view.exit_level) * statistics.std if statistics else math.nan
    return SizingInputs(
        equity=equity,
        strength=answer.strength,
        stop_distance=plan.stop_distance,
        spread_volatility=statistics.std if statistics else None,
        expected_return=edge if math.isfinite(edge) else None,
    )


def _quantities(spec: SizingSpec, view: View, gross: float) -> tuple[float, ...]:
    if view.pair.leg_b is None:
        return (gross / view.price_a,)
    statistics = view.statistics
    assert statistics is not None
    return split_gross(
        gross,
        statistics.hedge_ratio,
        view.price_a,
        view.price_b,
        prices=statistics.prices,
        neutrality=spec.neutrality,
    )


def _shortfall(legs: list[LegOrder], markets: dict[str, Market]) -> str | None:
    for leg in legs:
        if markets[leg.symbol].shortfall(leg.quantity, Decimal(repr(leg.reference_price))):
            return f"below_minimum:{leg.symbol}"
    return None


def _hedge_error(legs: list[LegOrder], wanted: tuple[float, ...]) -> str | None:
    """Rounding onto the steps must not break the ratio between the legs."""
    if len(legs) < 2:
        return None
    kept = [abs(float(leg.quantity)) / quantity for leg, quantity in zip(legs, wanted, strict=True)]
    return "rounding_breaks_hedge" if abs(kept[0] / kept[1] - 1.0) > MAX_HEDGE_ERROR else None
