"""The console that commands print to."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from trading.saying import fall_silent


class PatientConsole(Console):
    """A console whose reader may go away, or whose disk may be full: then it falls silent, and the run goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        fall_silent()

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError:
            self.on_broken_pipe()
