"""What a person reads of a scan: what was left out, what chance gives, the pairs, and why the nearest ones fail."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from rich.console import Console
from rich.table import Table

from ccxt_bt_bridge.bt_time import ms_to_datetime
from research.scan.choice import Row
from research.scan.data_care import Excluded
from research.scan.scan import Scan

PLAIN_WIDTH = 140
NEAREST_NAMED = 3
# in the order of their weight: a narrow terminal shows the first ones
HEAD = (
    "pair", "hedge ratio", "p", "p reverse", "q", "half-life h (90 %)", "edge", "holdout p", "drift", "correl.",
    "Hurst", "ADF p",
)  # fmt: skip
GAP = 2
JOHANSEN = "trace (95 %: 15.5)"


def tell_scan(scan: Scan, console: Console) -> None:
    """Plain text where there is no terminal."""
    if not console.is_terminal:
        console = Console(file=console.file, width=PLAIN_WIDTH, no_color=True)
    for line in _head(scan):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_table(scan, (*scan.choice.chosen, *scan.choice.near), console.width))
    for line in (*_verdict(scan), *_windows(scan), *(f"Note: {note}" for note in scan.notes)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def excluded_lines(excluded: tuple[Excluded, ...]) -> Iterator[str]:
    yield f"Left out: {len(excluded)}"
    yield from (f"  {one.name}: {one.reason}" for one in excluded)


def _head(scan: Scan) -> Iterator[str]:
    settings, universe = scan.settings, scan.universe
    first, last = (f"{ms_to_datetime(int(universe.time_ms[at])):%Y-%m-%dT%H:%MZ}" for at in (0, -1))
    rule = f"lags by {settings.test.autolag}" if settings.test.autolag else f"{scan.tests.coint_lag.max()} lags"
    yield (
        f"{len(universe.symbols)} symbols, {len(universe.time_ms):,} bars of {settings.interval}, "
        f"closes {first} to {last}"
    )
    yield from excluded_lines(scan.excluded)
    yield f"Tested: {len(scan.tests):,} pairs, Engle-Granger both ways, {rule}"
    yield from _chance(scan)


def _chance(scan: Scan) -> Iterator[str]:
    level, count = scan.settings.gates.max_pvalue, len(scan.tests)
    rate = scan.chance.rate(level)
    yield (
        f"Chance: of {count:,} unrelated pairs {level * count:.1f} would have p <= {level:g} by the tables, "
        f"{rate * count:.1f} by the rate measured ({rate:.1%} of {len(scan.chance.pvalues):,} pairs in "
        f"{scan.chance.draws} simulated markets with these symbols' volatility)"
    )


def _by_measure(scan: Scan, pvalue: float) -> str:
    """How many of the tested pairs; below what the simulated ones can tell, a bound."""
    share = scan.chance.rate(pvalue)
    least = 1.0 / len(scan.chance.pvalues)
    return f"{share * len(scan.tests):.2g}" if share > 0.0 else f"fewer than {least * len(scan.tests):.2g}"


def _table(scan: Scan, rows: tuple[Row, ...], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    head = (*HEAD, *((JOHANSEN,) if scan.settings.johansen else ()))
    cells = [_cells(scan, row) for row in rows]
    fitting = _fitting(list(zip(head, *cells, strict=True)), width)
    for name in head[:fitting]:
        table.add_column(name, justify="left" if name == "pair" else "right", no_wrap=True)
    for row, values in zip(rows, cells, strict=True):
        table.add_row(*values[:fitting], style="green" if row in scan.choice.chosen else "")
    return table


def _fitting(columns: list[tuple[str, ...]], width: int) -> int:
    """How many of the columns fit side by side."""
    ends = accumulate(max(map(len, column)) + GAP for column in columns)
    return max(1, sum(end <= width for end in ends))


def _cells(scan: Scan, row: Row) -> tuple[str, ...]:
    tests, figures, hours = scan.tests, scan.choice.figures[row], scan.settings.bar_hours
    life = [float(one[row]) * hours for one in (tests.half_life_bars, tests.half_life_low, tests.half_life_high)]
    return (
        scan.names[row],
        f"{tests.hedge_ratio[row]:.4f}",
        f"{tests.coint_p[row]:.2g}",
        f"{tests.coint_p_reverse[row]:.2g}",
        f"{scan.q_values[row]:.2g}",
        f"{life[0]:.1f} ({life[1]:.0f}..{life[2]:.0f})",
        f"{figures.edge:.1f}",
        f"{figures.holdout_pvalue:.2g}",
        f"{figures.hedge_drift:.0%}",
        f"{tests.correlation[row]:.2f}",
        f"{figures.hurst:.2f}",
        f"{tests.adf_p[row]:.2g}",
        *(() if figures.johansen_trace is None else (f"{figures.johansen_trace:.1f}",)),
    )


def _windows(scan: Scan) -> Iterator[str]:
    """How much of what one window finds is found again in the next, beside what any pair has as a chance there."""
    if not scan.windows:
        return
    yield f"Windows of {scan.settings.bars:,} bars, found: p <= {scan.settings.gates.max_pvalue:g} both ways"
    for one in scan.windows:
        again = f"; of {one.asked_again} found before {one.found_again} again" if one.asked_again else ""
        share = f"{one.found} of {one.tested:,} pairs found ({one.rate:.1%})"
        yield f"  to {ms_to_datetime(one.end_ms):%Y-%m-%dT%H:%MZ}, {one.symbols} symbols: {share}{again}"
    asked, found = (sum(values) for values in zip(*((w.asked_again, w.found_again) for w in scan.windows), strict=True))
    as_any = sum(one.asked_again * one.rate for one in scan.windows)
    yield f"  in all: of {asked} found before {found} again, and of as many pairs like any other {as_any:.1f} would be"


def _verdict(scan: Scan) -> Iterator[str]:
    choice, count = scan.choice, len(scan.tests)
    start = f"{len(choice.passing)} of {count:,} pairs pass"
    if not choice.passing:
        named = choice.near[:NEAREST_NAMED]
        yield f"{start}; the nearest are {', '.join(scan.names[row] for row in named)}, and they fail by:"
        yield from (f"  {scan.names[row]}: {choice.reasons[row]}" for row in named)
        yield "The file of pairs is empty: a bot ends the trades that it has open, and without one does not start"
        return
    yield f"{start}, chosen: {', '.join(scan.names[row] for row in choice.chosen)}"
    worst = float(scan.tests.coint_p[list(choice.chosen)].max())
    control = "Benjamini-Hochberg" if scan.settings.gates.false_discovery == "bh" else "Benjamini-Yekutieli"
    allowed = scan.settings.gates.max_q_value * len(choice.chosen)
    yield (
        f"Expected false among them: {allowed:.2g} at most by {control}; of all {count:,} pairs, "
        f"{worst * count:.2g} would have p <= {worst:.2g} by chance ({_by_measure(scan, worst)} by the rate measured)"
    )
    yield from (f"  {scan.names[row]}: {choice.reasons[row]}" for row in choice.passing if row not in choice.chosen)
