"""How much of a pair to hold: its gross notional, and the two legs' quantities.

Plain arithmetic on floats. What cannot be computed (a missing, NaN, infinite or non-positive input) is a size of 0.0,
never NaN and never negative, so that an unknown does not turn into an order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

METHODS = ("fixed", "risk", "kelly", "volatility")
NEUTRALITIES = ("beta", "dollar")
PRICES = ("log", "level")


@dataclass(frozen=True, slots=True)
class SizingSpec:
    """How a pair is sized. All numbers but ``max_leverage`` are fractions (0.1 = 10 %), all of equity unless said.

    ``position_size``: gross notional, ``fixed`` only. ``risk_per_trade``: lost when the stop is hit, ``risk`` only.
    ``target_volatility``: standard deviation of the pair's profit in one bar, ``volatility`` only. ``kelly_shrink``:
    the part of Kelly's fraction that is used, ``kelly_cap`` its upper limit, ``kelly`` only. ``max_pair_fraction``
    limits every method but ``fixed``, ``max_leverage`` every method. Raises ValueError for an unknown word.
    """

    method: str = "fixed"
    neutrality: str = "beta"
    position_size: float = 0.1
    risk_per_trade: float = 0.01
    target_volatility: float = 0.0002
    kelly_shrink: float = 0.5
    kelly_cap: float = 0.25
    scale_by_strength: bool = False
    max_pair_fraction: float = 0.1
    max_leverage: float = 2.0

    def __post_init__(self) -> None:
        _check_word("sizing method", self.method, METHODS)
        _check_word("neutrality", self.neutrality, NEUTRALITIES)


@dataclass(frozen=True, slots=True)
class SizingInputs:
    """What is known when a pair is entered. Only ``equity`` (quote currency) is always needed.

    ``strength``: of the signal, 0 to 1. Fractions of the pair's gross notional: ``stop_distance``, lost when the stop
    is hit; ``spread_volatility``, standard deviation of one bar's profit; ``expected_return`` and
    ``return_volatility``, mean and standard deviation of a whole trade's profit after costs.
    """

    equity: float
    strength: float = 1.0
    stop_distance: float | None = None
    spread_volatility: float | None = None
    expected_return: float | None = None
    return_volatility: float | None = None


def gross_notional(spec: SizingSpec, inputs: SizingInputs) -> float:
    """Gross notional of the pair (both legs together) in quote currency, 0.0 when it cannot be computed.

    With equity E: fixed ``position_size * E``; risk ``risk_per_trade / stop_distance * E``; volatility
    ``target_volatility / spread_volatility * E``; kelly ``min(shrink * μ / σ², cap) * E``, with the mean μ and
    variance σ² of a trade's return (Thorp 2006, The Kelly criterion in blackjack, sports betting and the stock
    market: the growth-optimal fraction of a small edge). Then the limits, then, on request, times the strength, so
    that a weak signal is smaller than a strong one also at a limit.

    >>> gross_notional(SizingSpec(), SizingInputs(10_000.0))
    1000.0
    >>> gross_notional(SizingSpec("risk", risk_per_trade=0.001), SizingInputs(10_000.0, stop_distance=0.05))
    200.0
    >>> gross_notional(SizingSpec("risk"), SizingInputs(10_000.0, stop_distance=0.001))  # 10 % a pair
    1000.0
    >>> kelly = SizingSpec("kelly", max_pair_fraction=1.0)
    >>> gross_notional(kelly, SizingInputs(10_000.0, expected_return=0.025, return_volatility=0.25))
    2000.0
    >>> gross_notional(kelly, SizingInputs(10_000.0, expected_return=-0.025, return_volatility=0.25))
    0.0
    """
    equity = _usable(inputs.equity)
    limit = _usable(spec.max_leverage) * equity
    if spec.method != "fixed":
        limit = min(limit, _usable(spec.max_pair_fraction) * equity)
    gross = min(_fraction(spec, inputs) * equity, limit)
    if spec.scale_by_strength:
        gross *= min(_usable(inputs.strength), 1.0)
    return _usable(gross)


def split_gross(
    gross: float, hedge_ratio: float, price_a: float, price_b: float, *, prices: str, neutrality: str
) -> tuple[float, float]:
    """``(quantity_a, quantity_b)``, unsigned base units, whose notionals add up to ``gross``.

    Beta neutrality: ``notional_b = |β| · notional_a`` for a hedge ratio in logs, ``quantity_b = |β| · quantity_a``
    for one in levels. Dollar neutrality: equal notionals, which leaves the rest of β unhedged. Both or none: (0, 0)
    when either leg cannot be computed. Raises ValueError for an unknown word.

    >>> split_gross(3000.0, 0.5, 100.0, 10.0, prices="log", neutrality="beta")
    (20.0, 100.0)
    >>> split_gross(3000.0, 5.0, 100.0, 10.0, prices="level", neutrality="beta")
    (20.0, 100.0)
    >>> split_gross(3000.0, 0.5, 100.0, 10.0, prices="log", neutrality="dollar")
    (15.0, 150.0)
    """
    _check_word("prices", prices, PRICES)
    _check_word("neutrality", neutrality, NEUTRALITIES)
    beta = abs(hedge_ratio)
    if not all(map(_usable, (gross, beta, price_a, price_b))):
        return 0.0, 0.0
    weight = 1.0 if neutrality == "dollar" else _notional_ratio(beta, price_a, price_b, prices)
    notional_a = gross / (1.0 + weight)
    quantity_a, quantity_b = _usable(notional_a / price_a), _usable(weight * notional_a / price_b)
    return (quantity_a, quantity_b) if quantity_a and quantity_b else (0.0, 0.0)


def fraction_of_gross(move: float, hedge_ratio: float, price_a: float, price_b: float, *, prices: str) -> float:
    """The profit, as a fraction of the gross notional, when the spread of a beta-neutral pair moves by ``move``.

    In logs ``move / (1 + |β|)``, in levels ``move / (A + |β| B)``: the bridge from a stop or a volatility in units of
    the spread to ``SizingInputs``. NaN when it cannot be computed. Raises ValueError for an unknown word.

    >>> fraction_of_gross(0.03, 0.5, 100.0, 10.0, prices="log")
    0.02
    >>> fraction_of_gross(3.0, 5.0, 100.0, 10.0, prices="level")
    0.02
    """
    _check_word("prices", prices, PRICES)
    beta = abs(hedge_ratio)
    if not all(map(_usable, (beta, price_a, price_b))):
        return math.nan
    return move / (1.0 + beta) if prices == "log" else move / (price_a + beta * price_b)


def _fraction(spec: SizingSpec, inputs: SizingInputs) -> float:
    """Gross notional ÷ equity by the method alone, before any limit; possibly infinite."""
    if spec.method == "fixed":
        return _usable(spec.position_size)
    if spec.method == "risk":
        return _ratio(spec.risk_per_trade, inputs.stop_distance)
    if spec.method == "volatility":
        return _ratio(spec.target_volatility, inputs.spread_volatility)
    deviation = _usable(inputs.return_volatility)
    kelly = _usable(spec.kelly_shrink) * _ratio(inputs.expected_return, deviation * deviation)
    return min(kelly, _usable(spec.kelly_cap))


def _notional_ratio(beta: float, price_a: float, price_b: float, prices: str) -> float:
    return beta if prices == "log" else beta * price_b / price_a


def _ratio(numerator: float | None, denominator: float | None) -> float:
    bottom = _usable(denominator)
    return _usable(numerator) / bottom if bottom else 0.0


def _usable(value: float | None) -> float:
    """The value when it is positive and finite, else 0.0."""
    return float(value) if value is not None and 0.0 < value < math.inf else 0.0


def _check_word(what: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise ValueError(f"wanted {what} out of {', '.join(known)}, found {word!r}")
