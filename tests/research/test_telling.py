"""What a person sees: progress and the table, with colour in a terminal and plain anywhere else."""

from __future__ import annotations

import io
from functools import cache

from rich.console import Console

from research.scan.display import ScanDisplay
from research.scan.scan import Scan, scan
from research.scan.telling import tell_scan
from tests.research.markets import QUICK, compared, market


def console(*, terminal: bool, width: int = 160) -> Console:
    colour = "standard" if terminal else None
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=colour, no_color=False)


def text(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


@cache
def found() -> Scan:
    return scan(compared(market(1, 3)), QUICK)


def test_a_terminal_gets_a_bar_for_each_step() -> None:
    shown = console(terminal=True)
    with ScanDisplay(shown) as display:
        display.show("testing pairs", 0, 10)
        display.show("testing pairs", 10, 10)
        display.show("measuring chance", 3, 4)
    assert "testing pairs" in text(shown) and "10/10" in text(shown) and "3/4" in text(shown)


def test_anywhere_else_each_step_is_a_line() -> None:
    shown = console(terminal=False)
    with ScanDisplay(shown) as display:
        for done in range(4):
            display.show("testing pairs", done * 1_000, 3_000)
        display.show("measuring chance", 1, 4)
    assert text(shown) == "testing pairs: 3,000\nmeasuring chance: 4\n"


def test_the_chosen_pair_is_green_in_a_terminal_and_plain_elsewhere() -> None:
    coloured, plain = console(terminal=True), console(terminal=False)
    for shown in (coloured, plain):
        tell_scan(found(), shown)
    line = next(one for one in text(coloured).splitlines() if "A0_B0" in one and "chosen" not in one)
    assert "\x1b[32m" in line and "\x1b" not in text(plain)
    assert [one for one in text(plain).splitlines() if one.startswith("A0_B0 ")]


def table(shown: Console) -> list[str]:
    tell_scan(found(), shown)
    return [one for one in text(shown).splitlines() if one.lstrip("\x1b[132m").startswith(("pair ", "A0_", "B0_", "W"))]


def test_a_narrow_terminal_shows_fewer_columns_and_no_halves() -> None:
    narrow, wide = console(terminal=True, width=80), console(terminal=True)
    assert "ADF p" in table(wide)[0] and "ADF p" not in table(narrow)[0]
    assert "half-life h (90 %)" in table(narrow)[0] and "…" not in text(narrow)


def test_every_row_of_the_plain_table_fits_a_line() -> None:
    rows = table(console(terminal=False))
    assert len(rows) == 11 and max(map(len, rows)) <= 140


def test_what_the_simulated_pairs_cannot_tell_is_a_bound() -> None:
    shown = console(terminal=False)
    tell_scan(found(), shown)
    assert "(fewer than 0.17 by the rate measured)" in text(shown)
