"""A run's equity and drawdown, read on from where the last look ended."""

from __future__ import annotations

from dataclasses import dataclass

from management.bots.reading import BotReader

MOST_POINTS = 20_000


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """``time`` as ISO text; ``drawdown_pct`` below the highest equity so far, 0 or positive."""

    time: str
    equity: float
    drawdown_pct: float


class EquityCurve:
    """Bars of one bot's newest run. A longer one is thinned: every second point goes, and every second bar to come.

    ``points`` are those kept, the newest always among them.
    """

    def __init__(self) -> None:
        self._begin(run=0)

    def _begin(self, *, run: int) -> None:
        self._run, self._last_id, self._peak, self._seen, self._step = run, 0, 0.0, 0, 1
        self._kept: list[CurvePoint] = []
        self._newest: CurvePoint | None = None

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        newest = self._newest
        return tuple(self._kept) if newest is None or self._kept[-1:] == [newest] else (*self._kept, newest)

    def read_on(self, reader: BotReader) -> None:
        run = int(reader.run.get("number", 0))
        if run != self._run:
            self._begin(run=run)
        for row in reader.after("equity", "time, equity", self._last_id):
            self._last_id = row["id"]
            self._add(row["time"], row["equity"])

    def _add(self, time: str, equity: float) -> None:
        self._peak = max(self._peak, equity)
        drawdown_pct = 100.0 * (self._peak - equity) / self._peak if self._peak > 0.0 else 0.0
        self._newest = CurvePoint(time, equity, drawdown_pct)
        if self._kept and self._kept[-1].time == time:  # the last word on a moment counts
            self._kept[-1] = self._newest
            return
        if self._seen % self._step == 0:
            self._kept.append(self._newest)
        self._seen += 1
        if len(self._kept) > MOST_POINTS:
            self._kept = self._kept[::2]
            self._step *= 2
