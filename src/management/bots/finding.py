"""Which bots there are: those that have a journal in the state folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

JOURNAL_ENDING = ".journal.sqlite"
KEY_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True)
class BotFiles:
    """One bot in one mode. ``key`` names it in addresses: ``BOTID_MODE``."""

    key: str
    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / f"{self.key}{JOURNAL_ENDING}"

    @property
    def commands(self) -> Path:
        return self.folder / f"{self.key}.commands.sqlite"

    @property
    def outbox(self) -> Path:
        """Notices that its dispatcher has still to send."""
        return self.folder / f"{self.key}.outbox.sqlite"


def find_bots(state: Path) -> dict[str, BotFiles]:
    """Key → files, in the order of the keys; empty where there is no such folder."""
    names = sorted(path.name for path in state.glob(f"*{JOURNAL_ENDING}")) if state.is_dir() else []
    keys = [name.removesuffix(JOURNAL_ENDING) for name in names]
    return {key: BotFiles(key, state) for key in keys if KEY_PATTERN.fullmatch(key)}
