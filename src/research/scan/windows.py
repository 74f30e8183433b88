"""The same tests over earlier windows: how many pairs are found in each, and how many of them again in the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ccxt_bt_bridge.series import BarSeries
from pairs.all_pairs import Block
from research.scan.data_care import universe
from research.scan.errors import ScanError
from research.scan.settings import ScanSettings
from research.scan.tester import Tell, Tester

Found = dict[tuple[str, str], bool]  # tested pairs by their symbols, and whether each was found


@dataclass(frozen=True, slots=True)
class Window:
    """``found`` of ``tested`` pairs have a p of ``max_pvalue`` or less both ways. Of those found in the window before,
    ``asked_again`` could be tested here, and ``found_again`` were found again. ``end_ms``: the last close.
    """

    end_ms: int
    symbols: int
    tested: int
    found: int
    asked_again: int
    found_again: int

    @property
    def rate(self) -> float:
        """What a pair that was not found before has as a chance."""
        return self.found / self.tested


def earlier_windows(
    series: Sequence[BarSeries], settings: ScanSettings, *, tester: Tester, tell: Tell = lambda *_: None
) -> tuple[Window, ...]:
    """The ``settings.windows`` windows up to ``settings.end_ms``, which must be known; oldest first, none overlapping.

    A window for which there are too few bars or symbols is left out.
    """
    assert settings.end_ms is not None
    count, end_ms, span_ms = settings.windows, settings.end_ms, settings.bars * settings.interval_ms
    before: Found = {}
    windows = []
    for number in range(count):
        last_ms = end_ms - (count - 1 - number) * span_ms
        tell("testing windows", number, count)
        tested = _tested(series, replace(settings, end_ms=last_ms), tester, before)
        if tested is not None:
            window, before = tested
            windows.append(window)
    tell("testing windows", count, count)
    return tuple(windows)


def _tested(
    series: Sequence[BarSeries], settings: ScanSettings, tester: Tester, before: Found
) -> tuple[Window, Found] | None:
    try:
        compared = universe(series, bars=settings.bars, end_ms=settings.end_ms, care=settings.care)
    except ScanError:
        return None
    tests = tester(compared.log_prices, replace(settings.test, diagnostics=False), on_block=_unheard)
    tests = tests.take(~tests.collinear)
    level, symbols = settings.gates.max_pvalue, compared.symbols
    both = ((tests.coint_p <= level) & (tests.coint_p_reverse <= level)).tolist()
    legs = zip(tests.first.tolist(), tests.second.tolist(), strict=True)
    now = {(symbols[a], symbols[b]): found for (a, b), found in zip(legs, both, strict=True)}
    again = [now[pair] for pair, found in before.items() if found and pair in now]
    window = Window(int(compared.time_ms[-1]), len(symbols), len(now), sum(now.values()), len(again), sum(again))
    return (window, now) if now else None


def _unheard(block: Block) -> None:
    """A window is told as a whole."""
