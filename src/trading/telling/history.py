"""What notices need of the past: read from the journal, by a connection of its own that cannot write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.words import Fill
from trading.config.model import LoadedConfig
from trading.journal.reads import JournalReader
from trading.records import TradeRecord
from trading.status_reading import bot_status
from trading.venues.opening import state_paths

EquityCurve = tuple[tuple[datetime, float], ...]
ZSeries = tuple[tuple[datetime, float], ...]

PAST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One UTC day of a run. ``equity``: its bars, from the last one of the day before; ``past``: the last 30 days."""

    trades: tuple[TradeRecord, ...]
    refused: int
    equity: EquityCurve
    past: EquityCurve

    def with_bar(self, bar: tuple[datetime, float], end: datetime) -> DayFigures:
        """With the day's last bar, which may not be on disk yet."""
        if bar[0] != end or (self.past and self.past[-1][0] == end):
            return self
        return replace(self, equity=(*self.equity, bar), past=(*self.past, bar))

    @property
    def pnl(self) -> Decimal:
        return sum((trade.pnl for trade in self.trades), Decimal(0))

    @property
    def gain(self) -> float:
        """Of equity, open pairs included."""
        return self.equity[-1][1] - self.equity[0][1] if self.equity else 0.0

    @property
    def drawdown_pct(self) -> float:
        """The deepest fall of equity within the day, from a height of that day."""
        peak = worst = 0.0
        for _, equity in self.equity:
            peak = max(peak, equity)
            worst = max(worst, 100.0 * (peak - equity) / peak if peak > 0.0 else 0.0)
        return worst


class History:
    """Of one run of a bot. Every method raises JournalError."""

    def __init__(self, config: LoadedConfig, run: int) -> None:
        self._config, self._run = config, run
        self._path, _ = state_paths(config)

    def entry_fills(self, pair_id: str, ref: str) -> tuple[Fill, ...]:
        with JournalReader.open(self._path) as journal:
            return journal.fills_of(pair_id, ref, self._run)

    def zscores(self, pair_id: str, *, since: datetime | None, most: int) -> ZSeries:
        """Of the newest ``most`` bars, or of more, so that they begin at ``since``."""
        with JournalReader.open(self._path) as journal:
            return journal.recent_zscores(pair_id, run=self._run, since=since, most=most)

    def day(self, end: datetime) -> DayFigures:
        """The UTC day that ends at midnight ``end``. The bar that closes at midnight is the old day's last."""
        begin = end - timedelta(days=1)
        with JournalReader.open(self._path) as journal:
            past = [row for row in journal.equity(self._run, since=end - PAST) if row[0] <= end]
            trades = journal.trades(self._run)
            refusals = journal.refusals(self._run)
        before = [row for row in past if row[0] <= begin][-1:]
        return DayFigures(
            trades=tuple(trade for trade in trades if begin <= trade.exit_time < end),
            refused=sum(begin <= refusal.time < end for refusal in refusals),
            equity=(*before, *(row for row in past if row[0] > begin)),
            past=tuple(past),
        )

    def status(self, now: datetime) -> dict[str, Any]:
        return bot_status(self._config, now) or {}
