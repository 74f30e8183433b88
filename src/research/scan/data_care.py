"""Which symbols can be compared over one window, and why the others cannot. Nothing is filled, repaired or guessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.series import BarSeries
from pairs.symbols import base_currency
from research.scan.errors import ScanError

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

DAY_MS = 86_400_000
LEAST_BARS = 60
STANDSTILL_SHARE, STANDSTILL_BARS = 0.05, 24
PEGGED_SHARE = 0.05  # of the usual volatility: pegs measure a hundredth to a fortieth, bitcoin half
CURRENCIES = frozenset("EUR GBP AUD JPY TRY BRL RUB UAH NGN ZAR PLN RON ARS MXN COP CZK IDRT BIDR BVND USD".split())
STABLECOINS = frozenset(
    "USDT USDC BUSD TUSD FDUSD DAI USDP PAX USDD UST USTC GUSD SUSD FRAX LUSD PYUSD USDE USD1 RLUSD USDS XUSD BFUSD "
    "AEUR EURI EURT EURS EURC VAI USDJ HUSD".split()
)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A symbol (or a pair, by its id) that was not tested, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Care:
    """What a symbol must be like. ``max_jump``: the greatest ratio of two closes in a row.

    ``min_volume``: mean traded value a day in quote currency; 0 for any.
    """

    max_jump: float = 3.0
    min_volume: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Universe:
    """Symbols that all have every bar of the window."""

    symbols: tuple[str, ...]
    time_ms: Times
    closes: Floats
    excluded: tuple[Excluded, ...]
    interval_ms: int

    @property
    def absent_bars(self) -> int:
        """Intervals inside the window that no symbol has: the exchange stood still, or the market was closed."""
        return int(self.time_ms[-1] - self.time_ms[0]) // self.interval_ms + 1 - len(self.time_ms)

    @property
    def log_prices(self) -> Floats:
        return np.log(self.closes)


def universe(
    series: Sequence[BarSeries],
    *,
    bars: int,
    end_ms: int | None = None,
    care: Care = Care(),
    lost: Sequence[Excluded] = (),
) -> Universe:
    """The symbols of ``series`` (of one interval) that can be compared over the last ``bars`` bars.

    The window ends at the newest bar of any symbol (not after ``end_ms``); a bar counts as soon as one symbol has it.
    ``lost``: what there is no series of. Raises ``ScanError`` with everything that was excluded when fewer than two
    symbols are left, or too few bars.
    """
    if not series:
        raise ScanError("\n".join(["there is no symbol to compare", *map(_line, lost)]))
    step_ms = series[0].interval_ms
    on_grid = [one for one in series if not (one.time_ms % step_ms).any()]
    grid = _grid(on_grid, bars, end_ms)
    look = _Look(grid, step_ms, care)
    reasons = {one.symbol: look.complaint(one) for one in series}
    good = [one for one in series if reasons[one.symbol] is None]
    closes = np.array([one.close[np.isin(one.time_ms, grid)] for one in good]).reshape(len(good), len(grid))
    pegged = _pegged(closes)
    excluded = [*lost]
    excluded += [Excluded(name, reason) for name, reason in reasons.items() if reason is not None]
    excluded += [Excluded(one.symbol, PEGGED) for one, peg in zip(good, pegged, strict=True) if peg]
    kept = [at for at, peg in enumerate(pegged) if not peg]
    if len(kept) < 2:
        raise ScanError(_too_few(kept, series, grid, excluded))
    symbols = tuple(good[at].symbol for at in kept)
    return Universe(symbols, grid, np.ascontiguousarray(closes[kept]), tuple(excluded), step_ms)


ENDS_EARLY = "ends early"
PEGGED = "it hardly moves beside the others: a pegged coin"


def _grid(series: Sequence[BarSeries], bars: int, end_ms: int | None) -> Times:
    """The last times at which any symbol has a bar."""
    times = np.unique(np.concatenate([np.empty(0, np.int64), *(one.time_ms for one in series)]))
    if end_ms is not None:
        times = times[times <= end_ms]
    if len(times) < bars:
        raise ScanError(
            f"too little data: {bars} bars are wanted, and there are {len(times)}"
            f"{'' if end_ms is None else f' up to {_utc(end_ms)}'}; ask for fewer bars, or fetch more"
        )
    if bars < LEAST_BARS:
        raise ScanError(f"{bars} bars are too few to test anything: wanted {LEAST_BARS} or more")
    return times[-bars:]


class _Look:
    """Looks at one symbol at a time; each question answers with a reason against it, or None."""

    def __init__(self, grid: Times, step_ms: int, care: Care) -> None:
        self._grid, self._step_ms, self._care = grid, step_ms, care

    def complaint(self, series: BarSeries) -> str | None:
        questions: Iterable[Callable[[BarSeries], str | None]] = (
            self._name, self._clock, self._presence, self._holes, self._numbers, self._standstill, self._jump,
            self._volume,
        )  # fmt: skip
        return next((reason for question in questions if (reason := question(series))), None)

    def _name(self, series: BarSeries) -> str | None:
        base = base_currency(series.symbol)
        if base in STABLECOINS:
            return f"{base} is a stablecoin"
        return f"{base} is a currency, not a coin" if base in CURRENCIES else None

    def _clock(self, series: BarSeries) -> str | None:
        off = series.time_ms[series.time_ms % self._step_ms != 0]
        return f"its bars do not close on full intervals, such as {_utc(off[0])}" if len(off) else None

    def _presence(self, series: BarSeries) -> str | None:
        times, first, last = series.time_ms, self._grid[0], self._grid[-1]
        if not len(times):
            return "it has no bar"
        inside = np.count_nonzero((times >= first) & (times <= last))
        lacking = f"lacks {len(self._grid) - inside} of {len(self._grid)} bars"
        if times[-1] < first:
            return f"ended before the window: last bar {_utc(times[-1])}"
        if times[0] > last:
            return f"listed after the window: first bar {_utc(times[0])}"
        if times[0] > first:
            return f"listed late: {lacking}, its first is {_utc(times[0])}{self._jump_words(series)}"
        if times[-1] < last:
            return f"{ENDS_EARLY} (delisted, or not up to date): {lacking}, its last is {_utc(times[-1])}"
        return None

    def _holes(self, series: BarSeries) -> str | None:
        missing = self._grid[~np.isin(self._grid, series.time_ms)]
        if not len(missing):
            return None
        longest = max(_runs(np.isin(self._grid, missing)), default=(0, 0), key=lambda run: run[1])
        place = f"from {_utc(self._grid[longest[0]])}"
        what = "suspended" if longest[1] * self._step_ms >= DAY_MS else "has holes"
        return f"{what}: lacks {len(missing)} of {len(self._grid)} bars, {longest[1]} {place}{self._jump_words(series)}"

    def _numbers(self, series: BarSeries) -> str | None:
        closes = self._closes(series)
        bad = np.flatnonzero(~np.isfinite(closes))
        if len(bad):
            return f"{len(bad)} of {len(closes)} closes are no positive numbers, the first {_utc(self._grid[bad[0]])}"
        return None

    def _standstill(self, series: BarSeries) -> str | None:
        closes = self._closes(series)
        if np.ptp(closes) == 0.0:
            return f"constant: every close is {closes[0]:g}"
        start, length = max(_runs(np.diff(closes) == 0.0), default=(0, 0), key=lambda run: run[1])
        if length >= max(STANDSTILL_BARS, STANDSTILL_SHARE * len(closes)):
            return f"stood still (suspended?): the same close for {length + 1} bars from {_utc(self._grid[start])}"
        return None

    def _jump(self, series: BarSeries) -> str | None:
        closes = self._closes(series)
        moves = np.abs(np.diff(np.log(closes)))
        at = int(moves.argmax())
        if moves[at] <= math.log(self._care.max_jump):
            return None
        return (
            f"jumps from {closes[at]:g} to {closes[at + 1]:g} at {_utc(self._grid[at + 1])}: "
            "another coin, a split or a wrong price"
        )

    def _volume(self, series: BarSeries) -> str | None:
        inside = np.isin(series.time_ms, self._grid)
        value = float((series.volume[inside] * series.close[inside]).sum())
        daily = value * DAY_MS / (len(self._grid) * self._step_ms)
        if daily < self._care.min_volume:
            return f"traded for {daily:,.0f} a day, less than {self._care.min_volume:,.0f}"
        return None

    def _jump_words(self, series: BarSeries) -> str:
        """What a symbol came back at, when that says that it is another one."""
        inside = (series.time_ms >= self._grid[0]) & (series.time_ms <= self._grid[-1])
        times, closes = series.time_ms[inside], series.close[inside]
        gaps = np.flatnonzero(np.diff(times) > self._step_ms)
        ratios = closes[gaps + 1] / closes[gaps]
        far = [float(ratio) for ratio in ratios if abs(math.log(ratio)) > math.log(self._care.max_jump)]
        return f"; it came back at {far[0]:g} times its price" if far else ""

    def _closes(self, series: BarSeries) -> Floats:
        closes: Floats = series.close[np.isin(series.time_ms, self._grid)]
        return closes


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """(first, length) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield start, stop - start


