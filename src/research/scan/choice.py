"""Which of the tested pairs are worth trading, and by how much the others fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairs.pair_tests import PairTests
from research.scan.figures import Figures
from research.scan.settings import Gates, ScanSettings

Floats = NDArray[np.float64]
Row = int  # of the tested pairs


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """One question about every pair: ``fails`` holds where ``values`` are not as wanted. Unknown (NaN) fails."""

    name: str
    values: Floats
    fails: NDArray[np.bool_]
    wanted: str

    def reason(self, row: Row) -> str:
        """``half_life_hours 41.3, wanted below 24``"""
        return f"{self.name} {_number(self.values[row])}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class Choice:
    """``chosen``: rows of the pairs to trade, best first; ``passing``: rows that pass every gate, chosen or not.

    ``near``: rows of the pairs that fail but come next. ``reasons``: for each row why it is not chosen, "" when it is.
    ``figures``: of the rows that were looked at closely.
    """

    chosen: tuple[Row, ...]
    passing: tuple[Row, ...]
    near: tuple[Row, ...]
    reasons: tuple[str, ...]
    figures: dict[Row, Figures]


NEAREST = 10


def choose(
    tests: PairTests,
    q_values: Floats,
    q_values_both: Floats,
    settings: ScanSettings,
    look_closely: Callable[[Row], Figures],
    names: Sequence[str],
) -> Choice:
    """``look_closely`` is asked for pairs that pass the cheap gates, and for those next to them.

    ``names``: the pairs' ids, for the reasons. Pairs are taken by p-value, then by half-life.
    """
    cheap = list(cheap_gates(tests, q_values, q_values_both, settings))
    failing = np.logical_or.reduce([gate.fails for gate in cheap])
    order = np.lexsort((tests.half_life_bars, tests.coint_p)).tolist()
    first = [row for row in order if not failing[row]]
    nearest = [row for row in order if failing[row]][:NEAREST]
    figures = {row: look_closely(row) for row in first + nearest}
    complaints = {row: list(close_complaints(figures[row], settings.gates)) for row in figures}
    passing = [row for row in first if not complaints[row]]
    chosen, left = _taken(passing, tests, settings, names)
    reasons = [
        left.get(row) or "; ".join([gate.reason(row) for gate in cheap if gate.fails[row]] + complaints.get(row, []))
        for row in range(len(tests))
    ]
    near = [row for row in first if complaints[row]] + nearest
    return Choice(tuple(chosen), tuple(passing), tuple(near[:NEAREST]), tuple(reasons), figures)


def cheap_gates(tests: PairTests, q_values: Floats, q_values_both: Floats, settings: ScanSettings) -> Iterator[Gate]:
    """The gates that cost nothing once the tests are made.

    Tests of one scan share their symbols, so that false finds come in clumps and Benjamini-Hochberg of one direction
    lets twice as many through as it is asked for; of the larger p of both directions it keeps its word.
    """
    gates, hours = settings.gates, tests.half_life_bars * settings.bar_hours
    yield _at_most("q_value", q_values, gates.max_q_value)
    yield _at_most("q_value_both", q_values_both, gates.max_q_value)
    yield _at_most("coint_p_reverse", tests.coint_p_reverse, gates.max_pvalue)
    limit = gates.max_half_life_hours
    yield Gate("half_life_hours", hours, ~((hours > 0.0) & (hours < limit)), f"above 0 and below {limit:g}")
    yield Gate("hedge_ratio", tests.hedge_ratio, ~(tests.hedge_ratio > 0.0), "above 0")
    least = gates.min_correlation
    yield Gate("correlation", tests.correlation, ~(tests.correlation >= least), f"{least:g} or more")


def close_complaints(figures: Figures, gates: Gates) -> Iterator[str]:
    """What a close look finds against a pair."""
    if not figures.edge >= gates.min_edge:
        yield f"edge {_number(figures.edge)} times the round-trip cost, wanted {gates.min_edge:g} or more"
    if not figures.holdout_pvalue <= gates.max_holdout_pvalue:
        yield f"holdout_p {_number(figures.holdout_pvalue)}, wanted {gates.max_holdout_pvalue:g} or less"
    if not figures.hedge_drift <= gates.max_hedge_drift:
        yield f"hedge_drift {_number(figures.hedge_drift)}, wanted {gates.max_hedge_drift:g} or less"


def _at_most(name: str, values: Floats, limit: float) -> Gate:
    return Gate(name, values, ~(values <= limit), f"{limit:g} or less")


def _taken(
    passing: Sequence[Row], tests: PairTests, settings: ScanSettings, names: Sequence[str]
) -> tuple[list[Row], dict[Row, str]]:
    """The best pairs, each symbol once unless allowed, and why the other passing ones are not among them."""
    chosen: list[Row] = []
    left: dict[Row, str] = {}
    owner: dict[int, Row] = {}
    for row in passing:
        symbols = int(tests.first[row]), int(tests.second[row])
        taken = [owner[symbol] for symbol in symbols if symbol in owner]
        if taken and not settings.allow_shared_symbols:
            left[row] = f"passes, but shares a symbol with {names[taken[0]]}, which is better"
        elif len(chosen) == settings.top_n:
            left[row] = f"passes, but is not among the best {settings.top_n}"
        else:
            chosen.append(row)
            owner |= dict.fromkeys(symbols, row)
    return chosen, left


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else str(float(value))
