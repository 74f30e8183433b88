"""When funding is due and at which rate: a recorded series where there is one, a constant elsewhere."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal

from brokers.fills import quantise
from ccxt_bt_bridge.series import FundingSeries

EIGHT_HOURS_MS = 8 * 3_600_000
# A recorded event this close to a constant one is the same event: no interval in use is shorter than an hour.
SAME_EVENT_MS = 30 * 60_000


@dataclass(frozen=True, slots=True)
class FundingEvent:
    """``rate`` as a fraction, positive when longs pay. ``mark_price`` None: take the last closed bar's close."""

    time_ms: int
    rate: Decimal
    mark_price: Decimal | None
    from_series: bool


@dataclass(frozen=True, slots=True)
class FundingCounts:
    """How many events came from a recorded series and how many from the constant."""

    series: int
    constant: int


def funding_amount(quantity: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """Change of the wallet: ``-quantity · mark · rate`` (a long pays a positive rate), to 8 decimals."""
    return quantise(-quantity * mark * rate)


class FundingSchedule:
    """The funding of one symbol.

    Between the first and last event of ``series`` only the series counts, also where it has a hole; outside them
    ``rate_8h`` is due at 00:00, 08:00 and 16:00 UTC (a rate of 0 is no event). ``end_ms``: nothing is due after it, for
    a symbol that was delisted.
    """

    def __init__(self, series: FundingSeries | None, rate_8h: Decimal, *, end_ms: int | None = None) -> None:
        self._series = series if series is not None and len(series) else None
        self._rate_8h = rate_8h
        self._end_ms = end_ms

    def between(self, after_ms: int, until_ms: int) -> list[FundingEvent]:
        """Events with ``after_ms < time <= until_ms``, in order."""
        until_ms = until_ms if self._end_ms is None else min(until_ms, self._end_ms)
        events = self._recorded(after_ms, until_ms) + self._constant(after_ms, until_ms)
        return sorted(events, key=lambda event: event.time_ms)

    def next_after(self, after_ms: int) -> int | None:
        """The time of the next event, None when none will come."""
        event = min(self._next_recorded(after_ms), self._next_constant(after_ms))
        if event == _NEVER or (self._end_ms is not None and event > self._end_ms):
            return None
        return int(event)

    def counts(self, after_ms: int, until_ms: int) -> FundingCounts:
        """What ``between`` holds, by origin, for the summary of a run."""
        recorded = [event.from_series for event in self.between(after_ms, until_ms)]
        return FundingCounts(sum(recorded), len(recorded) - sum(recorded))

    def _recorded(self, after_ms: int, until_ms: int) -> list[FundingEvent]:
        if self._series is None:
            return []
        times = self._series.time_ms
        chosen = range(bisect_right(times, after_ms), bisect_right(times, until_ms))
        return [FundingEvent(times[i], self._series.rates[i], self._series.mark_prices[i], True) for i in chosen]

    def _constant(self, after_ms: int, until_ms: int) -> list[FundingEvent]:
        if not self._rate_8h:
            return []
        first = (after_ms // EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS
        times = range(first, until_ms + 1, EIGHT_HOURS_MS)
        return [FundingEvent(at, self._rate_8h, None, False) for at in times if not self._is_covered(at)]

    def _is_covered(self, time_ms: int) -> bool:
        if self._series is None:
            return False
        return self._series.time_ms[0] - SAME_EVENT_MS < time_ms < self._series.time_ms[-1] + SAME_EVENT_MS

    def _next_recorded(self, after_ms: int) -> float:
        times = () if self._series is None else self._series.time_ms
        at = bisect_right(times, after_ms)
        return times[at] if at < len(times) else _NEVER

    def _next_constant(self, after_ms: int) -> float:
        if not self._rate_8h:
            return _NEVER
        first = (after_ms // EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS
        if self._series is None or not self._is_covered(first):
            return first
        beyond = self._series.time_ms[-1] + SAME_EVENT_MS - 1
        return (beyond // EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS


_NEVER = float("inf")