def _pegged(closes: Floats) -> list[bool]:
    if not len(closes):
        return []
    volatility = np.diff(np.log(closes), axis=1).std(axis=1)
    return [bool(one) for one in volatility < PEGGED_SHARE * np.median(volatility)]


def _too_few(kept: Sequence[int], series: Sequence[BarSeries], grid: Times, excluded: Sequence[Excluded]) -> str:
    early = {one.name for one in excluded if one.reason.startswith(ENDS_EARLY)}
    ends = [int(one.time_ms[-1]) for one in series if one.symbol in early and one.time_ms[-1] >= grid[len(grid) // 2]]
    hint = f". {len(ends)} symbols go on until {_utc(min(ends))}: end the window there (--to)" if len(ends) > 1 else ""
    have = "one symbol is" if len(kept) == 1 else "no symbol is"
    found = f"{have} left of {len(series)} in the {len(grid)} bars {_utc(grid[0])} to {_utc(grid[-1])}"
    return "\n".join([f"two symbols are wanted, and {found}{hint}", *map(_line, excluded)])


def _line(one: Excluded) -> str:
    return f"  {one.name}: {one.reason}"


def _utc(time_ms: int) -> str:
    return f"{ms_to_datetime(int(time_ms)):%Y-%m-%dT%H:%MZ}"
