"""A scan from the bars of a universe to the pairs that are chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pairs.all_pairs import Block, Terms, pairwise_cointegration
from pairs.false_discovery import q_values
from pairs.pair_tests import PairTests
from pairs.symbols import base_currency
from research.scan.chance import Chance, measured
from research.scan.choice import Choice, Row, choose
from research.scan.data_care import Excluded, Universe
from research.scan.errors import ScanError
from research.scan.figures import Figures, Line, figures
from research.scan.settings import ScanSettings
from research.scan.tester import Tell, Tester
from research.scan.windows import Window

Floats = NDArray[np.float64]

FEW_BARS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What a scan found. ``tests``, ``q_values``, ``names`` and the rows of ``choice`` belong together: one a pair.

    ``q_values``: of the test of leg_a on leg_b; ``q_values_both``: of the larger p of both directions.
    ``excluded``: symbols and pairs that were not tested, and why. ``chance``: how often nothing gives such a pair.
    ``windows``: of earlier history too, where they were asked for.
    """

    settings: ScanSettings
    universe: Universe
    tests: PairTests
    q_values: Floats
    q_values_both: Floats
    names: tuple[str, ...]
    choice: Choice
    chance: Chance
    excluded: tuple[Excluded, ...]
    windows: tuple[Window, ...] = ()

    def symbols(self, row: Row) -> tuple[str, str]:
        """leg_a and leg_b."""
        return self.universe.symbols[self.tests.first[row]], self.universe.symbols[self.tests.second[row]]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of these data."""
        settings, bars = self.settings, len(self.universe.time_ms)
        notes = []
        if bars < settings.bars_wanted:
            notes.append(
                f"little data: to find half-lives up to {settings.gates.max_half_life_hours:g} h takes about "
                f"{settings.bars_wanted:,.0f} bars of {settings.interval}, and there are {bars:,}: "
                "true pairs will be missed"
            )
        longest = settings.gates.max_half_life_hours / settings.bar_hours
        if longest < FEW_BARS:
            notes.append(
                f"a half-life below {settings.gates.max_half_life_hours:g} h is {longest:.3g} bars of "
                f"{settings.interval}: hardly a spread returns so fast (--max-half-life)"
            )
        if self.universe.absent_bars:
            notes.append(f"{self.universe.absent_bars} intervals of the window have no bar of any symbol: left out")
        return tuple(notes)


def scan(
    universe: Universe,
    settings: ScanSettings,
    *,
    tester: Tester = pairwise_cointegration,
    tell: Tell = lambda *_: None,
) -> Scan:
    """``tell`` hears how far it is. Raises ``ScanError`` when no pair can be tested."""
    log_prices = universe.log_prices
    tests = _tested(log_prices, settings.test, tester, tell)
    names = pair_names(universe.symbols, tests)
    twins = [Excluded(name, TWINS) for name, twin in zip(names, tests.collinear, strict=True) if twin]
    tests, names = tests.take(~tests.collinear), tuple(np.array(names, object)[~tests.collinear].tolist())
    if not len(tests):
        raise ScanError("no pair is left to test: every symbol is another one's double")
    control = partial(q_values, method=settings.gates.false_discovery)  # type: ignore[arg-type]
    one_way, both_ways = control(tests.coint_p), control(np.maximum(tests.coint_p, tests.coint_p_reverse))
    choice = choose(tests, one_way, both_ways, settings, _closely(log_prices, tests, settings), names)
    chance = measured(
        log_prices,
        settings.test,
        tests=settings.simulated_pairs,
        seed=settings.seed,
        tell=partial(tell, "measuring chance"),
    )
    return Scan(settings, universe, tests, one_way, both_ways, names, choice, chance, (*universe.excluded, *twins))


TWINS = "near-identical series, one is the other but for rounding: their p-value of 0 says nothing"


def pair_names(symbols: tuple[str, ...], tests: PairTests) -> tuple[str, ...]:
    """``ADA_BTC``; by whole symbols where two of them have one base."""
    bases = [base_currency(symbol) for symbol in symbols]
    shared = {base for base, count in Counter(bases).items() if count > 1}
    words = [symbol if base in shared else base for symbol, base in zip(symbols, bases, strict=True)]
    plain = ["".join(letter if letter.isalnum() else "-" for letter in word) for word in words]
    return tuple(f"{plain[a]}_{plain[b]}" for a, b in zip(tests.first.tolist(), tests.second.tolist(), strict=True))


def _tested(log_prices: Floats, terms: Terms, tester: Tester, tell: Tell) -> PairTests:
    total, done = len(log_prices) * (len(log_prices) - 1) // 2, 0

    def on_block(block: Block) -> None:
        nonlocal done
        done += block.pairs
        tell("testing pairs", done, total)

    tell("testing pairs", 0, total)
    try:
        return tester(log_prices, terms, on_block=on_block)
    except ValueError as error:
        raise ScanError(f"too little data: {error}") from error


def _closely(log_prices: Floats, tests: PairTests, settings: ScanSettings) -> Callable[[Row], Figures]:
    def look(row: Row) -> Figures:
        line = Line(
            float(tests.hedge_ratio[row]),
            float(tests.intercept[row]),
            float(tests.spread_std[row]),
            float(tests.half_life_bars[row]),
        )
        return figures(log_prices[tests.first[row]], log_prices[tests.second[row]], line, settings)

    return look
