"""How long a pair stood on one leg, measured at the exchange, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

TOLERANCE = Decimal("0.05")  # of a leg: that much difference is rounding, not a bet
Span = tuple[float, float]


@dataclass
class Unhedged:
    """``now``: loop seconds. A pair is unhedged while its legs hold different shares of what was wanted of them, by as
    much as an order takes.

    Spans in which the process was dead or the exchange did not answer are ``excused``: told beside the others.
    """

    now: Callable[[], float]
    excused: list[Span] = field(default_factory=list)
    _wanted: dict[str, Mapping[str, Decimal]] = field(default_factory=dict)
    _tolerances: dict[str, Decimal] = field(default_factory=dict)
    _held: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _spans: list[Span] = field(default_factory=list)

    def expect(self, ref: str, legs: Mapping[str, Decimal], least: Mapping[str, Decimal]) -> None:
        """The signed amounts that an entry wants of each leg, and the least that the exchange takes an order for."""
        self._wanted[ref] = legs
        self._tolerances[ref] = max(TOLERANCE, min(least[symbol] / abs(wanted) for symbol, wanted in legs.items()))
        self._held.setdefault(ref, dict.fromkeys(legs, Decimal(0)))

    def traded(self, ref: str, symbol: str, amount: Decimal) -> None:
        self._held[ref][symbol] += amount
        now = self.now()
        if self._is_unhedged(ref):
            self._since.setdefault(ref, now)
        elif ref in self._since:
            self._spans.append((self._since.pop(ref), now))

    def close(self, told_s: Mapping[str, Sequence[float]]) -> None:
        """What is unhedged now has been so until now, or until a person was told of its pair for the first time since
        then."""
        now, untold = self.now(), {}
        for ref, since in self._since.items():
            told = [at for at in told_s.get(_pair(ref), ()) if at >= since]
            self._spans.append((since, min(told, default=now)))
            if not told:
                untold[ref] = now
        self._since = untold

    @property
    def unhedged_refs(self) -> tuple[str, ...]:
        return tuple(self._since)

    @property
    def worst_s(self) -> float:
        """The longest, without what is excused."""
        return max((end - start - _shared((start, end), self.excused) for start, end in self._spans), default=0.0)

    @property
    def worst_of_all_s(self) -> float:
        return max((end - start for start, end in self._spans), default=0.0)

    def _is_unhedged(self, ref: str) -> bool:
        shares = [self._held[ref][symbol] / wanted for symbol, wanted in self._wanted[ref].items()]
        return max(shares) - min(shares) > self._tolerances[ref]


def _pair(ref: str) -> str:
    return ref.partition(":")[0]


def _shared(span: Span, others: Iterable[Span]) -> float:
    """Seconds of ``span`` that lie in any of the others, each second once."""
    total, reached = 0.0, span[0]
    for start, end in sorted(others):
        start, end = max(start, reached), min(end, span[1])
        if end > start:
            total, reached = total + end - start, end
    return total
