"""How often the scan is wrong by chance, and how often it finds what is there: the table of docs/scanner-statistics.md.

``python benchmarks/scan_rates.py [--data ../shared/data/futures_1h] [--universes 100] > table.md``: seeded, so the same
figures every time. Every universe has 30 symbols, 435 pairs, tested with AIC.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is loaded

import argparse
import csv
import gzip
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from pairs.all_pairs import PairTests, Terms, pairwise_cointegration
from pairs.false_discovery import q_values
from pairs.null_model import chance_rate

SYMBOLS, PLANTED = 30, 10
BARE = Terms(diagnostics=False)
PValues = Callable[[PairTests], np.ndarray]
Make = Callable[[np.random.Generator, int], np.ndarray]  # (generator, bars) -> log prices (symbols, bars)


def one_way(tests: PairTests) -> np.ndarray:
    return tests.coint_p


def both_ways(tests: PairTests) -> np.ndarray:
    return np.maximum(tests.coint_p, tests.coint_p_reverse)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--universes", type=int, default=100)
    wanted = parser.parse_args()
    print_chance(wanted.universes)
    print_power(max(4, wanted.universes // 3))
    print_rules(wanted.universes)
    if wanted.data:
        print_data(wanted.data)
    return 0


def print_chance(universes: int) -> None:
    print(
        "| unrelated symbols | bars | p < 5 %, first on second | p < 1 % | p < 5 % both ways | BH finds at 5 % a scan |"
    )
    print("|---|---|---|---|---|---|")
    for name, make in NOTHING.items():
        for bars in (252, 1_440):
            tests = [pairwise_cointegration(universe, BARE) for universe in drawn(make, bars, universes)]
            cells = [percent([one.coint_p < level for one in tests]) for level in (0.05, 0.01)]
            cells.append(percent([both_ways(one) < 0.05 for one in tests]))
            finds = np.mean([np.sum(q_values(one.coint_p) < 0.05) for one in tests])
            print(f"| {name} | {bars:,} | {' | '.join(cells)} | {finds:.2f} |", flush=True)


def print_power(universes: int) -> None:
    print("\n| half-life, bars | bars | planted pairs with p < 5 % | found by BH, q < 5 % | share of false finds |")
    print("|---|---|---|---|---|")
    for half_life in (6, 12, 24, 48, 96):
        for bars in (252, 500, 1_440):
            scans = [pairwise_cointegration(u, BARE) for u in drawn(planted(half_life), bars, universes)]
            single = np.mean([one.coint_p[true_pairs(one)] < 0.05 for one in scans])
            print(f"| {half_life} | {bars:,} | {single:.0%} | {found_and_false(scans, one_way, 'bh')} |", flush=True)


def print_rules(universes: int) -> None:
    print("\n| p of a pair | control | planted pairs found, q < 5 % | share of false finds |\n|---|---|---|---|")
    scans = [pairwise_cointegration(u, BARE) for u in drawn(planted(12), 1_440, universes)]
    rules = (
        ("first on second", one_way, 1.0),
        ("first on second, and the reverse p < 5 %", one_way, 0.05),
        ("the larger of both ways", both_ways, 1.0),
    )
    for name, p_of, most_reverse in rules:
        for method in ("bh", "by"):
            row = found_and_false(scans, p_of, method, most_reverse=most_reverse)
            print(f"| {name} | {method.upper()} | {row} |", flush=True)


def found_and_false(
    scans: list[PairTests], p_of: PValues, method: Literal["bh", "by"], *, most_reverse: float = 1.0
) -> str:
    """Share of the planted pairs that are found; mean share of the finds that are false, with its 95 % interval."""
    found = [(q_values(p_of(one), method) < 0.05) & (one.coint_p_reverse <= most_reverse) for one in scans]
    power = np.mean([these[true_pairs(one)] for these, one in zip(found, scans, strict=True)])
    shares = [np.sum(these & ~true_pairs(one)) / max(1, these.sum()) for these, one in zip(found, scans, strict=True)]
    margin = 1.96 * np.std(shares, ddof=1) / np.sqrt(len(shares))
    return f"{power:.0%} | {np.mean(shares):.1%} ± {margin:.1%}"


def true_pairs(tests: PairTests) -> np.ndarray:
    return (tests.second == tests.first + 1) & (tests.first % 2 == 0) & (tests.first < 2 * PLANTED)


def print_data(folder: Path) -> None:
    """Windows of 60 days of hours: what the scan finds in them, and in the same moves with random signs."""
    closes = np.log([_closes(path) for path in sorted(folder.glob("*.csv.gz"))])
    print(
        f"\n| window of {len(closes)} symbols, 1,440 hours | p < 5 % in the data | … with random signs |\n|---|---|---|"
    )
    for window in range(6):
        stop = closes.shape[1] - 1_440 * window
        prices = closes[:, stop - 1_440 : stop]
        found = np.mean(pairwise_cointegration(prices, BARE).coint_p < 0.05)
        chance = chance_rate(prices, draws=200, seed=1_000 * window)
        print(
            f"| {window + 1}, counted back from the end | {found:.1%} | {chance.rate:.1%} ± {1.96 * chance.error:.1%} |"
        )


def _closes(path: Path) -> list[float]:
    with gzip.open(path, "rt", newline="") as lines:
        return [float(row["close"]) for row in csv.DictReader(lines)]


def drawn(make: Make, bars: int, universes: int) -> Iterator[np.ndarray]:
    return (make(np.random.default_rng([bars, number]), bars) for number in range(universes))


def percent(passed: list[np.ndarray]) -> str:
    """Mean share with the half-width of its 95 % interval over the universes."""
    shares = np.array([np.mean(one) for one in passed])
    return f"{shares.mean():.1%} ± {1.96 * shares.std(ddof=1) / np.sqrt(len(shares)):.1%}"


def walks(rng: np.random.Generator, bars: int) -> np.ndarray:
    return 0.006 * rng.normal(size=(SYMBOLS, bars)).cumsum(axis=1)


def common_factor(rng: np.random.Generator, bars: int) -> np.ndarray:
    factor = 0.012 * rng.normal(size=(1, bars)).cumsum(axis=1)
    return rng.uniform(0.5, 1.5, (SYMBOLS, 1)) * factor + walks(rng, bars)


def garch(a: float, b: float, degrees: float | None) -> Make:
    """Walks whose moves have variance ``1 - a - b + a m² + b v`` and normal or Student's t shocks."""

    def make(rng: np.random.Generator, bars: int) -> np.ndarray:
        return 0.006 * _moves(rng, SYMBOLS, bars, (a, b, degrees)).cumsum(axis=1)

    return make


