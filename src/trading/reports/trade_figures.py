"""What the trades of a run say: where the profit came from, how they won and lost, and how long they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from statistics import median

from trading.records import OpenRecord, RunResult, TradeRecord
from trading.reports.performance import win_rate_pct

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ProfitParts:
    """Quote currency. ``total = price + fees + funding``; slippage and legging are inside price and shown beside it.

    Of closed trades, and of open ones: their parts so far at the last prices known.
    """

    price: Decimal
    fees: Decimal
    funding: Decimal
    slippage: Decimal
    legging: Decimal

    @property
    def total(self) -> Decimal:
        return self.price + self.fees + self.funding

    @property
    def before_costs(self) -> Decimal:
        """What the spread gave before fees, funding and slippage took theirs (slippage is negative when it cost)."""
        return self.price - self.slippage


@dataclass(frozen=True, slots=True)
class TradeFigures:
    """Profits after fees and funding. ``profit_factor`` is None without a loss; ``longest`` etc. are times held."""

    trades: int
    won: int
    win_rate_pct: float
    profit_factor: float | None
    average: Decimal
    average_won: Decimal
    average_lost: Decimal
    best: Decimal
    worst: Decimal
    median_held: timedelta
    longest_held: timedelta
    losses_in_a_row: int
    exits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class PairRow:
    """One pair's part in a run."""

    pair_id: str
    trades: int
    win_rate_pct: float
    parts: ProfitParts
    unrealised: Decimal


def profit_parts(trades: Iterable[TradeRecord | OpenRecord]) -> ProfitParts:
    """The sums over every leg, exact."""
    known = tuple(trades)
    legs = [leg for trade in known for leg in trade.legs]
    legging = [trade.legging_cost for trade in known if isinstance(trade, TradeRecord)]
    return ProfitParts(
        price=_sum(leg.pnl_price for leg in legs),
        fees=_sum(leg.fees for leg in legs),
        funding=_sum(leg.funding for leg in legs),
        slippage=_sum(leg.slippage for leg in legs),
        legging=_sum(legging),
    )


def trade_figures(trades: Sequence[TradeRecord]) -> TradeFigures | None:
    """None without a trade."""
    if not trades:
        return None
    profits = [trade.pnl for trade in trades]
    won, lost = [p for p in profits if p > 0], [p for p in profits if p <= 0]
    held = [trade.exit_time - trade.entry_time for trade in trades]
    loss = -_sum(lost)
    return TradeFigures(
        trades=len(trades),
        won=len(won),
        win_rate_pct=win_rate_pct(trades),
        profit_factor=float(_sum(won) / loss) if loss > 0 else None,
        average=_mean(profits),
        average_won=_mean(won),
        average_lost=_mean(lost),
        best=max(profits),
        worst=min(profits),
        median_held=timedelta(seconds=median(time.total_seconds() for time in held)),
        longest_held=max(held),
        losses_in_a_row=_longest_run(profit <= 0 for profit in profits),
        exits=tuple(Counter(trade.exit_reason for trade in trades).most_common()),
    )


def pair_rows(result: RunResult) -> tuple[PairRow, ...]:
    """One row a pair that traded, by name."""
    pair_ids = {trade.pair_id for trade in result.trades} | {position.pair_id for position in result.open}
    return tuple(_pair_row(result, pair_id) for pair_id in sorted(pair_ids))


def _pair_row(result: RunResult, pair_id: str) -> PairRow:
    trades = [trade for trade in result.trades if trade.pair_id == pair_id]
    unrealised = _sum(position.unrealised for position in result.open if position.pair_id == pair_id)
    return PairRow(pair_id, len(trades), win_rate_pct(trades), profit_parts(trades), unrealised)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _mean(amounts: Sequence[Decimal]) -> Decimal:
    return _sum(amounts) / len(amounts) if amounts else ZERO


def _longest_run(hits: Iterable[bool]) -> int:
    longest = now = 0
    for hit in hits:
        now = now + 1 if hit else 0
        longest = max(longest, now)
    return longest
