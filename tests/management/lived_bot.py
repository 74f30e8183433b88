"""A bot that has lived: a run on the mock market with broken entries in it, kept for every test that reads it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from contextlib import chdir
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.trading.runs import live, write_config
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.journal.reads import JournalReader
from trading.records import RunResult
from trading.reports.result_files import write_json
from trading.venues.opening import state_paths

FAULTS = [
    {"kind": "timeout_after_execution", "on": "create_order", "at": 3},
    {"kind": "timeout_before_execution", "on": "create_order", "symbol": "LTCUSDT", "at": 5},
    {"kind": "reject", "on": "create_order", "symbol": "BTCUSDT", "at": "2024-01-23T15:00:00Z", "times": 3},
]


@dataclass(frozen=True, slots=True)
class Lived:
    """``folder``: its working directory, with ``bot.json``, the result as ``run.json``, journal and logs."""

    folder: Path
    config: LoadedConfig
    result: RunResult

    def journal(self) -> JournalReader:
        """To be closed by who asks."""
        path, _ = state_paths(self.config)
        return JournalReader.open(self.folder / path)


@lru_cache
def lived_bot() -> Lived:
    """One run a process; tests read it and change nothing."""
    folder = Path(tempfile.mkdtemp(prefix="tandem-lived-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = write_config(
        folder,
        name="bot.json",
        mock={"bars": 640, "seed": 7},
        data={"lookback_bars": 200},
        broker={"faults": FAULTS},
        risk_management={"max_daily_trades": 2},
    )
    with chdir(folder):
        result = live(path)
        write_json(folder / "run.json", result)
        return Lived(folder, load_config(path, environ={}), result)
