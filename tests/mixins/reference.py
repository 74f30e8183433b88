"""The indicators again, in plain numpy, from their definitions; unknown values are NaN."""

from __future__ import annotations

import numpy as np


def wilder(values: np.ndarray, period: int) -> np.ndarray:
    """Mean of the first ``period`` known values, then ``(last * (period - 1) + value) / period``."""
    out = np.full(len(values), np.nan)
    first = int(np.argmax(~np.isnan(values))) + period - 1
    if first >= len(values):
        return out
    out[first] = values[first - period + 1 : first + 1].mean()
    for i in range(first + 1, len(values)):
        out[i] = (out[i - 1] * (period - 1) + values[i]) / period
    return out


def rsi(close: np.ndarray, period: int) -> np.ndarray:
    change = np.concatenate(([np.nan], np.diff(close)))
    gain, loss = wilder(np.maximum(change, 0.0), period), wilder(np.maximum(-change, 0.0), period)
    return 100.0 * gain / (gain + loss)


def rolling(values: np.ndarray, period: int, reduce) -> np.ndarray:
    out = np.full(len(values), np.nan)
    for i in range(period - 1, len(values)):
        out[i] = reduce(values[i - period + 1 : i + 1])
    return out


def bollinger(close: np.ndarray, period: int, deviations: float) -> tuple[np.ndarray, np.ndarray]:
    middle, width = rolling(close, period, np.mean), deviations * rolling(close, period, np.std)
    return middle - width, middle + width


def atr(bars, period: int) -> np.ndarray:
    last = np.concatenate(([np.nan], bars.close[:-1]))
    true_range = np.max([bars.high - bars.low, abs(bars.high - last), abs(bars.low - last)], axis=0)
    return wilder(true_range, period)


def ichimoku(bars, tenkan: int, kijun: int, senkou: int, lead: int) -> tuple[np.ndarray, ...]:
    """Conversion line, base line, and the two edges of this bar's cloud."""

    def middle(period: int) -> np.ndarray:
        return (rolling(bars.high, period, np.max) + rolling(bars.low, period, np.min)) / 2

    def ahead(values: np.ndarray) -> np.ndarray:
        return np.concatenate((np.full(lead, np.nan), values))[: len(values)]

    fast, slow = middle(tenkan), middle(kijun)
    return fast, slow, ahead((fast + slow) / 2), ahead(middle(senkou))


def supertrend(bars, period: int, multiplier: float) -> tuple[np.ndarray, np.ndarray]:
    """The band in force and the direction."""
    width, middle = multiplier * atr(bars, period), (bars.high + bars.low) / 2
    band, direction = np.full(len(bars), np.nan), np.full(len(bars), np.nan)
    upper = lower = np.nan
    for i in range(period, len(bars)):
        raw_upper, raw_lower = middle[i] + width[i], middle[i] - width[i]
        if i == period:
            upper, lower, direction[i] = raw_upper, raw_lower, 1 if bars.close[i] >= middle[i] else -1
        else:
            upper = raw_upper if raw_upper < upper or bars.close[i - 1] > upper else upper
            lower = raw_lower if raw_lower > lower or bars.close[i - 1] < lower else lower
            if direction[i - 1] == -1:
                direction[i] = 1 if bars.close[i] > upper else -1
            else:
                direction[i] = -1 if bars.close[i] < lower else 1
        band[i] = lower if direction[i] == 1 else upper
    return band, direction
