"""What a bot answers to a question from afar: plain lines, from its status and its journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from notifications.bot_desk import Answer
from pairs.words import PairState
from trading.journal.reads import JournalReads
from trading.journal.words import restored_position
from trading.live.spreads import LIVE_KEY
from trading.records import Decision, TradeRecord
from trading.reports.performance import win_rate_pct
from trading.reports.why import explain
from trading.reports.why_text import why_text
from trading.utc_text import parse_utc

MOST_DAYS, MOST_TRADES = 60, 100
USUAL_DAYS, USUAL_TRADES = 7, 10
AS_LONG_AS_IT_IS = 100_000  # whoever reads it has a telephone, which breaks lines where it must

Status = Mapping[str, Any]


def status_answer(status: Status) -> Answer:
    """As of the last bar; breaker and pairs as they are now."""
    breaker = status["breaker"]
    why = f", {breaker['reason']} since {breaker['since']}" if breaker["since"] else ""
    held = [pair["pair_id"] for pair in status["pairs"] if pair["state"] != PairState.FLAT.value]
    lines = [
        f"equity {_money(status['equity'])}, last bar {status.get('time') or 'none'}",
        f"breaker {breaker['state']}{why}",
        f"open: {', '.join(held) or 'nothing'}",
        f"reconciled {status['last_reconciled'] or 'never'}; longest unhedged {status['longest_unhedged_s']:.1f} s",
        *(f"{limit['name']} {_number(limit['used'], '.4g')} of {limit['limit']:g}" for limit in status["limits"]),
        *(f"{feed['symbol']} {feed['state']}{_age(feed['age_s'])}" for feed in status["feeds"]),
    ]
    return Answer(
        f"{status['bot_id']} on {status['mode']}, {'running' if status['running'] else 'not running'}", tuple(lines)
    )


def pairs_answer(status: Status) -> Answer:
    rows = [("pair", "state", "z")]
    rows += [(pair["pair_id"], pair["state"], _number(pair["z"], "+.2f")) for pair in status["pairs"]]
    return Answer("Pairs", _table(rows), is_table=True)


def pair_answer(status: Status, journal: JournalReads, pair_id: str) -> Answer:
    pair = next(pair for pair in status["pairs"] if pair["pair_id"] == pair_id)
    lines = [] if pair["z"] is None else [f"z {pair['z']:+.2f}"]
    live = (journal.risk_state(LIVE_KEY) or {}).get(pair_id)
    if live is not None and status["running"]:
        lines.append(f"z {live['z']:+.2f} at the prices of {live['time'][11:19]} UTC")
    stored = journal.positions().get(pair_id)
    if stored is not None and stored.state is not PairState.FLAT:
        position = restored_position(stored)
        entry_z = "" if position.entry_z is None else f", entered at z {position.entry_z:+.2f}"
        lines.append(f"{position.direction.word} since {_minute(position.entry_time)}{entry_z}")
        lines += [f"{leg.symbol} {leg.quantity:+f} at {leg.entry_price:f}" for leg in position.legs]
    lines += [
        f"{leg['symbol']}: ledger {_number(leg['ledger'], 'g')}, exchange {_number(leg['exchange'], 'g')}"
        for leg in pair["legs"]
    ]
    decision = journal.last_decisions().get(pair_id)
    return Answer(f"{pair_id}: {pair['state']}", (*lines, *_decision_lines(decision)))


def why_answer(journal: JournalReads, run: int, wanted: str) -> Answer:
    """Step by step; ``wanted`` as ``find_attempt`` takes it. Raises ``NoSuchTrade``."""
    first, *others = why_text(explain(journal, run, wanted), width=AS_LONG_AS_IT_IS).splitlines()
    return Answer(first, tuple(line.strip() for line in others if line))


def profit_answer(journal: JournalReads) -> Answer:
    """Closed trades of the present run."""
    trades = journal.trades(_last_run(journal))
    if not trades:
        return Answer("No trade has been closed yet")
    by_pair: dict[str, Decimal] = defaultdict(Decimal)
    for trade in trades:
        by_pair[trade.pair_id] += trade.pnl
    rows = [(pair_id, f"{pnl:+,.2f}") for pair_id, pnl in sorted(by_pair.items(), key=lambda row: -row[1])]
    lines = [
        f"price {_sum(trade.pnl_price for trade in trades)}, fees {_sum(trade.pnl_fees for trade in trades)}, "
        f"funding {_sum(trade.pnl_funding for trade in trades)}",
        f"legging cost, within price: {-sum(trade.legging_cost for trade in trades):+,.2f}",
        f"{len(trades)} trades, {win_rate_pct(trades):.0f} % won",
        "",
        *_table(rows),
    ]
    return Answer(f"Profit {_sum(trade.pnl for trade in trades)}", tuple(lines), is_table=True)


def balance_answer(status: Status) -> Answer:
    broker, positions, risk = (status.get(name, {}) for name in ("broker_status", "positions", "risk"))
    held = positions.get("total_positions", 0)
    return Answer(
        f"Equity {_money(status['equity'])}",
        (
            f"cash {_money(broker.get('cash'))}",
            f"unrealised {_money(positions.get('total_unrealized_pnl'))}, open pairs: {held}",
            f"drawdown {_number(risk.get('current_drawdown_pct'), '.2f')} %, "
            f"lost today {_number(risk.get('daily_loss_pct'), '.2f')} %",
            f"as of {status.get('time') or 'no bar yet'}",
        ),
    )


def daily_answer(journal: JournalReads, today: date, days: int) -> Answer:
    """Closed trades by the UTC day of their exit, newest first."""
    by_day: dict[date, list[TradeRecord]] = defaultdict(list)
    for trade in journal.trades(_last_run(journal)):
        by_day[trade.exit_time.date()].append(trade)
    rows = [("day", "trades", "profit")]
    for day in (today - timedelta(days=back) for back in range(days)):
        rows.append((day.isoformat(), str(len(by_day[day])), _sum(trade.pnl for trade in by_day[day])))
    return Answer(f"The last {days} days, by exit", _table(rows), is_table=True)


def trades_answer(journal: JournalReads, count: int) -> Answer:
    trades = journal.trades(_last_run(journal))[-count:]
    if not trades:
        return Answer("No trade has been closed yet")
    return Answer("Last trades", tuple(_trade_line(trade) for trade in reversed(trades)))


def market_day(status: Status, now: datetime) -> date:
    """The day it is for this bot: a simulated market has a time of its own."""
    return (parse_utc(status["time"]) if status.get("time") else now).date()


def _last_run(journal: JournalReads) -> int | None:
    runs = journal.runs()
    return runs[-1].number if runs else None


def _decision_lines(decision: Decision | None) -> list[str]:
    if decision is None:
        return []
    ratio = "" if decision.hedge_ratio is None else f", hedge ratio {decision.hedge_ratio:.4g}"
    answer = f"{decision.rule or 'rule'}: {decision.answer}, {decision.reason}".rstrip(", ")
    return [f"decided {_minute(decision.time)}{ratio}", answer]


def _trade_line(trade: TradeRecord) -> str:
    return (
        f"{trade.pair_id} {trade.direction} {_minute(trade.entry_time)} to {_minute(trade.exit_time)}, "
        f"{trade.exit_reason}: {trade.pnl:+,.2f}"
    )


def _table(rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return tuple(_aligned(row, widths) for row in rows)


def _aligned(row: tuple[str, ...], widths: Sequence[int]) -> str:
    first, *others = row
    cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
    return "  ".join((first.ljust(widths[0]), *cells)).rstrip()


def _sum(amounts: Iterable[Decimal]) -> str:
    return f"{sum(amounts, Decimal(0)):+,.2f}"


def _money(value: float | None) -> str:
    return _number(value, ",.2f")


def _number(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def _age(age_s: float | None) -> str:
    return "" if age_s is None else f", {age_s:.0f} s old"


def _minute(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"
