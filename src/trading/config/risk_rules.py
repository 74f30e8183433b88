"""What must hold among the limits of a config."""

from __future__ import annotations

from collections.abc import Iterator

from trading.config.check import Check
from trading.config.report import WARNING, Problem
from trading.config.sections import Broker

_MARGIN = Broker.model_fields["maintenance_margin_pct"].default


def liquidation_distance(check: Check) -> Iterator[Problem]:
    """One position of the configured size stays further from liquidation than is demanded."""
    path = ("risk_management", "min_liquidation_distance_pct")
    least, size = check.facts.number(*path), check.position_size
    if least is None or not size or check.facts.text("strategy", "sizing", "method") != "fixed":
        return
    margin = check.facts.number("broker", "maintenance_margin_pct")
    distance = 100.0 / size - (_MARGIN if margin is None else margin)
    if distance < least:
        message = f"one position of {size:g} times equity stands {distance:.3g} % from liquidation; no entry would pass"
        yield check.source.problem(path, message, expected=f"at most {distance:.3g}, or a smaller position_size")


def quarantine(check: Check) -> Iterator[Problem]:
    """A time of quarantine is for pairs that are put into it."""
    section = "risk_management"
    if check.facts.given(section, "quarantine_hours") and not check.facts.given(section, "max_stops_per_pair"):
        message = "has no effect without max_stops_per_pair"
        yield check.source.problem((section, "quarantine_hours"), message, severity=WARNING, key=True)
