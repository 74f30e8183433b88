"""What statsmodels says, and series to ask it about."""

from __future__ import annotations

import csv
import gzip
import math
import warnings
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import pairwise
from operator import mul
from pathlib import Path

import numpy as np
from statsmodels.regression.linear_model import OLS
from statsmodels.tools.tools import add_constant
from statsmodels.tsa.adfvalues import mackinnonp
from statsmodels.tsa.stattools import adfuller

T_STOP = 1.6448536269514722
COLLINEAR = 100.0 * math.sqrt(np.finfo(float).eps)


@dataclass(frozen=True, slots=True)
class Answer:
    statistic: float
    pvalue: float
    lag: int


def engle_granger_answers(y, x, rules) -> dict:
    """statsmodels' ``coint`` of y on x for each (autolag, max_lag), with its lags, which ``coint`` keeps to itself.

    One search by statsmodels' ``adfuller`` serves its three rules; each rule's lag is then fitted by ``adfuller`` too,
    which is what ``adfuller`` does itself. That this is ``coint`` to the last bit is a test of its own.
    """
    fit = OLS(y, add_constant(x, prepend=False)).fit()
    if not fit.rsquared < 1.0 - COLLINEAR:
        return {rule: Answer(-math.inf, 0.0, 0) for rule in rules}
    searches = {most: _searched(fit.resid, most) for most in {most for rule, most in rules if rule}}
    answers, fitted = {}, {}
    for rule, most in rules:
        lag = _chosen(searches[most], rule) if rule else most
        if lag not in fitted:
            statistic = float(_adfuller(fit.resid, maxlag=lag, autolag=None)[0])
            fitted[lag] = Answer(statistic, mackinnonp(statistic, regression="c", N=2), lag)
        answers[rule, most] = fitted[lag]
    return answers


def exact_answer(y, x, answer: Answer) -> Answer:
    """The same with the lag that ``answer`` has, in sums of sixty digits: statsmodels' own differ by the machine."""
    if math.isinf(answer.statistic):
        return answer
    with localcontext() as terms:
        terms.prec = 60
        y, x = ([Decimal(float(value)) for value in series] for series in (y, x))
        _, residuals, _ = _least_squares(y, [[value, Decimal(1)] for value in x])
        steps = [after - before for before, after in pairwise(residuals)]
        rows = [
            [residuals[at], *(steps[at - back] for back in range(1, answer.lag + 1))]
            for at in range(answer.lag, len(steps))
        ]
        slopes, rest, inverse = _least_squares(steps[answer.lag :], rows)
        variance = sum(value * value for value in rest) / (len(rows) - len(rows[0]))
        statistic = float(slopes[0] / (variance * inverse).sqrt())
    return Answer(statistic, mackinnonp(statistic, regression="c", N=2), answer.lag)


def _least_squares(y, rows) -> tuple[list[Decimal], list[Decimal], Decimal]:
    """Slopes, residuals, and the first number of (X'X)⁻¹, by elimination from the normal equations."""
    columns = list(zip(*rows, strict=True))
    count = len(columns)
    table = [
        [sum(map(mul, one, other)) for other in columns] + [sum(map(mul, one, y)), Decimal(row == 0)]
        for row, one in enumerate(columns)
    ]
    for at in range(count):
        table[at] = [value / table[at][at] for value in table[at]]
        for row in range(count):
            if row != at:
                factor = table[row][at]
                table[row] = [value - factor * pivot for value, pivot in zip(table[row], table[at], strict=True)]
    slopes = [row[count] for row in table]
    residuals = [value - sum(map(mul, slopes, row)) for value, row in zip(y, rows, strict=True)]
    return slopes, residuals, table[0][count + 1]


def _searched(residuals, most) -> dict:
    return _adfuller(residuals, maxlag=most, autolag="aic", store=True, regresults=True)[3].autolag_results


def _chosen(fits: dict, rule: str) -> int:
    if rule in ("aic", "bic"):
        return min((getattr(fit, rule), columns) for columns, fit in fits.items())[1] - 1
    telling = [columns for columns, fit in fits.items() if abs(fit.tvalues[-1]) >= T_STOP]
    return max(telling, default=1) - 1


def _adfuller(residuals, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return adfuller(residuals, regression="n", result_object=False, **options)


def walks(rng: np.random.Generator, symbols: int, bars: int) -> np.ndarray:
    return np.cumsum(rng.normal(0.0, 0.006, (symbols, bars)), axis=1)


def market(rng: np.random.Generator, symbols: int, bars: int) -> np.ndarray:
    """Log prices like a market's: common factors, spreads that revert at different speeds, and lone walks."""
    factors = walks(rng, max(1, symbols // 5), bars)
    prices = np.empty((symbols, bars))
    for symbol in range(symbols):
        if symbol % 5 == 4:
            prices[symbol] = walks(rng, 1, bars)
        else:
            own = autoregression(rng, rng.uniform(0.6, 0.99), bars)
            prices[symbol] = rng.uniform(0.5, 1.5) * factors[symbol % len(factors)] + 0.004 * own
    return prices + rng.uniform(-2.0, 10.0, (symbols, 1))


def autoregression(rng: np.random.Generator, phi: float, bars: int) -> np.ndarray:
    noise, series = rng.normal(size=bars), np.empty(bars)
    level = 0.0
    for bar in range(bars):
        level = phi * level + noise[bar]
        series[bar] = level
    return series


def log_closes(folder: Path, symbols, *, start: str, bars: int) -> np.ndarray:
    """(symbols, bars) from ``start`` on; the files of one folder share their hours but for the exchange's outages."""
    return np.log([_closes(folder / f"{symbol}.csv.gz", start, bars) for symbol in symbols])


def _closes(path: Path, start: str, bars: int) -> list[float]:
    with gzip.open(path, "rt", newline="") as lines:
        rows = (row for row in csv.DictReader(lines) if row["timestamp"] >= start)
        return [float(row["close"]) for row, _ in zip(rows, range(bars), strict=False)]
