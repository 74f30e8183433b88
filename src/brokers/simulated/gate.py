"""The exchange's front door: what it answers instead of serving a call, and for how long."""

from __future__ import annotations

from brokers.simulated.faults import Fault, FaultPlan
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import BridgeError, ExchangeUnreachable, KeyRefused, RateBanned
from ccxt_bt_bridge.words import NotPlaced

NO_ANSWER = "no answer in time"
LASTING = ("rate_limit", "ban", "maintenance", "key_revoked")
# kind → code on futures, code on spot, words
REFUSALS = {
    "rate_limit": ("-1003", "-1003", "Too many requests; try again after {until}"),
    "ban": ("-1003", "-1003", "Way too many requests; banned until {until}"),
    "maintenance": ("-1016", "-1016", "This service is no longer available, until {until}"),
    "key_revoked": ("-2015", "-2015", "Invalid API-key, IP, or permissions for action"),
    "clock_off": ("-1021", "-1021", "Timestamp for this request is outside of the recvWindow"),
    "overloaded": ("-1008", "-1008", "Server is currently overloaded with other requests"),
    "balance_too_small": ("-2019", "-2010", "Margin is insufficient (scripted fault)"),
    "below_minimum": ("-4164", "-1013", "Order's notional is under the minimum (scripted fault)"),
    "reject": ("-2010", "-2010", "new order rejected (scripted fault)"),
}


class Gate:
    """Strikes faults, and remembers those that last: a ban answers every call until it is over."""

    def __init__(self, faults: FaultPlan, clock: Clock, *, kind: str) -> None:
        self._faults, self._clock, self._is_spot = faults, clock, kind == "spot"
        self._lasting: tuple[Fault, int] | None = None

    def strike(self, operation: str, symbol: str | None) -> Fault | None:
        """The fault that stands against this call, None when it is served as usual."""
        now_ms = self._clock.now_ms()
        if self._lasting is not None and now_ms < self._lasting[1]:
            return self._lasting[0]
        self._lasting = None
        fault = self._faults.strike(operation, symbol, now_ms)
        if fault is not None and fault.kind in LASTING:
            self._lasting = fault, now_ms + fault.lasts_ms
        return fault

    def refusal(self, fault: Fault) -> NotPlaced | None:
        """A definite no, with the exchange's code; None for faults that are no answer."""
        if fault.kind not in REFUSALS:
            return None
        futures, spot, words = REFUSALS[fault.kind]
        return NotPlaced(spot if self._is_spot else futures, words.format(until=self._until_ms()))

    def error(self, fault: Fault, operation: str) -> BridgeError | None:
        """What a read raises; None for a fault that only delays it."""
        refusal = self.refusal(fault)
        if refusal is None:
            return None if fault.kind == "slow" else ExchangeUnreachable(f"{operation}: {NO_ANSWER}")
        message = f"{operation}: {refusal.code} {refusal.reason}"
        if fault.kind in ("rate_limit", "ban"):
            return RateBanned(message, self._until_ms())
        return KeyRefused(message) if fault.kind == "key_revoked" else ExchangeUnreachable(message)

    def _until_ms(self) -> int:
        return self._lasting[1] if self._lasting is not None else self._clock.now_ms()
