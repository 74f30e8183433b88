"""What a journal keeps of the config that its bot runs by, for whoever looks on: no secrets, but the levels of z."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trading.config.model import LoadedConfig
from trading.config.redaction import redacted
from trading.journal.writer import Journal
from trading.plan_builder import signal_terms
from trading.provenance import finite

CONFIG_KEY = "config"


def write_config(journal: Journal, config: LoadedConfig) -> None:
    journal.save_risk_state(CONFIG_KEY, config_record(config))


def config_record(config: LoadedConfig) -> dict[str, Any]:
    """JSON values. ``levels``: pair → the |z| of entry, exit and stop, where rules by z trade it. Logs: whole paths."""
    model, logging = config.model, config.model.logging
    return {
        "name": config.name,
        "sha256": config.sha256,
        "bar_hours": model.bar_hours,
        "symbols": list(config.symbols),
        "pairs": {pair.pair_id: list(pair.symbols) for pair in config.pairs},
        "levels": {
            pair_id: {"entry": terms.entry_z, "exit": terms.exit_z, "stop": terms.stop_z}
            for pair_id, terms in signal_terms(config).items()
        },
        "log_file": str(Path(logging.log_file).absolute()),
        "error_file": str(Path(logging.error_file).absolute()),
        "config": finite(redacted(model.model_dump(mode="json", by_alias=True))),
    }
