"""The summary a person reads at the end of a run: plain aligned text, or the same with colour on a terminal."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from trading.records import LegRecord, OpenRecord, RunResult, TradeRecord
from trading.reports.performance import Metrics, metrics, win_rate_pct

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

MIN_WIDTH = 40
PAIR_HEAD = ("pair", "trades", "won", "profit", "price", "fees", "funding", "open")
ALL_IN_FORMATION = (
    "Every trade lies inside the window on which its pair was chosen: this run says nothing about the future."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One fact. ``indent`` marks a part of the line before; ``tone``: 1 good, -1 bad, 0 neither."""

    label: str
    value: str
    indent: bool = False
    tone: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What is to be said, in order, whatever it is printed with. ``pairs``: rows under ``PAIR_HEAD``."""

    title: str
    warning: str | None
    sections: tuple[tuple[Line, ...], ...]
    pairs: tuple[tuple[str, ...], ...]


def summarise(result: RunResult) -> Summary:
    """The facts of a run, ready to print."""
    figures = metrics(result)
    in_formation = bool(result.trades) and figures.trades_in_formation == figures.trades
    sections = (_course(result, figures), _money(result), _risk(result, figures), _execution(result), _remarks(result))
    return Summary(
        title=f"{result.config}: {result.mode}",
        warning=ALL_IN_FORMATION if in_formation else None,
        sections=tuple(section for section in sections if section),
        pairs=tuple(_pair_rows(result)),
    )


def summary_text(result: RunResult, *, width: int) -> str:
    """Plain text without colour codes, wrapped to ``width`` columns (40 at least); ends without a line feed."""
    width = max(width, MIN_WIDTH)
    summary = summarise(result)
    blocks = [f"{summary.title}\n{'=' * min(len(summary.title), width)}"]
    if summary.warning:
        blocks.append(textwrap.fill(summary.warning, width))
    label_width = max(len(_label(line)) for section in summary.sections for line in section)
    blocks += ["\n".join(_plain(line, label_width, width) for line in section) for section in summary.sections]
    if summary.pairs:
        blocks.append(_plain_table((PAIR_HEAD, *summary.pairs), width))
    return "\n\n".join(blocks)


def print_summary(result: RunResult, console: Console) -> None:
    """With colour on a terminal, as ``summary_text`` anywhere else."""
    if not console.is_terminal:
        console.print(summary_text(result, width=console.width), markup=False, highlight=False, soft_wrap=True)
        return
    console.print(_coloured(summarise(result)))


# What is said


def _course(result: RunResult, figures: Metrics) -> tuple[Line, ...]:
    is_pair = not result.trades or any(len(trade.legs) > 1 for trade in result.trades)
    lines = [] if result.uptime_s is None else [Line("Uptime", _duration(result.uptime_s))]
    if result.start is not None and result.end is not None:
        lines.append(Line("Period", f"{_minute(result.start)} to {_minute(result.end)} UTC"))
    lines += [
        Line("Bars", f"{result.bars:,} of {_bar_length(result.bar_hours)}"),
        Line("Signals", f"{result.signals:,}"),
        Line("Pair trades" if is_pair else "Trades", f"{figures.trades:,}"),
    ]
    if figures.trades_in_formation:
        apart = figures.trades - figures.trades_in_formation
        lines.append(Line("in formation", f"{figures.trades_in_formation:,} (outside it: {apart:,})", indent=True))
    if result.trades:
        lines.append(Line("Win rate", f"{figures.win_rate_pct:.1f} %"))
        lines.append(Line("Exits", _counts(trade.exit_reason for trade in result.trades)))
    return tuple(lines)


def _money(result: RunResult) -> tuple[Line, ...]:
    trades, change = result.trades, result.equity_end - result.equity_start
    pct = change / result.equity_start * 100 if result.equity_start else Decimal(0)
    unrealised = sum((position.unrealised for position in result.open), Decimal(0))
    slippage = sum((leg.slippage for trade in trades for leg in trade.legs), Decimal(0))
    price = _sum(trade.pnl_price for trade in trades)
    legging = _sum(trade.legging_cost for trade in trades)
    inside = f"  (inside: slippage {_signed(slippage)}, legging {_signed(legging)})" if trades else ""
    lines = [
        Line(
            "Equity", f"{result.equity_start:,.2f} to {result.equity_end:,.2f} ({_signed(pct)} %)", tone=_tone(change)
        ),
        Line("Profit, closed", _signed(_sum(trade.pnl for trade in trades)), tone=_tone(_sum(t.pnl for t in trades))),
        Line("price", f"{_signed(price)}{inside}", indent=True),
        Line("fees", _signed(_sum(trade.pnl_fees for trade in trades)), indent=True),
        Line("funding", _signed(_sum(trade.pnl_funding for trade in trades)), indent=True),
    ]
    if result.open:
        lines.append(Line("Unrealised", _signed(unrealised), tone=_tone(unrealised)))
        lines += [Line(position.pair_id, _open_text(position), indent=True) for position in result.open]
    return tuple(lines)


def _risk(result: RunResult, figures: Metrics) -> tuple[Line, ...]:
    return (
        Line("Max drawdown", f"{figures.max_drawdown_pct:.2f} %"),
        Line("Sharpe ratio", f"{figures.sharpe:.2f}"),
        Line("Exposure", f"{figures.exposure_pct:.1f} % of bars"),
        Line("Turnover", f"{figures.turnover:.2f} times equity"),
    )


def _execution(result: RunResult) -> tuple[Line, ...]:
    known = result.execution
    if known is None or not known.orders:
        return ()
    alerts = f", {known.alerts:,} above the limit" if known.alerts else ""
    return (
        Line(
            "Orders", f"{known.orders:,}, filled in {known.median_latency_ms:.0f} ms (95 %: {known.p95_latency_ms:.0f})"
        ),
        Line("Slippage", f"{known.average_slippage_pct:.3f} % (95 %: {known.p95_slippage_pct:.3f} %){alerts}"),
        Line("Between the legs", f"{known.average_legging_pct:.3f} % of a pair trade"),
    )


def _remarks(result: RunResult) -> tuple[Line, ...]:
    lines = []
    if result.refused:
        reasons = _counts(reason for refusal in result.refused for reason in refusal.reasons)
        lines.append(Line("Refused", f"{len(result.refused):,} ({reasons})"))
    lines += [Line("Risk limit", f"{_minute(time)} UTC {reason}", tone=-1) for time, reason in result.risk_trips]
    lines += [Line("Note", note) for note in result.notes]
    return tuple(lines)


def _pair_rows(result: RunResult) -> Iterable[tuple[str, ...]]:
    pair_ids = {trade.pair_id for trade in result.trades} | {position.pair_id for position in result.open}
    for pair_id in sorted(pair_ids):
        trades = [trade for trade in result.trades if trade.pair_id == pair_id]
        positions = [position for position in result.open if position.pair_id == pair_id]
        yield _pair_row(pair_id, trades, positions)


def _pair_row(pair_id: str, trades: Sequence[TradeRecord], positions: Sequence[OpenRecord]) -> tuple[str, ...]:
    parts = ("pnl", "pnl_price", "pnl_fees", "pnl_funding")
    return (
        pair_id,
        str(len(trades)),
        f"{win_rate_pct(trades):.0f} %" if trades else "-",
        *(_signed(_sum(getattr(trade, part) for trade in trades)) for part in parts),
        _signed(_sum(position.unrealised for position in positions)) if positions else "-",
    )


def _open_text(position: OpenRecord) -> str:
    legs = ", ".join(_leg_text(leg) for leg in position.legs)
    return f"{position.direction} since {_minute(position.entry_time)} UTC, {_signed(position.unrealised)}: {legs}"


def _leg_text(leg: LegRecord) -> str:
    return f"{leg.symbol} {leg.quantity.normalize():+f} at {leg.entry_price.normalize():f}"


# How words and numbers look


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def _signed(amount: Decimal) -> str:
    text = f"{amount:+,.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def _tone(amount: Decimal) -> int:
    return (amount > 0) - (amount < 0)


def _counts(words: Iterable[str]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in Counter(words).most_common())


def _minute(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _bar_length(hours: float) -> str:
    if hours >= 24 and hours % 24 == 0:
        return f"{hours / 24:g} d"
    return f"{hours:g} h" if hours >= 1 else f"{hours * 60:g} min"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [(days, "d"), (hour, "h"), (minute, "min"), (second, "s")]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first:])


# Plain text


def _label(line: Line) -> str:
    return f"  {line.label}" if line.indent else line.label


def _plain(line: Line, label_width: int, width: int) -> str:
    head = f"{_label(line):<{label_width}}  "
    return textwrap.fill(line.value, width, initial_indent=head, subsequent_indent=" " * len(head))


def _plain_table(rows: Sequence[tuple[str, ...]], width: int) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(PAIR_HEAD))]
    widths[0] = max(min(widths[0], width - sum(widths[1:]) - 2 * (len(widths) - 1)), len("pair"))
    return "\n".join(_plain_row(row, widths) for row in rows)


def _plain_row(row: tuple[str, ...], widths: Sequence[int]) -> str:
    name = row[0] if len(row[0]) <= widths[0] else f"{row[0][: widths[0] - 2]}.."
    numbers = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join((f"{name:<{widths[0]}}", *numbers))


# With colour

TONES = {1: "green", -1: "red", 0: ""}


def _coloured(summary: Summary) -> RenderableType:
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    warning = [Text(summary.warning, style="bold yellow"), Text()] if summary.warning else []
    parts: list[RenderableType] = [*warning, _facts(summary)]
    if summary.pairs:
        parts += [Text(), _pair_table(summary.pairs)]
    return Panel(Group(*parts), title=Text(summary.title, style="bold"), title_align="left", border_style="dim")


def _facts(summary: Summary) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for number, section in enumerate(summary.sections):
        if number:
            grid.add_row()
        for line in section:
            grid.add_row(Text(_label(line)), Text(line.value, style=TONES[line.tone]))
    return grid


def _pair_table(rows: Sequence[tuple[str, ...]]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 1))
    table.add_column(PAIR_HEAD[0], overflow="ellipsis", no_wrap=True)
    for name in PAIR_HEAD[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(Text(row[0]), Text(row[1]), Text(row[2]), *(_amount(cell) for cell in row[3:]))
    return table


def _amount(cell: str) -> Text:
    from rich.text import Text

    return Text(cell, style="green" if cell.startswith("+") else "red" if cell[0] == "-" and len(cell) > 1 else "")
