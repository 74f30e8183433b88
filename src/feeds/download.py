"""History from an exchange into files: what is missing is asked for, holes twice, and everything is kept on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccxt_bt_bridge.errors import ExchangeUnreachable, KeyRefused, MarketClosed, RateBanned
from ccxt_bt_bridge.words import Bar
from feeds.bar_files import BarFile

# (symbol, since_ms, until_ms) → closed bars whose closes lie in [since, until], in pages, ascending
Pages = Callable[[str, int, int], AsyncIterator[list[Bar]]]
Listener = Callable[["Advance"], None]

TRIES = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
BARS_A_QUESTION = 500


@dataclass(frozen=True, slots=True)
class Span:
    """Closes from ``first_ms`` to ``last_ms``, both inclusive."""

    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a download is. Bars are counted by time: ``total`` is what the span would hold without holes."""

    symbol: str
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What became of one symbol. ``holes``: bars that the exchange does not have, asked for twice.

    ``first_ms`` and ``last_ms`` are closes, None when there is no bar; ``begins_later``: the first bar comes after the
    time asked for, so the symbol was listed then.
    """

    symbol: str
    path: Path
    bars: int
    added: int
    first_ms: int | None
    last_ms: int | None
    begins_later: bool
    holes: tuple[Span, ...]


class Download:
    """Brings symbols up to date, one after the other. ``now_ms``: the exchange's clock, which ends every span."""

    def __init__(
        self,
        pages: Pages,
        *,
        now_ms: Callable[[], int],
        tell: Listener = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pages, self._now_ms, self._tell, self._sleep = pages, now_ms, tell, sleep

    async def bring(self, symbol: str, file: BarFile, interval_ms: int, wanted: Span) -> Downloaded:
        """Fetch what ``file`` lacks of ``wanted`` and finish it.

        Raises ``ExchangeUnreachable`` when the exchange stays away, and ``BarFileError``; what came before is kept.
        """
        span = _closed(wanted, interval_ms, self._now_ms())
        grid = np.arange(span.first_ms, span.last_ms + 1, interval_ms, dtype=np.int64)
        progress = _Progress(symbol, len(grid), self._tell)
        for note in ("", "asking for the holes again"):
            for missing in _questions(_missing(grid, file.times_ms), interval_ms):
                await self._fetch(symbol, file, missing, progress.on(grid, interval_ms, note))
        file.finish()
        progress.finish()
        return _report(symbol, file, grid, interval_ms)

    async def _fetch(self, symbol: str, file: BarFile, span: Span, advanced: Callable[[int], None]) -> None:
        """One span to its end, going on after a failure where it stood."""
        since_ms, failures = span.first_ms, 0
        while since_ms <= span.last_ms:
            try:
                async for page in self._pages(symbol, since_ms, span.last_ms):
                    if not page:
                        continue
                    file.add(page)
                    since_ms, failures = page[-1].time_ms + 1, 0
                    advanced(page[-1].time_ms)
                return
            except (MarketClosed, KeyRefused):
                raise
            except ExchangeUnreachable as error:
                failures += 1
                if failures >= TRIES:
                    raise
                await self._sleep(self._pause_s(error, failures))

    def _pause_s(self, error: ExchangeUnreachable, failures: int) -> float:
        if isinstance(error, RateBanned):
            return max(0, error.until_ms - self._now_ms()) / 1000.0 + FIRST_PAUSE_S
        return min(FIRST_PAUSE_S * 2.0 ** (failures - 1), LONGEST_PAUSE_S)


class _Progress:
    """Tells how far it is; what was on disk before counts as done."""

    def __init__(self, symbol: str, total: int, tell: Listener) -> None:
        self._symbol, self._total, self._tell = symbol, total, tell

    def on(self, grid: np.ndarray, interval_ms: int, note: str) -> Callable[[int], None]:
        def advanced(time_ms: int) -> None:
            done = min(self._total, int(time_ms - grid[0]) // interval_ms + 1)
            self._tell(Advance(self._symbol, done, self._total, note))

        return advanced

    def finish(self) -> None:
        self._tell(Advance(self._symbol, self._total, self._total, "done"))


def _closed(wanted: Span, interval_ms: int, now_ms: int) -> Span:
    """On the grid of closes, and nothing that has not closed yet."""
    first = -(-wanted.first_ms // interval_ms) * interval_ms
    return Span(first, min(wanted.last_ms, now_ms) // interval_ms * interval_ms)


def _missing(grid: np.ndarray, there: np.ndarray) -> list[Span]:
    """Runs of the grid that are not there."""
    absent = np.flatnonzero(~np.isin(grid, there))
    if not len(absent):
        return []
    runs = np.split(absent, np.flatnonzero(np.diff(absent) > 1) + 1)
    return [Span(int(grid[run[0]]), int(grid[run[-1]])) for run in runs]


def _questions(missing: list[Span], interval_ms: int) -> list[Span]:
    """Neighbouring holes in one question."""
    questions: list[Span] = []
    for span in missing:
        if questions and span.last_ms - questions[-1].first_ms < BARS_A_QUESTION * interval_ms:
            questions[-1] = Span(questions[-1].first_ms, span.last_ms)
        else:
            questions.append(span)
    return questions


def _report(symbol: str, file: BarFile, grid: np.ndarray, interval_ms: int) -> Downloaded:
    times = file.times_ms
    inside = times[np.isin(times, grid)]
    first, last = (int(times[0]), int(times[-1])) if len(times) else (None, None)
    holes = _missing(grid[(grid > inside[0]) & (grid < inside[-1])], times) if len(inside) else []
    later = len(inside) > 0 and bool(inside[0] > grid[0] and times[0] == inside[0])
    return Downloaded(symbol, file.path, len(times), file.added, first, last, later, tuple(holes))
