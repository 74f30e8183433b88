"""How orders are executed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExecutionSettings:
    """``min_fill_ratio``: below this share of the first leg the entry is unwound. Times in seconds.

    ``longest_decision_age_s``: an entry that was decided longer ago saw another market.
    """

    min_fill_ratio: float = 0.5
    max_unhedged_s: float = 30.0
    first_leg_timeout_s: float = 60.0
    longest_decision_age_s: float = float("inf")
    reconcile_s: float = 30.0
