"""Every fault that the simulated exchange can play: its name, what it does, where it can strike, what it takes.

The one table: the exchange, its server and the config's schema all read it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

WRITES = ("create_order", "cancel_order")
PUBLIC_READS = ("quote", "history", "markets", "server_time")
PRIVATE_READS = ("fetch_order", "open_orders", "fills", "funding", "account", "key_permissions", "settings")
READS = (*PRIVATE_READS, *PUBLIC_READS)
CALLS = (*WRITES, *READS)
CREATE, CANCEL = WRITES[:1], WRITES[1:]
EVENTS = ("events",)  # counted per event of the user stream
BARS = ("bars",)  # per closed bar
MARKET = ("market",)  # per symbol and moment of the market
POSITIONS = ("positions",)  # per position held and moment
OPERATIONS = (*CALLS, *EVENTS, *BARS, *MARKET, *POSITIONS)
FOREVER_MS = 2**53


@dataclass(frozen=True, slots=True)
class FaultKind:
    """``on``: where it can strike, the first where nothing is said. ``delay_ms``, ``factor``: what is meant if unsaid.

    None of the two: the kind takes none.
    """

    does: str
    on: tuple[str, ...]
    delay_ms: int | None = None
    factor: str | None = None
    takes_ratio: bool = False

    def takes(self, name: str) -> bool:
        """Whether it knows ``fill_ratio``, ``delay_ms`` or ``factor``."""
        known = {"fill_ratio": self.takes_ratio, "delay_ms": self.delay_ms is not None}
        return known.get(name, self.factor is not None)


KINDS = {
    "reject": FaultKind("the exchange refuses", WRITES),
    "timeout_before_execution": FaultKind("no answer, and nothing happened", CALLS),
    "timeout_after_execution": FaultKind("no answer, and it happened", CALLS),
    "late_execution": FaultKind("no answer, and it happens delay_ms later", WRITES, delay_ms=2_000),
    "backend_timeout": FaultKind("-1007, execution status unknown, and it happened", WRITES),
    "slow": FaultKind("the answer takes delay_ms more", CALLS, delay_ms=3_000),
    "query_lag": FaultKind("placed and told, but unknown to questions for delay_ms", CREATE, delay_ms=1_000),
    "duplicate": FaultKind("placed, and answered as a duplicate of itself", CREATE),
    "partial_fill": FaultKind("fill_ratio of it fills", CREATE, takes_ratio=True),
    "overfill": FaultKind("factor times what was asked for fills", CREATE, factor="1.1"),
    "fill_before_ack": FaultKind("fills are told at once, the order itself delay_ms later", CREATE, delay_ms=500),
    "filled_before_cancel": FaultKind("the order fills before the cancel arrives", CANCEL),
    "rate_limit": FaultKind("429 until delay_ms have passed", CALLS, delay_ms=10_000),
    "ban": FaultKind("418 until delay_ms have passed", CALLS, delay_ms=120_000),
    "maintenance": FaultKind("the service is shut down for delay_ms", CALLS, delay_ms=60_000),
    "key_revoked": FaultKind("the key is refused for delay_ms", CALLS, delay_ms=FOREVER_MS),
    "clock_off": FaultKind("-1021, outside of the receive window", (*WRITES, *PRIVATE_READS)),
    "overloaded": FaultKind("-1008, refused for everything that is not reduce-only", CREATE),
    "balance_too_small": FaultKind("refused for want of margin or balance", CREATE),
    "below_minimum": FaultKind("refused by a minimum that has changed", CREATE),
    "event_late": FaultKind("the event comes delay_ms later", EVENTS, delay_ms=2_000),
    "event_lost": FaultKind("the event never comes", EVENTS),
    "event_twice": FaultKind("the event comes twice", EVENTS),
    "event_out_of_order": FaultKind("the event comes after its next one, delay_ms at most", EVENTS, delay_ms=1_000),
    "user_stream_down": FaultKind("the user stream is down for delay_ms", EVENTS, delay_ms=10_000),
    "bar_late": FaultKind("the bar comes delay_ms later", BARS, delay_ms=2_000),
    "bar_missing": FaultKind("the bar never comes", BARS),
    "bar_twice": FaultKind("the bar comes twice", BARS),
    "bar_revised": FaultKind("the bar comes with its close times factor, then as it is", BARS, factor="1.01"),
    "bar_spike": FaultKind("the bar's high and close are told times factor", BARS, factor="10"),
    "bar_not_a_number": FaultKind("the bar's close is told as NaN", BARS),
    "market_stream_down": FaultKind("the market stream is down for delay_ms", BARS, delay_ms=10_000),
    "halt": FaultKind("the symbol has no price for delay_ms of market time", MARKET, delay_ms=60_000),
    "auto_close": FaultKind("the exchange closes the position, as when it deleverages", POSITIONS),
}
PARAMETERS = ("fill_ratio", "delay_ms", "factor")


def misuse(kind: str, on: str | None, given: Collection[str]) -> tuple[str, str] | None:
    """What is wrong with a fault of a known kind: the name of the field, and the complaint. None when nothing is."""
    known = KINDS[kind]
    if on is not None and on not in known.on:
        return "on", f"fault {kind} cannot happen on {on!r}; it can on {', '.join(known.on)}"
    for name in PARAMETERS:
        if name in given and not known.takes(name):
            others = ", ".join(other for other, one in KINDS.items() if one.takes(name))
            return name, f"fault {kind} takes no {name}; only a {others} does"
    return None
