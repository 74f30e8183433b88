"""How numbers, times and names are written on the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite

NONE = "–"


def money(value: Decimal | float) -> str:
    """Signed, to the cent: −12.30."""
    text = f"{value:+,.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "−")


def amount(value: Decimal | float) -> str:
    return f"{value:,.2f}".replace("-", "−")


def per_cent(value: float, *, signed: bool = False) -> str:
    return (f"{value:+.2f} %" if signed else f"{value:.2f} %").replace("-", "−")


def ratio(value: float | None) -> str:
    return NONE if value is None or not isfinite(value) else f"{value:.2f}".replace("-", "−")


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:+.2f}".replace("-", "−")


def quantity(value: Decimal) -> str:
    text = f"{value.normalize():f}"
    return text.replace("-", "−")


def price(value: Decimal | None) -> str:
    """Eight significant digits are more than any tick."""
    return NONE if value is None else f"{value:.8g}"


def minute(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"


def length(time: timedelta) -> str:
    """The two largest units: 3 d 4 h."""
    minutes = round(time.total_seconds() / 60.0)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (rest, "min")) if count]
    return " ".join(parts[:2]) or "0 min"


def tone(value: Decimal | float) -> str:
    """The class of a number that may be good or bad."""
    return "gain" if value > 0 else "loss" if value < 0 else "even"
