"""The breaker: trips by itself, never gets milder by itself, unless all that failed was the way to the exchange."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from trading.risk.limits import RiskLimits
from trading.risk.state import Breaker, BreakerTripped, RiskNotice, RiskState

ANY_PAIR = "*"
NEVER_SENT = ("local ", "absent")  # nothing reached the exchange, or nothing of it was ever found there
NOT_FAILED = ("interrupted", "canceled")


class CircuitBreaker:
    """A view of ``state``, which it changes; ``tell`` hears of every trip.

    A cause that is money or mistrust latches until ``rearm``. One that is transport cools down, and then lets a single
    pair try: when that opens, all may; when it fails to get through, it cools down anew.
    """

    def __init__(self, limits: RiskLimits, state: RiskState, tell: Callable[[RiskNotice], None]) -> None:
        self._limits, self._tell = limits, tell
        self.demands = 0
        self._standing: set[str] = set()
        self.use(state)

    def use(self, state: RiskState) -> None:
        """Another state from now on; what has demanded a halt stays counted."""
        self._state = state
        self._standing.clear()

    @property
    def position(self) -> Breaker:
        return Breaker(self._state.breaker)

    def trip(self, breaker: Breaker, reason: str, time: datetime, *, until: datetime | None = None) -> None:
        self.demands += 1
        if _severity(breaker, latches=until is None) <= self._severity:
            return
        state = self._state
        state.breaker, state.breaker_reason, state.breaker_since = breaker.value, reason, time.isoformat()
        state.breaker_until = until.isoformat() if until else ""
        state.probe = ""
        state.trips.append((time.isoformat(), reason))
        self._tell(BreakerTripped(time, breaker, reason, until))

    def stand(self, breaker: Breaker, reason: str, time: datetime) -> None:
        """Trip for a cause that every look at the prices finds again: until a re-arming it is one demand."""
        if reason not in self._standing:
            self._standing.add(reason)
            self.trip(breaker, reason, time)

    def cool_down(self, reason: str, time: datetime, seconds: float) -> None:
        self.trip(Breaker.REDUCE_ONLY, reason, time, until=time + timedelta(seconds=seconds))

    def pass_time(self, time: datetime) -> None:
        """End a cool-down whose time has come: one pair may try."""
        until = self._state.breaker_until
        if until and time >= datetime.fromisoformat(until):
            self.rearm()
            self._state.probe = ANY_PAIR

    def rearm(self) -> None:
        state = self._state
        state.breaker, state.breaker_reason, state.breaker_since = Breaker.CLOSED.value, "", ""
        state.breaker_until = state.probe = ""
        state.failures.clear()
        self._standing.clear()

    def reason_against(self) -> str | None:
        if self.position is not Breaker.CLOSED:
            return f"breaker_{self._state.breaker}:{self._state.breaker_reason}"
        return "breaker_half_open" if self._state.probe not in ("", ANY_PAIR) else None

    # how entries end

    def entry_approved(self, pair_id: str) -> None:
        if self._state.probe:
            self._state.probe = pair_id

    def entry_released(self, pair_id: str) -> None:
        """It came to nothing without having been tried."""
        if self._state.probe == pair_id:
            self._state.probe = ANY_PAIR

    def release_others(self, pairs: Collection[str]) -> None:
        """The pair that tried is none of these: another one may."""
        if self._state.probe and self._state.probe not in pairs:
            self._state.probe = ANY_PAIR

    def entry_opened(self) -> None:
        self._state.failures.clear()
        self._state.probe = ""

    def entry_failed(self, pair_id: str, reason: str, time: datetime) -> None:
        """``reason`` in the engine's words."""
        if self._limits.max_failed_orders is None or reason.startswith(NOT_FAILED):
            return
        state, is_lost = self._state, reason.startswith(NEVER_SENT)
        window = timedelta(hours=self._limits.failed_orders_hours)
        recent = [one for one in state.failures if time - datetime.fromisoformat(one[0]) < window]
        state.failures = [*recent, (time.isoformat(), is_lost)]
        is_probe = state.probe == pair_id
        self.entry_released(pair_id)
        if is_lost and is_probe:
            self.cool_down("unreachable", time, self._limits.cooldown_s)
        elif len(state.failures) >= self._limits.max_failed_orders:
            self._too_many_failed(time)

    def _too_many_failed(self, time: datetime) -> None:
        if all(is_lost for _, is_lost in self._state.failures):
            self.cool_down("unreachable", time, self._limits.cooldown_s)
        else:
            self.trip(Breaker.REDUCE_ONLY, "failed_orders", time)

    @property
    def _severity(self) -> int:
        return _severity(self.position, latches=not self._state.breaker_until)


def _severity(breaker: Breaker, *, latches: bool) -> int:
    """A cause that latches replaces one that cools down."""
    return 2 * (Breaker.CLOSED, Breaker.REDUCE_ONLY, Breaker.HALTED).index(breaker) + latches
