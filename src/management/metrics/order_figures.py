"""Latency and slippage of a bot's orders as histograms, read on from where the last look ended."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from ccxt_bt_bridge.words import Side
from management.bots.reading import BotReader, Row
from trading.journal.words import IntentState

LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SLIPPAGE = (0.0, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02)
MS_PER_S = 1000.0


@dataclass(slots=True)
class Histogram:
    """``bounds``: upper bounds, inclusive; what is above the last is counted too."""

    bounds: Sequence[float]
    total: float = 0.0
    counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Bound → how many were at most that, as Prometheus wants it."""
        seen, rows = 0, []
        for name, count in zip([*map(_written, self.bounds), "+Inf"], self.counts, strict=True):
            seen += count
            rows.append((name, float(seen)))
        return rows


class OrderFigures:
    """Orders of one bot's newest run that have come to their end, each counted once, in the order they were sent.

    An order that is still under way is waited for: those after it are counted when it has ended. ``latency``: seconds
    from the intent to the last fill; ``slippage``: what it cost as a fraction of the price it was decided on, 0 when it
    was better than that (a histogram's sum must only grow).
    """

    def __init__(self) -> None:
        self._begin(run=0)

    def _begin(self, *, run: int) -> None:
        self._run, self._last_id = run, 0
        self.latency, self.slippage = Histogram(LATENCY_S), Histogram(SLIPPAGE)
        self.filled = self.unfilled = 0

    def read_on(self, reader: BotReader) -> None:
        run = int(reader.run.get("number", 0))
        if run != self._run:
            self._begin(run=run)
        for row in reader.ended_orders(self._last_id):
            if not IntentState(row["state"]).is_terminal:
                return
            self._last_id = row["id"]
            self._add(row)

    def _add(self, row: Row) -> None:
        if row["average"] is None or not float(row["filled"]):
            self.unfilled += 1
            return
        self.filled += 1
        if row["filled_ms"] is not None:
            self.latency.add(max(0.0, (row["filled_ms"] - row["created_ms"]) / MS_PER_S))
        if row["reference_price"] > 0.0:
            cost = Side(row["side"]).sign * (float(row["average"]) / row["reference_price"] - 1.0)
            self.slippage.add(max(0.0, cost))


def _written(bound: float) -> str:
    return str(float(bound))
