"""From a target to a pair order: how much of each leg, on the venue's steps, or why not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from ccxt_bt_bridge.words import Market
from mixins.base import EntryAnswer, View
from pairs.sizing import SizingInputs, SizingSpec, fraction_of_gross, gross_notional, split_gross
from pairs.words import LegOrder
from strategies.plan import StrategyPlan

MAX_HEDGE_ERROR = 0.05
DEFAULT_HOLD_BARS = 24.0


class SizingView(View, Protocol):
    """A rule's view, and how much the spread (or the price, as a fraction) moves in one bar."""

    def change_volatility(self) -> float: ...


def entry_legs(
    plan: StrategyPlan, view: SizingView, answer: EntryAnswer, equity: float
) -> tuple[tuple[LegOrder, ...], str | None]:
    """Signed leg orders for an entry, or no legs and the reason."""
    gross = gross_notional(plan.sizing, _inputs(plan, view, answer, equity))
    if not gross > 0.0:
        return (), "size_is_zero"
    wanted = _quantities(plan.sizing, view, gross)
    if not all(0.0 < quantity < math.inf for quantity in wanted):
        return (), "size_is_zero"
    assert answer.direction is not None
    sign = answer.direction.sign
    markets = [plan.markets[symbol] for symbol in view.pair.symbols]
    amounts = _on_steps(wanted, markets)
    legs = tuple(
        LegOrder(market.symbol, amount * side, price)
        for market, amount, price, side in zip(
            markets, amounts, (view.price_a, view.price_b), (sign, -sign), strict=False
        )
    )
    reason = _shortfall(legs, plan.markets) or _hedge_error(amounts, wanted)
    return ((), reason) if reason else (legs, None)


def _on_steps(wanted: tuple[float, ...], markets: list[Market]) -> list[Decimal]:
    """Quantities on the venue's steps: the coarser leg is rounded first, the other follows what was left of it."""
    exact = [Decimal(repr(quantity)) for quantity in wanted]
    rounded = [market.round_amount(quantity) for market, quantity in zip(markets, exact, strict=True)]
    coarser = min(range(len(exact)), key=lambda leg: rounded[leg] / exact[leg])
    # Its own amount is taken as it is: divided and multiplied again it may lose its last digit, and so a whole step.
    follow = [quantity * rounded[coarser] / exact[coarser] for quantity in exact]
    return [rounded[leg] if leg == coarser else markets[leg].round_amount(follow[leg]) for leg in range(len(exact))]


def _inputs(plan: StrategyPlan, view: SizingView, answer: EntryAnswer, equity: float) -> SizingInputs:
    statistics = view.statistics
    if statistics is None:
        return SizingInputs(
            equity=equity,
            strength=answer.strength,
            stop_distance=plan.stop_distance,
            spread_volatility=view.change_volatility(),
        )
    scale = fraction_of_gross(1.0, statistics.hedge_ratio, view.price_a, view.price_b, prices=statistics.prices)
    z = abs(view.zscore)
    hold_hours = (view.half_life_bars or DEFAULT_HOLD_BARS) * view.bar_hours
    cost = view.costs.round_trip(statistics, view.price_a, view.price_b, hold_hours=hold_hours)
    to_stop = (view.stop_level - z) * statistics.std * scale
    return SizingInputs(
        equity=equity,
        strength=answer.strength,
        stop_distance=min(to_stop, plan.stop_distance or math.inf),
        spread_volatility=view.change_volatility() * scale if plan.sizing.method == "volatility" else None,
        expected_return=((z - view.exit_level) * statistics.std - cost) * scale,
        return_volatility=statistics.std * scale,
    )


def _quantities(spec: SizingSpec, view: SizingView, gross: float) -> tuple[float, ...]:
    if view.pair.leg_b is None:
        return (gross / view.price_a if view.price_a > 0.0 else 0.0,)
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


def _shortfall(legs: tuple[LegOrder, ...], markets: Mapping[str, Market]) -> str | None:
    for leg in legs:
        if markets[leg.symbol].shortfall(leg.quantity, Decimal(repr(leg.reference_price))):
            return f"below_minimum:{leg.symbol}"
    return None


def _hedge_error(amounts: list[Decimal], wanted: tuple[float, ...]) -> str | None:
    """Rounding onto the steps must not break the ratio between the legs."""
    if len(amounts) < 2:
        return None
    kept = [float(amount) / quantity for amount, quantity in zip(amounts, wanted, strict=True)]
    return "rounding_breaks_hedge" if abs(kept[0] / kept[1] - 1.0) > MAX_HEDGE_ERROR else None
