"""The words of pair trading: every floor above speaks of these values.

Conventions: ``leg_a`` is the dependent variable, ``leg_b`` the regressor. Quantities are signed (+ long, - short).
A pair is *long* when ``leg_a`` is bought. Times are UTC-aware and mean a bar's close. A one-symbol strategy is a
"pair" with a single leg and no statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Protocol


class Direction(Enum):
    """Long: buy ``leg_a``, sell ``leg_b``. Short: the reverse."""

    LONG = 1
    SHORT = -1

    @property
    def sign(self) -> int:
        return self.value

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class HedgeSpec:
    """How the hedge ratio is found.

    ``method``: fixed, ols, tls, johansen or kalman. ``prices``: log (ratio of notionals) or level (ratio of
    quantities). ``window`` and ``refit_every`` in bars; ``ratio`` and ``intercept`` only with ``fixed``.
    """

    method: str = "fixed"
    prices: str = "log"
    window: int = 500
    refit_every: int = 24
    ratio: float | None = None
    intercept: float = 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair as the config names it. ``leg_b`` is None for a one-symbol strategy."""

    pair_id: str
    leg_a: str
    leg_b: str | None
    hedge: HedgeSpec = field(default_factory=HedgeSpec)
    entry_z: float | None = None
    stop_z: float | None = None
    half_life_bars: float | None = None
    formation_start: datetime | None = None
    formation_end: datetime | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        return (self.leg_a,) if self.leg_b is None else (self.leg_a, self.leg_b)

    def in_formation(self, when: datetime) -> bool:
        """True when ``when`` lies inside the window on which this pair was chosen."""
        if self.formation_start is None or self.formation_end is None:
            return False
        return self.formation_start <= when <= self.formation_end


@dataclass(frozen=True, slots=True)
class SpreadStatistics:
    """One set of statistics, frozen while a trade is open.

    ``spread = f(A) - intercept - hedge_ratio * f(B)`` with f = ln for ``prices == "log"``, the identity for "level";
    ``zscore = (spread - mean) / std``.
    """

    hedge_ratio: float
    intercept: float
    mean: float
    std: float
    prices: str = "log"

    def spread(self, price_a: float, price_b: float) -> float:
        if self.prices == "log":
            if not (price_a > 0.0 and price_b > 0.0):
                return math.nan
            return math.log(price_a) - self.intercept - self.hedge_ratio * math.log(price_b)
        return price_a - self.intercept - self.hedge_ratio * price_b

    def zscore(self, price_a: float, price_b: float) -> float:
        """NaN when the statistics are not usable (std not positive and finite)."""
        if not (self.std > 0.0 and math.isfinite(self.std)):
            return math.nan
        return (self.spread(price_a, price_b) - self.mean) / self.std


class Action(Enum):
    ENTER = "enter"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class LegOrder:
    """``quantity``: signed base units, on the venue's step. ``reference_price``: the close it was decided on."""

    symbol: str
    quantity: Decimal
    reference_price: float


@dataclass(frozen=True, slots=True)
class PairOrder:
    """What a strategy wants of one pair: both legs or none. ``legs[0]`` is ``leg_a``."""

    ref: str
    pair_id: str
    action: Action
    direction: Direction
    legs: tuple[LegOrder, ...]
    decided_at: datetime
    reason: str
    zscore: float | None = None
    statistics: SpreadStatistics | None = None
    half_life_bars: float | None = None

    @property
    def gross_notional(self) -> float:
        return sum(abs(float(leg.quantity)) * leg.reference_price for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Approved:
    order: PairOrder


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal is a value: the order that was wanted and every reason against it."""

    order: PairOrder
    reasons: tuple[str, ...]


def entry_ref(pair_id: str, when: datetime) -> str:
    """The reference of the entry that is decided at ``when``, a bar's close or a whole millisecond: one per pair."""
    fraction = f".{when.microsecond // 1000:03}" if when.microsecond else ""
    return f"{pair_id}:enter:{when:%Y%m%dT%H%M%S}{fraction}Z"


class PairState(Enum):
    """The life of a pair position; journalled before each send."""

    FLAT = "flat"
    ENTERING = "entering"
    HEDGING = "hedging"
    OPEN = "open"
    EXITING = "exiting"
    UNWINDING = "unwinding"
    HALTED = "halted"

    @property
    def is_busy(self) -> bool:
        """True while orders of this pair may be on their way."""
        return self not in (PairState.FLAT, PairState.OPEN)


@dataclass(frozen=True, slots=True)
class LegPosition:
    symbol: str
    quantity: Decimal
    entry_price: Decimal


@dataclass(frozen=True, slots=True)
class PairPosition:
    """A snapshot of one pair's position. ``gross_notional`` in quote currency, at entry."""

    pair_id: str
    state: PairState
    direction: Direction
    legs: tuple[LegPosition, ...]
    entry_time: datetime
    entry_z: float | None
    statistics: SpreadStatistics | None
    half_life_bars: float | None
    gross_notional: float

    @property
    def is_open(self) -> bool:
        return self.state is PairState.OPEN

    def unrealised_price(self, prices: Mapping[str, float]) -> float:
        """Profit of price alone, in quote currency, at the given last prices (entry price where one is missing)."""
        return sum(
            float(leg.quantity) * (prices.get(leg.symbol, float(leg.entry_price)) - float(leg.entry_price))
            for leg in self.legs
        )

    def frozen_zscore(self, prices: Mapping[str, float]) -> float:
        """z of these prices by the statistics of the entry; NaN for one leg, or where a price or those are missing."""
        if self.statistics is None or len(self.legs) < 2 or any(leg.symbol not in prices for leg in self.legs):
            return math.nan
        return self.statistics.zscore(*(prices[leg.symbol] for leg in self.legs))

    def losing_zscore(self, prices: Mapping[str, float]) -> float:
        """z of a short, -z of a long, by the statistics of the entry: the higher, the more is lost."""
        return -self.direction.sign * self.frozen_zscore(prices)

    def exit_order(self, prices: Mapping[str, float], when: datetime, reason: str) -> PairOrder:
        """An order that closes every leg, decided at ``when`` on these closes (entry price where one is missing)."""
        zscore = self.frozen_zscore(prices)
        return PairOrder(
            ref=f"{self.pair_id}:exit:{when:%Y%m%dT%H%M%SZ}",
            pair_id=self.pair_id,
            action=Action.EXIT,
            direction=self.direction,
            legs=tuple(
                LegOrder(leg.symbol, -leg.quantity, prices.get(leg.symbol, float(leg.entry_price))) for leg in self.legs
            ),
            decided_at=when,
            reason=reason,
            zscore=zscore if math.isfinite(zscore) else None,
        )


class PairBroker(Protocol):
    """The one verb of a strategy, the same in a backtest and live."""

    def submit(self, order: PairOrder) -> str:
        """Hand over a pair order; its outcome comes back through Backtrader's notifications. Returns ``order.ref``."""

    def position(self, pair_id: str) -> PairPosition | None:
        """The pair's position as last told (a cached read), None when flat."""

    def equity(self) -> float:
        """Equity in quote currency at the last bar's closes, before anything decided on that bar has filled."""
