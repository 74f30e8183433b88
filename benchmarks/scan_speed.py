"""The tests of all pairs against statsmodels, arch and the bare matrix products, and the memory of 500 symbols.

``python benchmarks/scan_speed.py [--symbols 100] [--bars 1440] [--rounds 7]``: one core, process CPU time, the programs
in turn, medians; a ratio is the median of the ratios of the rounds. Prints the table that RESULTS.md keeps; exit code 1
when a goal is missed. The line against arch is left out where arch is not installed.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is loaded

import argparse
import importlib.util
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from pairs.all_pairs import Terms, pairwise_cointegration

MOST_KB = 2 * 1024 * 1024
SAMPLE, MANY = 5, 50  # pairs that the slow programs are timed on, each round others
ONE, BOTH, ALL = Terms(reverse=False, diagnostics=False), Terms(diagnostics=False), Terms()
LAG_ONE = Terms(1, None, reverse=False, diagnostics=False)

Times = dict[str, list[float]]  # seconds a pair, one a round


@dataclass(frozen=True, slots=True)
class Goal:
    work: str
    over: str
    under: str
    least: float
    sought: float

    def row(self, times: Times) -> tuple[str, bool]:
        ratios = [slow / fast for slow, fast in zip(times[self.over], times[self.under], strict=True)]
        ratio, low, high = median(ratios), min(ratios), max(ratios)
        faster = self.least < self.sought  # at least, and more is better; or else at most
        met, more = (
            (ratio >= self.least, ratio >= self.sought) if faster else (ratio <= self.least, ratio <= self.sought)
        )
        sign = "≥" if faster else "≤"
        goals = f"{sign} {self.least:,.0f} | {sign} {self.sought:,.0f}"
        word = "sought" if more else "goal" if met else "missed"
        return f"| {self.work} | {ratio:,.2f} × ({low:,.2f} to {high:,.2f}) | {goals} | {word} |", met


GOALS = (
    Goal("AIC, against `statsmodels coint`", "statsmodels, AIC", "one way, AIC", 1_000, 2_000),
    Goal("AIC, against `arch`", "arch, AIC", "one way, AIC", 200, 400),
    Goal("lag 1, against `statsmodels coint`", "statsmodels, lag 1", "one way, lag 1", 500, 1_000),
    Goal("AIC one way ÷ the bare products", "one way, AIC", "bare products, AIC", 6, 3),
    Goal("AIC both ways ÷ the bare products", "both ways, AIC", "bare products, AIC", 11, 5),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--bars", type=int, default=1_440)
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    prices = market(np.random.default_rng(0), wanted.symbols, wanted.bars)
    times = alternate(programs(prices), wanted.rounds)
    print_times(times)
    print("\n| all pairs, ratio of CPU time | measured | at least | sought | |\n|---|---|---|---|---|")
    rows = [goal.row(times) for goal in GOALS if goal.over in times]
    print("\n".join(row for row, _ in rows))
    return 0 if print_memory() and all(met for _, met in rows) else 1


def market(rng: np.random.Generator, symbols: int, bars: int) -> np.ndarray:
    """Log prices with common factors, spreads that revert at different speeds, and every fifth a lone walk."""
    factors = rng.normal(0.0, 0.006, (max(1, symbols // 5), bars)).cumsum(axis=1)
    prices = rng.normal(0.0, 0.008, (symbols, bars)).cumsum(axis=1)
    for symbol in (number for number in range(symbols) if number % 5 != 4):
        phi, noise, own = rng.uniform(0.8, 0.99), rng.normal(0.0, 0.004, bars), np.zeros(bars)
        for bar in range(1, bars):
            own[bar] = phi * own[bar - 1] + noise[bar]
        prices[symbol] = rng.uniform(0.5, 1.5) * factors[symbol % len(factors)] + own
    return prices + rng.uniform(-2.0, 10.0, (symbols, 1))


def programs(prices: np.ndarray) -> dict[str, Callable[[int], int]]:
    """Name → what runs round number n and returns how many pairs it did."""
    from statsmodels.tsa.stattools import coint

    pairs = [(i, j) for i in range(len(prices)) for j in range(i + 1, len(prices))]

    def some(test: Callable[[np.ndarray, np.ndarray], object], sample: int = SAMPLE) -> Callable[[int], int]:
        def run(number: int) -> int:
            chosen = np.random.default_rng(number).choice(len(pairs), sample, replace=False)
            for place in chosen:
                i, j = pairs[place]
                test(prices[i], prices[j])
            return sample

        return run

    def every(terms: Terms) -> Callable[[int], int]:
        return lambda number: len(pairwise_cointegration(prices, terms))

    found = {
        "bare products, AIC": lambda number: bare_products(prices, longest_lag(prices)),
        "one way, AIC": every(ONE),
        "both ways, AIC": every(BOTH),
        "both ways and diagnostics, AIC": every(ALL),
        "bare products, lag 1": lambda number: bare_products(prices, 1),
        "one way, lag 1": every(LAG_ONE),
        "statsmodels, AIC": some(lambda y, x: coint(y, x)),
        "statsmodels, lag 1": some(lambda y, x: coint(y, x, maxlag=1, autolag=None), MANY),
    }
    if importlib.util.find_spec("arch") is None:
        print("arch is not installed: its line is left out")
        return found
    from arch.unitroot.cointegration import engle_granger

    found["arch, AIC"] = some(lambda y, x: engle_granger(y, x, trend="c", method="aic", max_lags=longest_lag(prices)))
    return found


def longest_lag(prices: np.ndarray) -> int:
    return int(np.ceil(12.0 * (prices.shape[1] / 100.0) ** 0.25))


def bare_products(prices: np.ndarray, lags: int) -> int:
    """The products of every symbol's changes with every symbol's changes ``lag`` bars before, for each lag."""
    changes = np.diff(prices, axis=1)
    rows = changes.shape[1]
    now = np.ascontiguousarray(changes[:, lags:])
    for lag in range(lags + 1):
        now @ changes[:, lags - lag : rows - lag].T
    return len(prices) * (len(prices) - 1) // 2


def alternate(those: dict[str, Callable[[int], int]], rounds: int) -> Times:
    times: Times = {name: [] for name in those}
    for number in range(-1, rounds):
        for name, run in those.items():
            start = time.process_time()
            pairs = run(number % 1_000)
            if number >= 0:  # the round before the first warms up
                times[name].append((time.process_time() - start) / pairs)
    return times


def print_times(times: Times) -> None:
    print("| program | µs a pair | least to most |\n|---|---|---|")
    for name, those in times.items():
        least, middle, most = (1e6 * value for value in (min(those), median(those), max(those)))
        print(f"| {name} | {middle:,.2f} | {least:,.2f} to {most:,.2f} |")


BIG = """
import re, time
from pathlib import Path
import numpy as np
from pairs.all_pairs import Terms, pairwise_cointegration