def shared_volatility(rng: np.random.Generator, bars: int) -> np.ndarray:
    market = _moves(rng, 1, bars, (0.15, 0.84, 4.0))
    volatility = np.sqrt(np.convolve(market[0] ** 2, np.ones(24) / 24, "same"))
    return 0.006 * (volatility * rng.normal(size=(SYMBOLS, bars)) + 0.5 * market).cumsum(axis=1)


def _moves(rng: np.random.Generator, symbols: int, bars: int, terms: tuple[float, float, float | None]) -> np.ndarray:
    (a, b, degrees), warm = terms, 500
    shape = (bars + warm, symbols)
    shocks = rng.normal(size=shape) if degrees is None else rng.standard_t(degrees, shape) * np.sqrt(1 - 2 / degrees)
    variance, moves = np.ones(symbols), np.empty(shape)
    for bar in range(bars + warm):
        moves[bar] = np.sqrt(variance) * shocks[bar]
        variance = 1.0 - a - b + a * moves[bar] ** 2 + b * variance
    return moves[warm:].T


def planted(half_life: float) -> Make:
    """Walks, the first twenty of them ten pairs whose spreads lose half of their distance in ``half_life`` bars."""
    phi = 0.5 ** (1.0 / half_life)

    def make(rng: np.random.Generator, bars: int) -> np.ndarray:
        prices, own = walks(rng, bars), np.empty((PLANTED, bars))
        level = 0.01 * rng.normal(size=PLANTED)
        for bar in range(bars):
            level = phi * level + 0.01 * np.sqrt(1.0 - phi * phi) * rng.normal(size=PLANTED)
            own[:, bar] = level
        prices[0 : 2 * PLANTED : 2] = rng.uniform(0.7, 1.3, (PLANTED, 1)) * prices[1 : 2 * PLANTED : 2] + own
        return prices

    return make


NOTHING: dict[str, Make] = {
    "walks, normal moves": walks,
    "walks with a common factor": common_factor,
    "GARCH(0.1, 0.88), normal": garch(0.1, 0.88, None),
    "GARCH(0.1, 0.895), Student's t of 4 degrees": garch(0.1, 0.895, 4.0),
    "one volatility for all, from GARCH(0.15, 0.84), t of 4": shared_volatility,
}

if __name__ == "__main__":
    sys.exit(main())
