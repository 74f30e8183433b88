"""When a pair may be entered again: after every exit but reversion, first calm, then a cool-down."""

from __future__ import annotations

FREE_EXITS = frozenset({"reversion"})


class ReEntryGate:
    """Latched by an exit, unlatched by a calm bar, open when the cool-down bars after that have passed."""

    def __init__(self, cooldown_bars: int) -> None:
        self._cooldown_bars = cooldown_bars
        self._latched = False
        self._bars_left = 0

    def on_exit(self, reason: str) -> None:
        if reason not in FREE_EXITS:
            self._latched = True

    def on_bar(self, is_calm: bool) -> None:
        """Once per bar, before any decision on it."""
        if self._latched:
            if is_calm:
                self._latched, self._bars_left = False, self._cooldown_bars
        elif self._bars_left:
            self._bars_left -= 1

    @property
    def refusal(self) -> str | None:
        """Why an entry must wait, or None."""
        if self._latched:
            return "latched"
        return "cooldown" if self._bars_left else None
