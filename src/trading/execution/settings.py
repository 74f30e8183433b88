"""How orders are executed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExecutionSettings:
    """``min_fill_ratio``: below this share of the first leg the entry is unwound. Times in seconds.

    ``longest_decision_age_s``: an entry that was decided longer ago saw another market.

    ``slice_notional``: a larger pair (gross, quote currency) is entered and left in slices, ``slice_pause_s`` apart, at
    most ``max_slices``; None: all at once.

    ``order_type`` "limit": the first leg waits ``limit_timeout_s`` at ``limit_offset_bps`` better than the last price
    (negative: it may be so much worse); the rest then goes to the "market", or is given up ("unwind").

    ``leverage``: of the account; an entry needs its notional divided by it.
    """

    min_fill_ratio: float = 0.5
    max_unhedged_s: float = 30.0
    first_leg_timeout_s: float = 60.0
    longest_decision_age_s: float = float("inf")
    slice_notional: float | None = None
    slice_pause_s: float = 2.0
    max_slices: int = 10
    order_type: str = "market"
    limit_offset_bps: float = 0.0
    limit_timeout_s: float = 10.0
    limit_fallback: str = "market"
    reconcile_s: float = 30.0
    leverage: float = 1.0
