"""Backtrader's preloaded run without what a backtest here never uses: peeking at feeds, padding, observers, timers.

Every data's bars are known before the first step, so that the clock of the run and who moves when are found once, for
all bars, instead of bar by bar. Tested against the stock loop, also on datas of different clocks.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import numpy as np


@dataclass(slots=True)
class Movers:
    """Lines that always move together, and on which steps."""

    ticks: list[bool]
    lines: list[Any] = field(default_factory=list)

    def advance(self) -> None:
        """``LineBuffer.advance`` of them all, without its three calls a line."""
        for line in self.lines:
            line._idx += 1
            line.lencount += 1


class StepCerebro(bt.Cerebro):
    """Runs one strategy built with ``StepMixin`` on preloaded datas, in order of their bars' times.

    Serves no analyzer, observer, writer, timer, resampled data or ``cheat_on_open``.
    """

    def _runonce(self, runstrats: list[Any]) -> None:
        (strategy,) = runstrats
        strategy._once()
        strategy.reset()
        stamps = [np.frombuffer(data.lines.datetime.array) for data in self.datas]
        clock = np.unique(np.concatenate(stamps))
        strategy.lines.datetime.array = array("d", clock.tobytes())
        movers = self._movers([np.isin(clock, own).tolist() for own in stamps], strategy)
        followers = [each for each in strategy.getindicators() if self._data_of(each) is None]
        for step in range(len(clock)):
            for group in movers:
                if group.ticks[step]:
                    group.advance()
            for indicator in followers:
                if len(indicator._clock) > len(indicator):
                    indicator.advance()
            self._brokernotify()
            strategy.step()
            if self._event_stop:
                return

    def _movers(self, ticks: list[list[bool]], strategy: Any) -> list[Movers]:
        """Datas of one clock and the indicators right on them are one group; the strategy moves on every step."""
        always = [True] * len(ticks[0])
        groups = {tuple(always): Movers(always, list(strategy.lines.lines))}
        for data, own in zip(self.datas, ticks, strict=True):
            group = groups.setdefault(tuple(own), Movers(own))
            for each in (data, *(i for i in strategy.getindicators() if self._data_of(i) is data)):
                group.lines += each.lines.lines
        return list(groups.values())

    def _data_of(self, indicator: Any) -> Any:
        """The data that gives an indicator its clock; None when it follows another indicator or a single line."""
        clock = indicator._clock if isinstance(indicator, bt.Indicator) else None
        return next((data for data in self.datas if data is clock), None)


class StepMixin:
    """A strategy's side of ``StepCerebro``: news of orders, then the bar. Its ``prenext`` must be its ``next``."""

    _orderspending: list[Any]
    _tradespending: list[Any]

    def step(self) -> None:
        if self._orderspending or self._tradespending:
            self._notify()  # type: ignore[attr-defined]
            self.clear()  # type: ignore[attr-defined]
        self.next()  # type: ignore[attr-defined]
