"""The one gate before any order that adds risk, the same in a backtest and live.

Asked once about the whole pair, never once per leg. Exposure counts what is approved as if it had filled, and what is
being closed until the next bar shows it gone. A limit that cannot be computed counts as exceeded; a check that breaks
halts.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from pairs.given import given_number
from pairs.words import Action, Approved, Direction, LegOrder, PairOrder, PairPosition, Refused
from trading.risk.breaker import CircuitBreaker
from trading.risk.exposure import Exposure
from trading.risk.limits import RiskLimits, TrailingStop
from trading.risk.margins import Margins
from trading.risk.quarantine import Quarantine
from trading.risk.state import Breaker, LimitReached, RiskListener, RiskNotice, RiskState, restored
from trading.risk.stops import (
    RiskExit,
    liquidation_distance_pct,
    liquidation_exits,
    pair_stops,
    worst_loss_pct,
)
from trading.risk.usage import usage_rows

__all__ = ["Breaker", "RiskExit", "RiskGuard", "RiskLimits", "RiskState", "TrailingStop"]

STARTING_EQUITY = 10_000.0
OF_NEW_POSITIONS = ("already_in_position", "max_positions")
NO_TIME_YET = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


class RiskGuard:
    """Limits, their state, and the exits that risk itself demands.

    Single limits may be named beside or instead of ``limits``; ``daily_loss_limit_pct`` is ``max_daily_loss_pct``.
    ``equity``: quote currency, until ``on_bar`` tells another. Time is what ``on_bar`` and the orders say it is.

    >>> RiskGuard(max_positions=5, max_drawdown_pct=10.0, daily_loss_limit_pct=2.0).limits.max_daily_loss_pct
    2.0
    """

    def __init__(self, limits: RiskLimits | None = None, equity: float = STARTING_EQUITY, **named: Any) -> None:
        if "daily_loss_limit_pct" in named:
            named["max_daily_loss_pct"] = named.pop("daily_loss_limit_pct")
        self.limits = replace(limits or RiskLimits(), **named)
        self.exposure = Exposure()
        self._listeners: list[RiskListener] = []
        self._worst_loss_pct = 0.0
        self._margins = Margins(self.limits, self.exposure)
        self._time = NO_TIME_YET
        state = RiskState(peak_equity=equity, equity=equity, day_start_equity=equity)
        self._breaker = CircuitBreaker(self.limits, state, self._tell)
        self._use(state)

    def tell_accounts_apart(self, account_of: Callable[[str], str]) -> None:
        """Pairs stand on several accounts: ``account_of`` a pair. Each is liquidated by itself."""
        self._margins.account_of = account_of

    def add_listener(self, listener: RiskListener) -> None:
        """Told of every trip, limit and quarantine; one that raises is not asked to stop anything."""
        self._listeners.append(listener)

    def remove_listener(self, listener: RiskListener) -> None:
        """It hears of nothing more."""
        self._listeners.remove(listener)

    # once per bar

    def on_bar(
        self,
        time: datetime,
        equity: float,
        positions: Mapping[str, PairPosition],
        prices: Mapping[str, float],
        by_account: Mapping[str, float] | None = None,
    ) -> list[RiskExit]:
        """Take the equity and the positions at a bar's close; returns the pairs that must be left. ``by_account``: the
        equity of each, where there are several."""
        self._margins.equity = by_account or {}
        try:
            return self._on_bar(time, equity, positions, prices)
        except Exception as error:
            self._broke(error, time)
            return []

    # once per order

    def check(self, order: PairOrder) -> Approved | Refused:
        """Approved (and its exposure reserved) or Refused with every reason. Exits always pass."""
        if order.action is Action.EXIT:
            return Approved(order)
        reasons = self._asked(order)
        if reasons:
            return Refused(order, tuple(reasons))
        self.exposure.reserve(order)
        self._breaker.entry_approved(order.pair_id)
        self.state.trades_today += 1
        return Approved(order)

    def adopt(self, order: PairOrder, *, is_open: bool = False) -> None:
        """The entry of a pair that an earlier process held: it counts in full until a bar shows what it is.

        ``is_open``: it came about, whatever the state that was saved before says of it.
        """
        self.exposure.reserve(order)
        if is_open and self.state.probe == order.pair_id:
            self._breaker.entry_opened()

    def wait_for_no_one_else(self) -> None:
        """All that earlier processes held is adopted: a half-open breaker waits for no other pair."""
        self._breaker.release_others(self.exposure.pairs)

    def release(self, pair_id: str) -> None:
        """An approved entry came to nothing: give its reservation back."""
        self.exposure.release(pair_id)
        self._breaker.entry_released(pair_id)

    def withdraw(self, pair_id: str) -> None:
        """An approved entry of which nothing was sent: it is none of today's trades either."""
        self.release(pair_id)
        self.state.trades_today = max(0, self.state.trades_today - 1)

    def entry_opened(self) -> None:
        self._breaker.entry_opened()

    def entry_failed(self, pair_id: str, reason: str, time: datetime) -> None:
        """An approved entry was refused by the venue, never got there, or was unwound; ``reason`` says which."""
        self._breaker.entry_failed(pair_id, reason, time)

    def pair_left(self, pair_id: str, reason: str, time: datetime) -> None:
        """A pair is flat again; ``time``: when its exit was decided."""
        self.exposure.settle(pair_id)
        self._breaker.entry_released(pair_id)
        self.state.best_profit_pct.pop(pair_id, None)
        self._begin_day(time)
        self._quarantine.pair_left(pair_id, reason, time)

    # between bars

    def pair_stops(self, positions: Mapping[str, PairPosition], prices: Mapping[str, float]) -> list[RiskExit]:
        """Those of ``positions`` whose own stop-loss, take-profit or trailing stop is reached at these prices."""
        return pair_stops(self.limits, positions, prices, self.state.best_profit_pct)

    def note_margin(self, equity: float, maintenance: float, account: str = "") -> None:
        """What the account says of itself, in quote currency, where an exchange does."""
        self._margins.note(account, equity, maintenance)

    # breaker

    @property
    def breaker(self) -> Breaker:
        return self._breaker.position

    def halt(self, reason: str, time: datetime) -> None:
        self._breaker.trip(Breaker.HALTED, reason, time)

    @property
    def halts(self) -> int:
        """How often something has demanded that nothing be opened, also when it was so already; what every bar finds
        again is one demand."""
        return self._breaker.demands

    def cool_down(self, reason: str, time: datetime, seconds: float | None = None) -> None:
        """No entries for a while, then one pair tries. For transport causes only: money causes are a person's."""
        self._breaker.cool_down(reason, time, self.limits.cooldown_s if seconds is None else seconds)

    def rearm(self) -> None:
        """A person has looked: trade again, measuring drawdown from here."""
        self._breaker.rearm()
        self.state.peak_equity = self.state.equity

    # limits in use

    @property
    def drawdown_pct(self) -> float:
        return self.state.drawdown_pct

    @property
    def daily_loss(self) -> float:
        return self.state.daily_loss

    @property
    def daily_loss_pct(self) -> float:
        return self.state.daily_loss_pct

    @property
    def gross_exposure(self) -> float:
        return self.exposure.gross

    def usage(self) -> list[tuple[str, float, float]]:
        """``(name, used, limit)`` of every limit in force."""
        return usage_rows(
            self.limits,
            self.state,
            self.exposure,
            worst_loss_pct=self._worst_loss_pct,
            distance_pct=self._margins.least_pct(self.state.equity),
        )

    # used alone

    async def check_all_risks(self, *, symbol: str, quantity: float, price: float) -> dict[str, Any]:
        """``{"passed": bool, "violations": [...]}`` of an order for one symbol; nothing is reserved.

        ``quantity`` in base units, + to buy, - to sell. A symbol that is held may be added to.
        """
        size, at = given_number(quantity), given_number(price)
        if not (math.isfinite(size) and size and 0.0 < at < math.inf):
            wrong = f"quantity {quantity!r} at {price!r}: a size and a positive price were wanted"
            return {"passed": False, "violations": [wrong]}
        leg = LegOrder(symbol, Decimal(repr(size)), at)
        direction = Direction.LONG if size > 0 else Direction.SHORT
        asked = PairOrder(symbol, symbol, Action.ENTER, direction, (leg,), self._time, "asked")
        is_held = symbol in self.exposure.pairs
        reasons = [reason for reason in self._asked(asked) if not (is_held and reason in OF_NEW_POSITIONS)]
        for reason in reasons:
            self._tell(LimitReached(self._time, reason, symbol))
        return {"passed": not reasons, "violations": reasons}

    def get_risk_status(self) -> dict[str, Any]:
        """JSON values. Money in quote currency, ``_pct`` 0 to 100."""
        state = self.state
        return {
            "breaker": state.breaker,
            "breaker_reason": state.breaker_reason,
            "breaker_since": state.breaker_since or None,
            "breaker_until": state.breaker_until or None,
            "equity": state.equity,
            "peak_equity": state.peak_equity,
            "current_drawdown_pct": state.drawdown_pct,
            "daily_loss": state.daily_loss,
            "daily_loss_pct": state.daily_loss_pct,
            "trades_today": state.trades_today,
            "open_positions": len(self.exposure.pairs),
            "exposure_by_symbol": self.exposure.by_symbol(),
            "quarantine": dict(state.quarantine),
            "risk_violations": [reason for _, reason in state.trips],
            "limits": [{"name": name, "used": used, "limit": limit} for name, used, limit in self.usage()],
        }

    # persistence

    def snapshot(self) -> dict[str, Any]:
        return self.state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        self._use(restored(snapshot))

    # the parts

    def _use(self, state: RiskState) -> None:
        self.state = state
        self._day: date | None = date.fromisoformat(state.day) if state.day else None
        self._breaker.use(state)
        self._quarantine = Quarantine(self.limits, state, self._tell)

    def _on_bar(
        self, time: datetime, equity: float, positions: Mapping[str, PairPosition], prices: Mapping[str, float]
    ) -> list[RiskExit]:
        self._time = max(time, self._time)
        if not math.isfinite(equity):
            self._breaker.stand(Breaker.HALTED, "equity_unknown", time)
            return []
        self._begin_day(time, equity)
        self._breaker.pass_time(time)
        self.state.equity = equity
        self.state.peak_equity = max(self.state.peak_equity, equity)
        self.exposure.mark(positions, prices)
        self._check_losses(time)
        return self._exits(time, positions, prices)

    def _exits(
        self, time: datetime, positions: Mapping[str, PairPosition], prices: Mapping[str, float]
    ) -> list[RiskExit]:
        self._look_over(positions, prices)
        exits = self.pair_stops(positions, prices)
        called = [account for account in self._margins.accounts if self._is_margin_call(account)]
        if called:
            self._breaker.stand(Breaker.REDUCE_ONLY, "margin_call", time)
            open_pairs = (pair_id for pair_id, position in positions.items() if position.is_open)
            gone = [RiskExit(p, "margin_call") for p in open_pairs if self._margins.account(p) in called]
            left = {risk_exit.pair_id for risk_exit in gone}
            exits = gone + [risk_exit for risk_exit in exits if risk_exit.pair_id not in left]
        if self.limits.min_liquidation_distance_pct is not None:
            for account in self._margins.accounts:
                exits += self._liquidation_exits(account, self.limits.min_liquidation_distance_pct, exits)
        return exits

    def _liquidation_exits(self, account: str, least: float, known: list[RiskExit]) -> list[RiskExit]:
        distance_pct = partial(self._margins.distance_pct, account, equity=self.state.equity)
        return liquidation_exits(least, distance_pct, self._margins.exposure_of(account), known)

    def _look_over(self, positions: Mapping[str, PairPosition], prices: Mapping[str, float]) -> None:
        """What is kept of pairs: the worst loss now, and no best profit of one that is gone."""
        self._worst_loss_pct = worst_loss_pct(positions, prices)
        best = self.state.best_profit_pct
        for gone in [pair_id for pair_id in best if pair_id not in positions]:
            del best[gone]

    def _reasons_against(self, order: PairOrder) -> list[str]:
        self._begin_day(order.decided_at)
        self._breaker.pass_time(order.decided_at)
        limits, state, exposure = self.limits, self.state, self.exposure
        gross = exposure.gross + order.gross_notional
        least, account = limits.min_liquidation_distance_pct, self._margins.account(order.pair_id)
        of_account = self._margins.exposure_of(account).gross + order.gross_notional
        of_all = liquidation_distance_pct(state.equity, gross, limits.maintenance_margin_pct)
        distance = min(self._margins.distance_pct(account, of_account, state.equity), of_all)
        tests = (
            (not (math.isfinite(gross) and state.equity > 0.0), "equity_unknown"),
            (order.pair_id in exposure.pairs, "already_in_position"),
            (self._quarantine.holds(order.pair_id, order.decided_at), "quarantined"),
            (len(exposure.pairs) >= limits.max_positions, "max_positions"),
            (_exceeds(gross, limits.max_exposure, state.equity), "max_exposure"),
            (_exceeds(order.gross_notional, limits.max_pair_exposure, state.equity), "max_pair_exposure"),
            (_exceeds(gross, limits.max_leverage, state.equity), "max_leverage"),
            (_exceeds(gross, limits.account_leverage, state.equity), "initial_margin"),
            (least is not None and not distance >= least, "min_liquidation_distance_pct"),
            (limits.max_daily_trades is not None and state.trades_today >= limits.max_daily_trades, "max_daily_trades"),
            (_reaches(state.daily_loss, limits.max_daily_loss), "max_daily_loss"),
            (_reaches(state.daily_loss_pct, limits.max_daily_loss_pct), "max_daily_loss_pct"),
        )
        against = self._breaker.reason_against()
        return [*([against] if against else []), *(reason for is_against, reason in tests if is_against)]

    def _asked(self, order: PairOrder) -> list[str]:
        try:
            return self._reasons_against(order)
        except Exception as error:
            self._broke(error, order.decided_at)
            return ["risk_check_failed"]

    def _is_margin_call(self, account: str) -> bool:
        """By the ledger alone: a margin call by numbers of the exchange is the exchange's."""
        gross = self._margins.exposure_of(account).gross
        return self._margins.by_ledger_pct(account, gross, self.state.equity) <= 0.0

    def _begin_day(self, time: datetime, equity: float | None = None) -> None:
        """A clock that steps back begins no day."""
        day = time.astimezone(UTC).date()
        if self._day is not None and day <= self._day:
            return
        # The day's reference is what the last bar of yesterday left; the very first has its own equity.
        is_first = self._day is None and equity is not None
        self.state.day_start_equity = equity if is_first and equity is not None else self.state.equity
        self._day, self.state.day, self.state.trades_today = day, day.isoformat(), 0
        self._quarantine.pass_day(time)
        if self.limits.rearm_daily and self.breaker is Breaker.REDUCE_ONLY:
            self.rearm()

    def _check_losses(self, time: datetime) -> None:
        """A drawdown latches. A day's loss refuses entries until the day is over; it is told once a day."""
        state, limits = self.state, self.limits
        if _reaches(state.drawdown_pct, limits.max_drawdown_pct):
            self._breaker.stand(Breaker.REDUCE_ONLY, "max_drawdown", time)
        for used, limit, reason in (
            (state.daily_loss, limits.max_daily_loss, "max_daily_loss"),
            (state.daily_loss_pct, limits.max_daily_loss_pct, "max_daily_loss_pct"),
        ):
            if _reaches(used, limit) and not self._was_told_today(reason):
                state.trips.append((time.isoformat(), reason))
                self._tell(LimitReached(time, reason))

    def _was_told_today(self, reason: str) -> bool:
        return any(when[:10] == self.state.day and why == reason for when, why in self.state.trips[-4:])

    def _broke(self, error: Exception, time: datetime) -> None:
        log.exception("risk_check_failed")
        self._breaker.trip(Breaker.HALTED, f"risk_check_failed:{type(error).__name__}", time)

    def _tell(self, notice: RiskNotice) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(notice)
            except Exception:  # a listener must never stop a trade, nor an exit
                log.exception("risk_listener_failed")


def _exceeds(notional: float, fraction: float | None, equity: float) -> bool:
    return fraction is not None and not notional <= fraction * equity


def _reaches(used: float, limit: float | None) -> bool:
    """True when the limit is reached, or when what is used is not a number."""
    return limit is not None and not used < limit
