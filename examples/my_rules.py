"""A rule of your own: an entry that buys a new high.

Name it in the config by its dotted path, module then class. The module is looked for wherever
Python looks, and then in the working directory:

    "entry_logic": {"name": "examples.my_rules:BreakoutEntryMixin", "params": {"e_channel": 55}}

What a rule needs:

1. It inherits from ``EntryMixin`` (or ``ExitMixin``) and says what market it serves: ``"single"``, ``"pair"`` or
   ``"any"``.
2. ``Params`` is a frozen dataclass. Every field has a default, bounds and a help text, and begins with ``e_`` (with
   ``x_`` in an exit). The validator reads them: a typo or a value out of bounds is reported before anything runs.
3. ``__init__`` may build Backtrader indicators on ``self.view.data``; ``warmup_bars`` says how much history they need.
4. ``decide`` looks at ``self.view`` and answers with a reason, also when the answer is no. It never orders, never reads
   cash, files or the clock, and gives the same answer to the same view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import backtrader as bt

from mixins.base import EntryAnswer, EntryMixin, View
from mixins.lines import all_known, latest
from mixins.params import parameter
from pairs.words import Direction


@dataclass(frozen=True)
class BreakoutParams:
    e_channel: int = parameter(20, "bars whose highest high must be broken", min=2, max=10_000)


class BreakoutEntryMixin(EntryMixin):
    """Buy when the close is above the highest high of the ``e_channel`` bars before this one."""

    Params: ClassVar[type] = BreakoutParams
    market: ClassVar[str] = "single"

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.channel = bt.ind.Highest(view.data.high, period=params.e_channel)(-1)

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        return params.e_channel + 1

    def decide(self) -> EntryAnswer:
        close, ceiling = latest(self.view.data.close), latest(self.channel)
        if not all_known(close, ceiling):
            return EntryAnswer(None, 0.0, "not_ready")
        if close <= ceiling:
            return EntryAnswer(None, 0.0, "inside_channel")
        return EntryAnswer(Direction.LONG, 1.0, "entry")
