"""One direction of many pairs: y on x, from hedge ratios to t statistics, a cache's worth of spreads at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairs.lag_products import LagProducts, Symbols
from pairs.spread_moments import NestedFits, Room, SpreadMoments
from pairs.unit_root import TERMS, Autolag, best_lags
from pairs.windows import Array

# where a subtraction leaves less than these shares, rounding nears the eighth digit: such pairs are fitted one by one
UNEXPLAINED, REMAINING, PIVOT = 1e-4, 1e-4, 1e-5

Which = slice | NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of each pair: the symbols at these positions (pairs,) of a group."""

    group: Symbols
    position: NDArray[np.intp]

    def of_each(self, values: Array) -> Array:
        """The values (…, symbols) of this leg of each pair."""
        return values.take(self.position, axis=-1)

    def part(self, which: Which) -> Leg:
        return Leg(self.group, self.position[which])


class DirectedTests:
    """Dickey-Fuller tests of the spreads ``y - ratio * x`` of ``pairs`` over ``bars`` bars.

    All (pairs,): ``ratio``; ``squares``, the sums of the squared spreads; ``lags`` and ``lags_constant``, as chosen in
    the tests without and with a constant; ``doubtful``, True where rounding may have touched a statistic.
    """

    def __init__(self, y: Leg, x: Leg, pairs: LagProducts, *, bars: int, room: Room) -> None:
        self._y, self._x, self._pairs, self._bars, self._room = y, x, pairs, bars, room
        self._most = len(pairs.crossed) - 1
        own = y.of_each(y.group.squares)
        self.ratio = pairs.levels / x.of_each(x.group.squares)
        self.squares = own - self.ratio * pairs.levels
        self.doubtful = ~(self.squares > UNEXPLAINED * own)
        self.lags = self.lags_constant = np.full(len(own), self._most)

    def choose_lags(self, rule: Autolag, *, constant: bool) -> None:
        """Let the rule choose each spread's lags, also in the test with a constant if that is wanted."""
        chosen = np.empty((2, len(self.ratio)), dtype=np.intp)
        chunk = self._room.spreads(self._most)
        for start in range(0, len(self.ratio), chunk):
            part = slice(start, start + chunk)
            fits = self._room.fit(self._moments(part, self._most), constant=constant)
            self._doubt(part, fits[0].pivot)
            for row, (fit, terms) in enumerate(zip(fits, (TERMS["n"], TERMS["c"]), strict=True)):
                if row == 0 or constant:
                    chosen[row, part] = best_lags(fit.residuals(), rows=fit.rows, terms=terms, autolag=rule)
        self.lags, self.lags_constant = chosen[0], chosen[int(constant)]

    def statistics(self, *, constant: bool) -> Array:
        """The t of each spread's level with the lags chosen for it, in the test without or with a constant."""
        lags = self.lags_constant if constant else self.lags
        found = np.empty(len(lags))
        for lag in np.unique(lags).tolist():
            these, chunk = np.flatnonzero(lags == lag), self._room.spreads(lag)
            for start in range(0, len(these), chunk):
                part = these[start : start + chunk]
                fit: NestedFits = self._room.fit(self._moments(part, lag), constant=constant)[constant]
                found[part] = fit.statistic(terms=int(constant))
                self._doubt(part, np.where(np.isfinite(found[part]), fit.pivot, 0.0))
        return found

    def reversion(self) -> tuple[Array, Array]:
        """``phi`` of an AR(1) with a constant over all bars, and its standard error."""
        points = self._bars - 1.0
        first, last = (
            self._y.of_each(self._y.group.levels[:, bar]) - self.ratio * self._x.of_each(self._x.group.levels[:, bar])
            for bar in (0, -1)
        )
        own, other = (leg.of_each(leg.group.returns) for leg in (self._y, self._x))
        moves = own - self.ratio * (2.0 * self._pairs.returns - self.ratio * other)
        rise, squares = last - first, self.squares - last * last * (1.0 + 1.0 / points)
        cross = 0.5 * (last * last - first * first - moves - rise * rise / points) + last * rise / points
        slope = cross / squares
        return 1.0 + slope, np.sqrt((moves - slope * cross) / (points - 2.0) / squares)

    def _moments(self, which: Which, lags: int) -> SpreadMoments:
        """What the tests with up to ``lags`` lags of some spreads need."""
        y, x, ratio = self._y.part(which), self._x.part(which), self.ratio[which]
        own, other = (leg.of_each(leg.group.lagged[: lags + 1]) for leg in (y, x))
        products = own - ratio * (self._pairs.crossed[: lags + 1, which] - ratio * other)
        self._doubt(which, products[0] / (own[0] + ratio * ratio * other[0]) * (PIVOT / REMAINING))
        tail = y.of_each(y.group.tail[: lags + 1]) - ratio * x.of_each(x.group.tail[: lags + 1])
        head = y.of_each(y.group.head) - ratio * x.of_each(x.group.head)
        return SpreadMoments(products, head, tail, self.squares[which], self._bars).beginning_earlier()

    def _doubt(self, which: Which, share: Array) -> None:
        self.doubtful[which] |= ~(share > PIVOT)