def peak():  # of this process alone, in KB: ru_maxrss begins with the parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])


prices = np.random.default_rng(0).normal(size=({symbols}, 1440)).cumsum(axis=1)
before, start = peak(), time.process_time()
tests = pairwise_cointegration(prices, Terms(diagnostics={diagnostics}))
print(len(tests), time.process_time() - start, before, peak())
"""


def print_memory() -> bool:
    """Prints the table of memory; whether 500 symbols stay below the limit."""
    print("\n| symbols | pairs, both ways | CPU s | peak MB | above the interpreter and prices, bytes a pair |")
    print("|---|---|---|---|---|")
    below = True
    for symbols, diagnostics in ((250, False), (500, False), (500, True), (1_000, False)):
        program = BIG.format(symbols=symbols, diagnostics=diagnostics)
        text = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
        pairs, seconds, before, peak = text.split()
        above = (int(peak) - int(before)) * 1024 / int(pairs)
        what = f"{symbols}{' with diagnostics' if diagnostics else ''}"
        print(f"| {what} | {int(pairs):,} | {float(seconds):.2f} | {int(peak) / 1024:.0f} | {above:,.0f} |")
        below = below and (symbols > 500 or int(peak) < MOST_KB)
    return below


if __name__ == "__main__":
    sys.exit(main())
