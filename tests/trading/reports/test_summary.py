"""The summary that a person reads."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from tests.trading.journal.journal_samples import START
from tests.trading.reports.result_samples import empty_result, sample_result, sample_trade
from trading.records import ExecutionRecord
from trading.reports.summary import ALL_IN_FORMATION, print_summary, summary_text


def facts(text: str) -> dict[str, str]:
    """Label → value of the aligned lines."""
    found = (re.match(r" *(\S.*?) {2,}(\S.*)$", line) for line in text.splitlines())
    return {match[1]: match[2] for match in reversed([match for match in found if match])}


def test_it_says_what_happened() -> None:
    told = facts(summary_text(sample_result(), width=100))
    assert told["Period"] == "2024-01-01 00:00 to 2024-01-01 20:00 UTC"
    assert (told["Bars"], told["Signals"], told["Pair trades"]) == ("20 of 1 h", "8", "3")
    assert told["in formation"] == "1 (outside it: 2)"
    assert (told["Win rate"], told["Exits"]) == ("66.7 %", "reversion 2, stop 1")
    assert (told["Max drawdown"], told["Exposure"], told["Turnover"]) == (
        "0.20 %",
        "45.0 % of bars",
        "2.50 times equity",
    )
    assert told["Refused"] == "2 (max_exposure 2, max_daily_trades 1)"
    assert told["Risk limit"] == "2024-01-01 09:00 UTC max_daily_loss"
    assert told["Note"] == "funding: 3 settlements from the series, 2 from the constant 0.0001"


def test_profit_is_split_into_parts_that_add_up() -> None:
    result = sample_result()
    told = facts(summary_text(result, width=100))
    total, fees, funding = (Decimal(told[name].split()[0]) for name in ("Profit, closed", "fees", "funding"))
    price = Decimal(told["price"].split()[0])
    assert abs(price + fees + funding - total) <= Decimal("0.02")
    assert total == round(sum(trade.pnl for trade in result.trades), 2)
    assert told["price"].endswith("(inside: slippage -1.86, legging -0.15)")


def test_open_positions_are_named() -> None:
    told = facts(summary_text(sample_result(), width=100))
    assert told["Unrealised"] == "+2.00"
    assert told["ETH_BTC"].startswith("short since 2024-01-01 17:00 UTC, +2.00: ETHUSDT -1 at 1800")


def test_each_pair_has_a_row() -> None:
    table = summary_text(sample_result(), width=100).split("\n\n")[-1].splitlines()
    assert table[0].split() == "pair trades won profit price fees funding open".split()
    assert [row.split()[:2] for row in table[1:]] == [["ETH_BTC", "2"], ["SOL_ADA", "1"]]
    assert len({len(row) for row in table}) == 1


def test_a_run_inside_its_formation_window_says_so_first() -> None:
    inside = sample_result(trades=(sample_trade(0, in_formation=True),))
    assert summary_text(inside, width=200).split("\n\n")[1] == ALL_IN_FORMATION
    assert ALL_IN_FORMATION not in summary_text(sample_result(), width=200)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_lines_keep_to_the_width(width: int) -> None:
    text = summary_text(replace(sample_result(), notes=("a long note of many words " * 12,)), width=width)
    facts_part = text.rsplit("\n\n", 1)[0]
    assert max(len(line) for line in facts_part.splitlines()) <= width
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_long_pair_name_is_shortened() -> None:
    named = sample_result(trades=(sample_trade(0, pair_id="A" * 90),), open=())
    table = summary_text(named, width=80).split("\n\n")[-1].splitlines()
    assert {len(row) for row in table} == {80} and "A.." in table[1]


def test_a_run_of_one_symbol_speaks_of_trades() -> None:
    trade = sample_trade(0)
    single = sample_result(trades=(replace(trade, legs=trade.legs[:1], entry_z=None, exit_z=None),))
    assert facts(summary_text(single, width=80))["Trades"] == "1"


def test_a_run_without_a_bar_has_a_summary() -> None:
    told = facts(summary_text(empty_result(), width=80))
    assert (told["Bars"], told["Pair trades"], told["Profit, closed"]) == ("0 of 1 h", "0", "0.00")
    assert "Win rate" not in told and "Refused" not in told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.26, "1.3 s"), (60.0, "1 min 0 s"), (3_725.4, "1 h 2 min 5 s"), (90_000, "1 d 1 h 0 min 0 s")],
)
def test_uptime_is_told_in_words(seconds: float, text: str) -> None:
    assert facts(summary_text(sample_result(uptime_s=seconds), width=80))["Uptime"] == text


def test_bars_are_told_in_their_unit() -> None:
    bars = [facts(summary_text(sample_result(bar_hours=hours), width=80))["Bars"] for hours in (1 / 60, 4, 24)]
    assert bars == ["20 of 1 min", "20 of 4 h", "20 of 1 d"]


def printed(*, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system="standard" if terminal else None)
    print_summary(sample_result(notes=("[bold]no markup[/bold] in a note",)), console)
    return stream.getvalue()


def test_without_a_terminal_it_is_plain() -> None:
    text = printed(terminal=False)
    assert text == summary_text(sample_result(notes=("[bold]no markup[/bold] in a note",)), width=100) + "\n"
    assert "\x1b" not in text and text.isascii()


def test_on_a_terminal_it_says_the_same_with_colour() -> None:
    text = printed(terminal=True)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b[32m" in text and "\x1b[31m" in text
    for label, value in facts(summary_text(sample_result(notes=()), width=100)).items():
        if label not in ("pair", "ETH_BTC", "SOL_ADA"):
            assert label in bare and value.split("  ")[0] in bare
    assert "[bold]no markup[/bold]" in bare


def test_plain_text_needs_no_rich() -> None:
    source = Path(__file__).resolve().parents[3] / "src"
    load = f"import sys; sys.path.insert(0, {str(source)!r}); import trading.reports.summary"
    code = f"{load}; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_times_of_another_zone_are_told_in_utc() -> None:
    from datetime import timedelta, timezone

    tokyo = START.astimezone(timezone(timedelta(hours=9)))
    assert "2024-01-01 00:00 UTC halted" in summary_text(sample_result(risk_trips=((tokyo, "halted"),)), width=80)


def test_how_orders_were_executed_is_told_where_it_is_known() -> None:
    record = ExecutionRecord(1_204, 12.4, 48.0, 0.0123, 0.0456, 0.005, 3)
    told = facts(summary_text(sample_result(execution=record), width=80))
    assert told["Orders"] == "1,204, filled in 12 ms (95 %: 48)"
    assert told["Slippage"] == "0.012 % (95 %: 0.046 %), 3 above the limit"
    assert told["Between the legs"] == "0.005 % of a pair trade"
    assert "Orders" not in facts(summary_text(sample_result(), width=80))
