"""A time step of a live run: equity at the closes, what risk demands, the view for the strategy, all of it saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from pairs.words import PairOrder, PairState
from trading.events import BarMarked
from trading.execution.floor import Floor
from trading.execution.quality import ExecutionQuality
from trading.live.pair_gateway import PairGateway, StepView
from trading.live.progress import Progress
from trading.risk.state import GUARD_KEY
from trading.risk_guard import RiskExit
from trading.status import STATUS_KEY, status_row

PROGRESS_KEY = "progress"


class BarMarker:
    """Marks the steps of one run. ``leave`` carries out an exit that risk demands."""

    def __init__(
        self,
        floor: Floor,
        progress: Progress,
        *,
        gateway: PairGateway,
        statistics: ExecutionQuality,
        mode: str,
        leave: Callable[[PairOrder], None],
    ) -> None:
        self.floor = floor
        self.progress = progress
        self._gateway = gateway
        self._statistics = statistics
        self._mode = mode
        self._unhedged_before_s: float = (floor.journal.risk_state(STATUS_KEY) or {}).get("longest_unhedged_s", 0.0)
        self._leave = leave
        self._counted: datetime | None = None

    def mark(self, time: datetime) -> None:
        """In real time the pairs' bars of one moment come one by one: each is looked at, the moment counts once."""
        progress = self.progress
        if progress.time is not None and time < progress.time:
            return
        is_new = progress.time != time
        progress.time = time
        equity = self.floor.ledger.equity(progress.prices)
        self._count(time, equity)
        self._check_risk(time, equity, () if is_new else self._gateway.view.risk_exits)
        if is_new:
            progress.bars += 1
            self.floor.bus.publish(BarMarked(time, equity))
        self.note_progress()
        self.save()

    def _count(self, time: datetime, equity: float) -> None:
        """The last word on a moment counts, unless an earlier process had it: then it knew less of what followed."""
        progress = self.progress
        if not progress.equity or progress.equity[-1][0] < time:
            self._counted = time
            progress.bars_in_position += bool(self.floor.ledger.positions())
            progress.equity.append((time, equity))
            self.floor.journal.record_equity(time, equity)
        elif self._counted == time and progress.equity[-1][1] != equity:
            progress.equity[-1] = (time, equity)
            self.floor.journal.record_equity(time, equity)

    def _check_risk(self, time: datetime, equity: float, known: tuple[RiskExit, ...]) -> None:
        """What risk demands at these closes; the strategy sees it as done."""
        floor, prices = self.floor, self.progress.prices
        positions = floor.ledger.positions()
        leaving_already = {risk_exit.pair_id for risk_exit in known}
        exits = floor.guard.on_bar(time, equity, positions, prices)
        exits = [risk_exit for risk_exit in exits if risk_exit.pair_id not in leaving_already]
        leaving = leaving_already | {risk_exit.pair_id for risk_exit in exits}
        view = {p: replace(q, state=PairState.EXITING) if p in leaving else q for p, q in positions.items()}
        cash = float(floor.ledger.equity_start) if not positions else equity
        self._gateway.publish_step(StepView(time, equity, cash, view, (*known, *exits)))
        for risk_exit in exits:
            self._leave(positions[risk_exit.pair_id].exit_order(prices, time, risk_exit.reason))

    def save(self) -> None:
        """Everything that is not money, in one commit: risk state, counters, status, waiting rows."""
        floor, progress = self.floor, self.progress
        self.note_progress()
        with floor.journal.transaction():
            floor.journal.save_risk_states(
                {
                    GUARD_KEY: floor.guard.snapshot(),
                    PROGRESS_KEY: {"bars_in_position": progress.bars_in_position},
                    STATUS_KEY: self.status(),
                }
            )

    def status(self) -> dict[str, Any]:
        return status_row(
            mode=self._mode,
            ledger=self.floor.ledger,
            guard=self.floor.guard,
            statistics=self._statistics,
            prices=self.progress.prices,
            time=self.progress.time,
            bars=self.progress.bars,
            signals=self.progress.signals,
            last_bars=self.progress.last_bars,
            is_market_up=self.progress.is_market_up,
            longest_unhedged_s=max(self._unhedged_before_s, self.floor.engine.longest_unhedged_s),
            reconciled=self.floor.reconciler.last,
        )

    def note_progress(self) -> None:
        self.floor.journal.note_progress(bars=self.progress.bars, signals=self.progress.signals)

    def save_guard(self) -> None:
        self.floor.journal.save_risk_state(GUARD_KEY, self.floor.guard.snapshot())
