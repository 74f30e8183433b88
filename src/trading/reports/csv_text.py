"""Rows as CSV that a spreadsheet shows as it stands: exact decimals, times in UTC, no text that it would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from trading.utc_text import utc_text

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The header and every row, lines ended by a line feed alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_cell(value: object) -> str:
    """Text that would be a formula is quoted as spreadsheets do it; numbers keep their sign.

    >>> [csv_cell(value) for value in ("=1+1", Decimal("-2.50"), None, True, 0.5, "BTC")]
    ["'=1+1", '-2.50', '', 'true', '0.5', 'BTC']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return utc_text(value)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(STARTS_A_FORMULA) else text
