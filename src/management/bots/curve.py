"""A run's equity and drawdown, read on from where the last look ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from management.bots.reading import BotReader

MOST_POINTS = 20_000


@dataclass(frozen=True, slots=True)
class Curve:
    """Columns of one length. ``times``: ISO texts; ``drawdown_pct``: below the highest equity so far, 0 or positive."""

    times: list[str] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    drawdown_pct: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.times)

    def add(self, time: str, equity: float, drawdown_pct: float) -> None:
        self.times.append(time)
        self.equity.append(equity)
        self.drawdown_pct.append(drawdown_pct)

    def put_last(self, equity: float, drawdown_pct: float) -> None:
        self.equity[-1], self.drawdown_pct[-1] = equity, drawdown_pct

    def every(self, step: int) -> Curve:
        return Curve(self.times[::step], self.equity[::step], self.drawdown_pct[::step])


class EquityCurve:
    """Bars of one bot's newest run. A longer one is thinned: every second point goes, and every second bar to come."""

    def __init__(self) -> None:
        self._begin(run=0)

    def _begin(self, *, run: int) -> None:
        self._run, self._last_id, self._peak, self._seen, self._step = run, 0, 0.0, 0, 1
        self._kept = Curve()
        self._newest: tuple[str, float, float] | None = None

    def points(self) -> Curve:
        """A copy of those kept, the newest always among them."""
        known = self._kept.every(1)
        if self._newest is not None and known.times[-1:] != [self._newest[0]]:
            known.add(*self._newest)
        return known

    def read_on(self, reader: BotReader) -> None:
        run = int(reader.run.get("number", 0))
        if run != self._run:
            self._begin(run=run)
        for row_id, time, equity in reader.equity_after(self._last_id):
            self._last_id = row_id
            self._add(time, equity)

    def _add(self, time: str, equity: float) -> None:
        if equity > self._peak:
            self._peak = equity
        drawdown_pct = 100.0 * (self._peak - equity) / self._peak if self._peak > 0.0 else 0.0
        is_said_anew = self._newest is not None and self._newest[0] == time  # the last word on a moment counts
        self._newest = (time, equity, drawdown_pct)
        if is_said_anew:
            if self._kept.times[-1] == time:
                self._kept.put_last(equity, drawdown_pct)
            return
        if self._seen % self._step == 0:
            self._kept.add(time, equity, drawdown_pct)
        self._seen += 1
        if len(self._kept) > MOST_POINTS:
            self._kept = self._kept.every(2)
            self._step *= 2
