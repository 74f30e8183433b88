"""Where a bot is reached, beside its journal: one set of files per bot and mode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trading.config.model import LoadedConfig


@dataclass(frozen=True, slots=True)
class ControlPaths:
    """``commands``: the queue. ``halt_flag``: while this file exists the bot is halted."""

    commands: Path
    halt_flag: Path


def control_paths(config: LoadedConfig) -> ControlPaths:
    folder, bot_id, mode = Path(config.model.state.dir), config.bot_id, config.model.broker.type
    return ControlPaths(folder / f"{bot_id}_{mode}.commands.sqlite", folder / f"{bot_id}.{mode}.halt")
