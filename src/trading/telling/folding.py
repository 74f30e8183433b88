"""Which alarms repeat each other: those of one pair whose words are the same and whose figures alone have moved."""

from __future__ import annotations

import re
from collections.abc import Iterable

NUMBER = r"[0-9][0-9.,:]*"
# Of what is critical only a figure that says how long, how far or at what price: any other may be what it is about.
MEASURED = r"(?<![\w.])[-+]?[0-9][0-9.,]*(?= (?:ms|s|min|h|d|%|bars)\b)|(?<=\bz )[-+]?[0-9.,]+|(?<=\bat )[0-9.,]+"


class Folding:
    """``pair_ids``: no digit of theirs is a figure."""

    def __init__(self, pair_ids: Iterable[str]) -> None:
        self._pair_ids = frozenset(pair_ids)

    def of(self, message: str, pair_id: str | None, *, is_critical: bool) -> str:
        """The same for all that repeat each other."""
        return f"{pair_id or ''}:{self._worded(message, pair_id, MEASURED if is_critical else NUMBER)}"

    def _worded(self, message: str, pair_id: str | None, figures: str) -> str:
        known = self._pair_ids | ({pair_id} if pair_id else set())
        names = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(known, key=len, reverse=True))
        pattern = f"(?P<name>{names or '(?!)'})|{figures}"
        return re.sub(pattern, lambda found: found["name"] or "#", message)
