"""What a rule is: a small named object with its own parameters that looks at the market and answers one question.

An entry answers "enter? which side, how sure?", an exit "leave? why?". Both read a ``View`` and never order. They are
composed: built by a strategy inside its ``__init__``, so that Backtrader finds the owner of their indicators. Every
answer carries a reason, also the answer "no", so that a journal can say why nothing happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pairs.costs import TradingCosts
from pairs.words import Direction, Pair, PairPosition, SpreadStatistics


class View(Protocol):
    """What a rule may look at: the market of one pair (or one symbol) at the close of the current bar.

    ``data``: Backtrader's data of ``leg_a`` (lines open, high, low, close, volume). ``zscore`` and ``previous_zscore``:
    the rolling z of this bar and of the bar before, NaN until the window is full (always NaN for one symbol).
    ``frozen_zscore``: z by the statistics frozen at entry, NaN when flat. ``bars_held``: bars closed since the entry
    decision. ``half_life_bars``: of the open position, else of the pair, None when unknown. ``exit_level`` and
    ``stop_level``: the exit rule's |z| thresholds (0 and infinity for rules that have none).
    """

    pair: Pair
    data: Any
    costs: TradingCosts
    bar_hours: float

    @property
    def time(self) -> datetime: ...
    @property
    def price_a(self) -> float: ...
    @property
    def price_b(self) -> float: ...
    @property
    def spread(self) -> float: ...
    @property
    def zscore(self) -> float: ...
    @property
    def previous_zscore(self) -> float: ...
    @property
    def frozen_zscore(self) -> float: ...
    @property
    def statistics(self) -> SpreadStatistics | None: ...
    @property
    def position(self) -> PairPosition | None: ...
    @property
    def bars_held(self) -> int: ...
    @property
    def half_life_bars(self) -> float | None: ...
    @property
    def exit_level(self) -> float: ...
    @property
    def stop_level(self) -> float: ...


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """``direction`` None means no. ``strength`` in [0, 1] scales the size on request. ``reason`` is a short code."""

    direction: Direction | None
    strength: float
    reason: str


@dataclass(frozen=True, slots=True)
class ExitAnswer:
    """``reason`` is a short code: reversion, stop, half_life_timeout, take_profit, …; "hold" when staying."""

    leave: bool
    reason: str


HOLD = ExitAnswer(False, "hold")


class RuleMixin:
    """What entry and exit rules share: parameters, a view of the market, and how many bars they need."""

    Params: ClassVar[type]
    market: ClassVar[str] = "single"  # "pair" when the rule needs a spread and its z, "any" when it serves both

    def __init__(self, params: Any, view: View) -> None:
        self.params = params
        self.view = view

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        """Bars that must have closed before the rule can answer anything but "not_ready".

        Whoever runs preloaded data (``runonce``) must check it first: there Backtrader's indicators raise IndexError
        on data shorter than their period.
        """
        return 1


class EntryMixin(RuleMixin):
    """Base of entry rules. ``Params`` is a frozen dataclass whose fields carry the ``e_`` prefix and their bounds."""

    def decide(self) -> EntryAnswer:
        """Called once per closed bar while flat."""
        raise TypeError(f"{type(self).__name__} does not decide")


class ExitMixin(RuleMixin):
    """Base of exit rules. ``Params`` is a frozen dataclass whose fields carry the ``x_`` prefix and their bounds."""

    exit_level: float = 0.0
    stop_level: float = float("inf")
    cooldown_bars: int = 0

    @classmethod
    def frozen_stop(cls, params: Any, pair: Pair) -> float:
        """The |z| by the statistics of the entry at which a trade that loses is left; infinite where there is none.

        A live bot watches it between bars too.
        """
        return float("inf")

    @classmethod
    def stop_alone(cls, params: Any, pair: Pair) -> float:
        """The same, for a bot in which no rule decides any more: its engine knows the statistics of the entry only."""
        return cls.frozen_stop(params, pair)

    def decide(self) -> ExitAnswer:
        """Called once per closed bar while a position is open."""
        raise TypeError(f"{type(self).__name__} does not decide")

    def is_calm(self) -> bool:
        """True when a latch set by the last exit may open again (for z rules: |z| has come back to the exit level)."""
        return True
