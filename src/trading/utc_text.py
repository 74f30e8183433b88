"""Times as text: ISO-8601 in UTC with ``Z``, and back."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_text(when: datetime) -> str:
    """``2024-01-01T00:00:00Z``, with a fraction only where there is one. Raises ``ValueError`` without a time zone.

    >>> utc_text(datetime(2024, 1, 1, tzinfo=UTC))
    '2024-01-01T00:00:00Z'
    """
    if when.tzinfo is None:
        raise ValueError(f"a time with its zone was wanted, found the naive {when!r}: give it tzinfo=UTC")
    return when.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def parse_utc(text: str) -> datetime:
    """The UTC-aware time of a text that ``utc_text`` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)
