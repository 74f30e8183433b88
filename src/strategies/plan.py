"""What a strategy is told before it starts: frozen, picklable, the same for a backtest and a live run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ccxt_bt_bridge.words import Market
from mixins.spec import RuleSpec
from pairs.costs import TradingCosts
from pairs.sizing import SizingSpec
from pairs.spread_tracker import SpreadWindow
from pairs.words import Pair


@dataclass(frozen=True, slots=True)
class StrategyPlan:
    """``trade_after``: close of the last warm-up bar; bars up to it are only looked at.

    ``last_exits``: what happened before this process, ``{pair_id: (exit decision time, reason)}``, so that a latch
    survives a restart. ``decided``: pairs that have been decided on the first bar after ``trade_after`` before.
    """

    pairs: tuple[Pair, ...]
    entry: RuleSpec
    exit: RuleSpec
    sizing: SizingSpec
    costs: TradingCosts
    markets: Mapping[str, Market]
    interval_ms: int
    trade_after: datetime
    stop_distance: float | None = None
    last_exits: Mapping[str, tuple[datetime, str]] | None = None
    decided: frozenset[str] = frozenset()

    @property
    def spread_window(self) -> SpreadWindow:
        return spread_window(self.entry)

    @property
    def bar_hours(self) -> float:
        return self.interval_ms / 3_600_000.0


def spread_window(entry: RuleSpec) -> SpreadWindow:
    """What z is measured by, as the entry rule wants it; a rule that says nothing has the usual window."""
    wanted, usual = entry.params, SpreadWindow()
    return SpreadWindow(
        getattr(wanted, "e_window", usual.bars),
        getattr(wanted, "e_statistics_window", "exclusive") == "inclusive",
        getattr(wanted, "e_ddof", usual.ddof),
    )
