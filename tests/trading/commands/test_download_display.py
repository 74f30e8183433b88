"""A download shows a bar in a terminal, and few plain lines anywhere else."""

from __future__ import annotations

import io

from rich.console import Console

from feeds.download import Advance
from trading.commands.download_display import DownloadDisplay


def shown(*, terminal: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    with DownloadDisplay(["BTC/USDT"], console) as display:
        for done in range(1, 101):
            display.show(Advance("BTC/USDT", done, 100))
        display.show(Advance("BTC/USDT", 100, 100, "done"))
    return text.getvalue()


def test_without_a_terminal_every_tenth_is_a_line():
    lines = shown(terminal=False).splitlines()
    assert lines[0].split() == ["BTC/USDT", "1%"] and lines[1].split() == ["BTC/USDT", "10%"]
    assert lines[-1].split() == ["BTC/USDT", "100%", "done"] and len(lines) == 12


def test_in_a_terminal_the_bar_ends_at_the_whole():
    assert "100/100" in shown(terminal=True) and "done" in shown(terminal=True)
