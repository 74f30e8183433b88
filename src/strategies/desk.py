"""One pair (or one symbol) inside a strategy: what it sees, how it decides, what it orders.

The flow of a bar: exit rule if in a position, else entry rule → target → sizing → PairOrder. A desk decides at most
once per bar, acts only after the warm-up, and says for every bar what it answered and why.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from pairs.half_life import half_life
from pairs.words import (
    Action,
    Direction,
    LegOrder,
    Pair,
    PairBroker,
    PairOrder,
    PairPosition,
    SpreadStatistics,
    entry_ref,
)
from strategies.plan import StrategyPlan
from strategies.re_entry import ReEntryGate
from strategies.sizing import entry_legs

VOLATILITY_BARS = 100


class Recorder(Protocol):
    """Is told what was decided on every bar. Backtests may pass one that keeps nothing but refusals."""

    def decision(self, desk: Desk, time: datetime, rule: str, answer: str, reason: str) -> None: ...

    def refusal(self, time: datetime, pair_id: str, reasons: tuple[str, ...]) -> None: ...


class Desk:
    """Implements ``mixins.base.View`` for its rules. ``lines`` is the SpreadLines indicator, None for one symbol."""

    def __init__(self, pair: Pair, datas: tuple[Any, ...], plan: StrategyPlan, lines: Any) -> None:
        self.pair = pair
        self.datas = datas
        self.data = datas[0]
        self.plan = plan
        self.lines = lines
        self.costs = plan.costs
        self.bar_hours = plan.bar_hours
        self.position: PairPosition | None = None
        self.bars_held = 0
        self.bars = 0
        self.price_a = math.nan
        self.price_b = math.nan
        self.zscore = math.nan
        self.previous_zscore = math.nan
        self.close_only: tuple[str, ...] = ()  # why no entry may follow; whoever looks after the pair says so
        self._time: datetime | None = None
        self._read_stamp = 0.0
        self._risk_exit: str | None = None
        self._stamps = [data.lines.datetime for data in datas]
        self._closes = [data.lines.close for data in datas]
        self._zscores = None if lines is None else lines.lines.zscore
        self.exit = plan.exit.build(self)
        self.entry = plan.entry.build(self)
        self._gate = ReEntryGate(self.exit.cooldown_bars)
        self._last_exit = (plan.last_exits or {}).get(pair.pair_id)

    # the view

    @property
    def time(self) -> datetime:
        assert self._time is not None
        return self._time

    @property
    def spread(self) -> float:
        return math.nan if self.lines is None else self.lines.spread[0]

    @property
    def statistics(self) -> SpreadStatistics | None:
        lines = self.lines
        if lines is None:
            return None
        return SpreadStatistics(
            lines.hedge_ratio[0], lines.intercept[0], lines.mean[0], lines.std[0], self.pair.hedge.prices
        )

    @property
    def frozen_zscore(self) -> float:
        if self.position is None or self.position.statistics is None:
            return math.nan
        return self.position.statistics.zscore(self.price_a, self.price_b)

    @property
    def half_life_bars(self) -> float | None:
        return self.position.half_life_bars if self.position else self.pair.half_life_bars

    @property
    def exit_level(self) -> float:
        return self.exit.exit_level

    @property
    def stop_level(self) -> float:
        return self.exit.stop_level

    def change_volatility(self) -> float:
        """Standard deviation of one bar's change over the last bars: of the spread, or of one symbol's log price."""
        size = min(VOLATILITY_BARS, len(self.data))
        if size < 3:
            return math.nan
        if self.lines is not None:
            values = self.lines.spread_window(size)
        else:
            values = np.log(np.asarray(self.data.close.get(size=size), dtype="f8"))
        return float(np.std(np.diff(values), ddof=1))

    # a bar

    @property
    def stamp(self) -> float:
        """Backtrader's time of the first leg's newest bar."""
        return self._stamps[0][0]

    def has_new_bar(self) -> bool:
        """True when every leg has the bar of one same time, not read yet.

        Bars of different times never reach a rule, and a pair that is late does not make the others look twice.
        """
        if any(not len(stamps) for stamps in self._stamps):
            return False
        stamp = self.stamp
        return stamp > self._read_stamp and all(stamps[0] == stamp for stamps in self._stamps)

    def read(self, time: datetime) -> None:
        """Take the closes and the z of a new bar."""
        self._time = time
        self._read_stamp = self.stamp
        self.bars += 1
        self.price_a = self._closes[0][0]
        if self._zscores is not None:
            self.price_b = self._closes[1][0]
            self.previous_zscore, self.zscore = self.zscore, self._zscores[0]

    def watch(self, position: PairPosition | None) -> None:
        """Keep count of the bar: time in trade, latch, cool-down. Before any decision, also during warm-up."""
        if self.position is not None and position is None:
            self.bars_held = 0
        self.position = position
        if position is not None and self.time > position.entry_time:
            self.bars_held += 1
        self._gate.on_bar(self.exit.is_calm())
        # An exit latches from the next bar on, whoever decided it: the bar it was decided on does not unlatch it.
        self._recall_last_exit()
        if self._risk_exit is not None:
            self._gate.on_exit(self._risk_exit)
            self._risk_exit = None

    def decide(self, broker: PairBroker, recorder: Recorder) -> None:
        position = self.position
        if position is None:
            self._decide_entry(broker, recorder)
        elif position.is_open:
            self._decide_exit(position, broker, recorder)
        else:
            recorder.decision(self, self.time, "broker", "wait", position.state.value)

    def on_exit(self, reason: str) -> None:
        """Risk has demanded an exit of this pair, at this bar and before the desk looks at it."""
        self._risk_exit = reason

    # the parts

    def _decide_entry(self, broker: PairBroker, recorder: Recorder) -> None:
        if self.close_only:
            recorder.decision(self, self.time, "close_only", "no", "; ".join(self.close_only))
            return
        refusal = self._gate.refusal
        if refusal:
            recorder.decision(self, self.time, "re_entry", "no", refusal)
            return
        answer = self.entry.decide()
        name = self.plan.entry.name
        if answer.direction is None:
            recorder.decision(self, self.time, name, "no", answer.reason)
            return
        legs, reason = entry_legs(self.plan, self, answer, broker.equity())
        if reason:
            recorder.decision(self, self.time, name, "refused", reason)
            recorder.refusal(self.time, self.pair.pair_id, (reason,))
            return
        recorder.decision(self, self.time, name, f"enter_{answer.direction.word}", answer.reason)
        broker.submit(self._entry_order(answer.direction, legs, answer.reason))

    def _decide_exit(self, position: PairPosition, broker: PairBroker, recorder: Recorder) -> None:
        answer = self.exit.decide()
        name = self.plan.exit.name
        if not answer.leave:
            recorder.decision(self, self.time, name, "hold", answer.reason)
            return
        recorder.decision(self, self.time, name, "exit", answer.reason)
        self._gate.on_exit(answer.reason)
        prices = dict(zip(self.pair.symbols, (self.price_a, self.price_b), strict=False))
        broker.submit(position.exit_order(prices, self.time, answer.reason))

    def _entry_order(self, direction: Direction, legs: tuple[LegOrder, ...], reason: str) -> PairOrder:
        return PairOrder(
            ref=entry_ref(self.pair.pair_id, self.time),
            pair_id=self.pair.pair_id,
            action=Action.ENTER,
            direction=direction,
            legs=legs,
            decided_at=self.time,
            reason=reason,
            zscore=self.zscore if math.isfinite(self.zscore) else None,
            statistics=self._statistics_at_entry(),
            half_life_bars=self._half_life_at_entry(),
        )

    def _statistics_at_entry(self) -> SpreadStatistics | None:
        """None while the spread's window is not full: a rule of a user's own may enter before."""
        known = self.statistics
        is_full = known is not None and math.isfinite(known.mean) and math.isfinite(known.std)
        return known if is_full else None

    def _half_life_at_entry(self) -> float | None:
        """The pair's own, else measured on the bars that the hedge ratio was fitted on."""
        if self.pair.half_life_bars is not None or self.lines is None:
            return self.pair.half_life_bars
        measured = half_life(self.lines.spread_window(self.pair.hedge.window)).bars
        return measured if 0.0 < measured < math.inf else None

    def _recall_last_exit(self) -> None:
        """During warm-up: what an earlier process exited latches this one too."""
        if self._last_exit and self.time >= self._last_exit[0]:
            self._gate.on_exit(self._last_exit[1])
            self._last_exit = None
