"""What callers give as numbers and texts, of whatever type, as plain ones."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import Enum
from numbers import Real


def given_number(value: object) -> float:
    """As it reads, so that a float32 of 0.01 is 0.01; NaN for what is no number, as a text or a bool.

    >>> [given_number(value) for value in (Decimal("0.01"), 5, "0.01", True, None)]
    [0.01, 5.0, nan, nan, nan]
    """
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return math.nan
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def given_text(value: object) -> str | None:
    """A text, or that of an Enum's member; None for anything else."""
    text = value.value if isinstance(value, Enum) else value
    return str(text) if isinstance(text, str) else None
