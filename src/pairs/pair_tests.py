"""What a scan is asked and what it finds, one row a pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pairs.unit_root import LAG_RULES, Autolag
from pairs.windows import Array

Integers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Terms:
    """How to test: ``max_lag`` and ``autolag`` as in ``engle_granger``; ``reverse`` also tests second on first;
    ``diagnostics`` adds what is no cointegration test (``adf_*``, ``half_life_*``, ``zero_crossings``).

    Raises ValueError for an unknown ``autolag``.
    """

    max_lag: int | None = None
    autolag: Autolag = "aic"
    reverse: bool = True
    diagnostics: bool = True

    def __post_init__(self) -> None:
        if self.autolag not in LAG_RULES:
            raise ValueError(f"wanted autolag of {LAG_RULES}, found {self.autolag!r}")


@dataclass(frozen=True, slots=True)
class Block:
    """The pairs of symbols ``rows`` with symbols ``columns`` (half-open ranges); within one range, each pair once."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def pairs(self) -> int:
        height, width = (stop - start for start, stop in (self.rows, self.columns))
        return height * (height - 1) // 2 if self.rows == self.columns else height * width


@dataclass(frozen=True, slots=True)
class PairTests:
    """Flat arrays, one row a pair of symbols ``first`` < ``second`` (rows of the prices): leg_a and leg_b.

    ``log(first) = intercept + hedge_ratio · log(second) + spread``. ``coint_*``: Engle-Granger of first on second;
    ``coint_*_reverse`` of second on first. ``adf_*``: Dickey-Fuller with a constant on the spread as if its hedge ratio
    had been known, a diagnostic and no gate. ``half_life_*`` in bars, with the 90 % interval. ``correlation`` of the
    changes; ``spread_std`` in logs; ``zero_crossings`` of the spread. ``collinear``: one series twice, both t -inf and
    both p 0; such rows belong to no count of tests. What was not asked for is NaN, or -1 among the integers.
    """

    first: Integers
    second: Integers
    n_bars: Integers
    hedge_ratio: Array
    intercept: Array
    coint_t: Array
    coint_p: Array
    coint_lag: Integers
    coint_t_reverse: Array
    coint_p_reverse: Array
    coint_lag_reverse: Integers
    adf_t: Array
    adf_p: Array
    adf_lag: Integers
    half_life_bars: Array
    half_life_low: Array
    half_life_high: Array
    correlation: Array
    spread_std: Array
    zero_crossings: Integers
    collinear: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> PairTests:
        """The rows of these positions, or of this mask."""
        return PairTests(*(getattr(self, field.name)[rows] for field in fields(self)))


def join(parts: Iterable[PairTests]) -> PairTests:
    """All rows of the parts, by first and then second symbol, whatever the order of the parts."""
    given = list(parts)
    if len(given) == 1:  # a block is in order
        return given[0]
    whole = PairTests(*(np.concatenate([getattr(part, field.name) for part in given]) for field in fields(PairTests)))
    return whole.take(np.lexsort((whole.second, whole.first)))
