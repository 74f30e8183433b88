"""What becomes of a strategy or a rule that raises: it begins anew a few times a day, then the engine goes on alone.

The loop's thread does not stop for it: orders under way are finished, risk limits and stops work, bars are marked.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import backtrader as bt

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.errors import BridgeError
from trading.events import Alarm
from trading.live.assembly import LivePath, build_cerebro
from trading.plan_builder import stop_levels_alone

STRATEGY_RESTARTS, WITHIN_MS = 3, 86_400_000
REASON = "strategy_failed"

log = logging.getLogger(__name__)


class StrategyCare:
    """Over one run, from before its first bar."""

    def __init__(self, path: LivePath) -> None:
        self._path = path
        self._first_bars = path.session.progress.bars
        self._failed_ms: list[int] = []  # of the last day

    def can_help(self, error: BaseException) -> bool:
        """Not when the bridge itself broke, and not with a strategy that never saw a bar of this run while nothing is
        open: that one cannot be started."""
        path = self._path
        has_begun = path.session.progress.bars > self._first_bars or bool(path.floor.ledger.open_pairs)
        return has_begun and not isinstance(error, BridgeError)

    def begin_anew(self, error: BaseException) -> bt.Cerebro:
        """What to run now. From Backtrader's thread, which is idle."""
        now_ms = self._path.floor.clock.now_ms()
        self._failed_ms = [*(when for when in self._failed_ms if when > now_ms - WITHIN_MS), now_ms]
        log.error("strategy_failed number=%d", len(self._failed_ms), exc_info=error)
        return self._path.loop.call(self._begin_anew(error))

    async def _begin_anew(self, error: BaseException) -> bt.Cerebro:
        """On the loop's thread: nothing else of the run happens meanwhile."""
        path, number = self._path, len(self._failed_ms)
        is_last = number > STRATEGY_RESTARTS
        levels = stop_levels_alone(path.config)
        now = ms_to_datetime(path.floor.clock.now_ms())
        if is_last:
            path.floor.guard.halt(REASON, now)
            path.session.controls.nobody_decides = (
                "the strategy has failed for good: start the bot again, then resume it"
            )
        consequence = (
            "nothing more is opened, and no rule decides on an exit: what is open is held, its stops and risk limits "
            f"work{self._without_stop(levels)}. Mend the rule, start the bot again, then `tandem resume CONFIG`"
            if is_last
            else f"it begins anew ({number} of {STRATEGY_RESTARTS} within a day); what is open is held meanwhile"
        )
        path.floor.bus.publish(Alarm(now, f"the strategy failed: {error!r}; {consequence}", critical=True))
        trade_after = path.session.begin_anew(stop_z=levels if is_last else None)
        return build_cerebro(path, trade_after=trade_after, with_strategy=not is_last)

    def _without_stop(self, levels: Mapping[str, float]) -> str:
        """An exit rule without a level of z leaves none behind."""
        bare = [pair_id for pair_id in self._path.floor.ledger.open_pairs if math.isinf(levels.get(pair_id, math.inf))]
        return f" (no stop by z is known for {', '.join(bare)}: watch it by hand)" if bare else ""
