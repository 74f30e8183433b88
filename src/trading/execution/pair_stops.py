"""Stops of open pairs on the engine's side: at every price of a leg, whatever Backtrader's thread is doing.

z is measured by the statistics that were frozen at the entry; a pair's own stop-loss, take-profit and trailing stop
are the risk guard's. What a backtest sees of them it sees at bars' closes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from pairs.words import PairOrder, PairPosition
from trading.execution.pair_ledger import PairLedger
from trading.risk.stops import RiskExit
from trading.risk_guard import RiskGuard

AGAIN_MS = 60_000  # an exit that came to nothing is not asked for again at every price


class Told(Protocol):
    """Who must know that a pair is being left, before a strategy decides on it again."""

    def tell_exit(self, risk_exit: RiskExit) -> None: ...


class PairStops:
    """``stop_z``: pair → |z| on the losing side at which it is left, infinite for none; NaN, without statistics,
    reaches nothing.

    ``leave`` carries an exit out; ``told`` hears of it before. ``hurry``: what is under way for a pair takes no further
    slice, and the next price leaves what is open then.
    """

    def __init__(
        self,
        ledger: PairLedger,
        guard: RiskGuard,
        clock: Clock,
        *,
        stop_z: Mapping[str, float],
        leave: Callable[[PairOrder], None],
        told: Told,
        hurry: Callable[[str], None],
    ) -> None:
        self._ledger, self._guard, self._clock = ledger, guard, clock
        self.stop_z, self._leave, self._told, self._hurry = stop_z, leave, told, hurry
        self._asked_ms: dict[str, int] = {}

    def check(self, pair_id: str, prices: Mapping[str, float]) -> RiskExit | None:
        """``prices``: of all its legs, of one moment. Returns the exit that this asked for."""
        position = self._ledger.position(pair_id)
        if position is None or not position.is_open:
            self._asked_ms.pop(pair_id, None)
            if position is not None and position.losing_zscore(prices) >= self.stop_z[pair_id]:
                self._hurry(pair_id)
            return None
        reason = self._reason_to_leave(position, prices)
        return None if reason is None else self.leave(position, prices, reason)

    def leave(self, position: PairPosition, prices: Mapping[str, float], reason: str) -> RiskExit | None:
        """Leave an open pair now; None when that was asked for a moment ago."""
        now_ms = self._clock.now_ms()
        if now_ms - self._asked_ms.get(position.pair_id, -AGAIN_MS) < AGAIN_MS:
            return None
        self._asked_ms[position.pair_id] = now_ms
        risk_exit = RiskExit(position.pair_id, reason)
        self._told.tell_exit(risk_exit)
        self._leave(position.exit_order(prices, ms_to_datetime(now_ms), reason))
        return risk_exit

    def _reason_to_leave(self, position: PairPosition, prices: Mapping[str, float]) -> str | None:
        if position.losing_zscore(prices) >= self.stop_z[position.pair_id]:
            return "stop"
        exits = self._guard.pair_stops({position.pair_id: position}, prices)
        return exits[0].reason if exits else None
