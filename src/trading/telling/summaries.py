"""The regular notices: how a bot stands, and what a day has brought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from trading.records import TradeRecord
from trading.risk_guard import Breaker
from trading.telling.history import DayFigures
from trading.telling.wording import Rows, money, sum_of_money, z_text

MOST_PAIRS = 12
NEARLY = 0.5  # a limit of which so much is used is worth a line


def status_rows(status: Mapping[str, Any], quote: str) -> Rows:
    """``status``: what ``bot_status`` answers."""
    rows = [
        ("Equity", _known_sum(status.get("equity"), quote)),
        ("Drawdown", f"{status.get('risk', {}).get('current_drawdown_pct', 0.0):.2f} %"),
        ("Breaker", _breaker(status["breaker"])),
        ("Closed trades", _trades_line(status.get("trades", {}), quote)),
        ("Open pairs", _open_line(status["pairs"])),
    ]
    troubled = [f"{feed['symbol']} {feed['state']}" for feed in status["feeds"] if feed["state"] != "live"]
    return (*rows, ("Limits used", limits_line(status["limits"])), ("Feeds", ", ".join(troubled) or "all live"))


def day_rows(figures: DayFigures, status: Mapping[str, Any], quote: str) -> Rows:
    parts = {name: _total(figures.trades, f"pnl_{name}") for name in ("price", "fees", "funding")}
    won = sum(trade.pnl > 0 for trade in figures.trades)
    return (
        ("Trades", f"{len(figures.trades)}, {won} won"),
        ("Profit of trades", money(figures.pnl, quote)),
        *((f"of {name}", money(amount, quote)) for name, amount in parts.items()),
        ("Legging cost", money(_total(figures.trades, "legging_cost"), quote)),
        ("Equity", f"{sum_of_money(figures.equity[-1][1], quote)}, {money(figures.gain)} in the day"),
        ("Drawdown of the day", f"{figures.drawdown_pct:.2f} %"),
        ("Drawdown", f"{status.get('risk', {}).get('current_drawdown_pct', 0.0):.2f} %"),
        ("Entries refused", str(figures.refused)),
        ("Open pairs", _open_line(status.get("pairs", []))),
        ("Limits used", limits_line(status.get("limits", []))),
    )


def day_body(trades: Iterable[TradeRecord]) -> str:
    """A line a pair that traded."""
    sums: dict[str, Decimal] = {}
    counts: Counter[str] = Counter()
    for trade in trades:
        sums[trade.pair_id] = sums.get(trade.pair_id, Decimal(0)) + trade.pnl
        counts[trade.pair_id] += 1
    return "\n".join(f"{pair_id}: {counts[pair_id]} closed, {money(sums[pair_id])}" for pair_id in sorted(sums))


def limits_line(limits: Iterable[Mapping[str, Any]]) -> str:
    """Those of which at least half is used. Of a distance to liquidation less is worse: it has its own alarm."""
    near = [
        f"{row['name']} {row['used']:.4g} of {row['limit']:.4g}"
        for row in limits
        if row["name"] != "min_liquidation_distance_pct" and row["used"] is not None and row["limit"]
        and row["used"] / row["limit"] >= NEARLY
    ]  # fmt: skip
    return ", ".join(near) or "less than half of each"


def _open_line(pairs: Iterable[Mapping[str, Any]]) -> str:
    held = [f"{pair['pair_id']} ({pair['state']}, z {z_text(pair['z'])})" for pair in pairs if pair["state"] != "flat"]
    more = f" and {len(held) - MOST_PAIRS} more" if len(held) > MOST_PAIRS else ""
    return (", ".join(held[:MOST_PAIRS]) or "none") + more


def _breaker(breaker: Mapping[str, Any]) -> str:
    reason = f" ({breaker['reason']})" if breaker["reason"] and breaker["state"] != Breaker.CLOSED.value else ""
    return f"{breaker['state']}{reason}"


def _trades_line(trades: Mapping[str, Any], quote: str) -> str:
    return f"{trades.get('closed', 0)}, {money(trades.get('pnl', 0.0), quote)}"


def _known_sum(amount: float | None, quote: str) -> str:
    return "unknown" if amount is None else sum_of_money(amount, quote)


def _total(trades: Iterable[TradeRecord], name: str) -> Decimal:
    return sum((getattr(trade, name) for trade in trades), Decimal(0))
