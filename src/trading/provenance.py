"""What a result came from: the config's terms, the code, the data. Enough to repeat a run and to see what differs."""

from __future__ import annotations

import math
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pairs.words import Pair
from trading.config.model import LoadedConfig
from trading.config.redaction import redacted
from trading.market_input import DataChoice
from trading.records import Provenance
from trading.utc_text import utc_text

DISTRIBUTION = "tandem-pairs"
LIBRARIES = ("backtrader", "ccxt", "numpy", "pandas", "statsmodels", "pydantic", "SQLAlchemy")
# What decides how a bot trades. Where it logs and whom it tells does not.
SECTIONS = (
    "broker",
    "mock",
    "data",
    "trading",
    "strategy",
    "execution",
    "cointegration",
    "pair_health",
    "signal",
    "risk_management",
    "risk",
)


def provenance(config: LoadedConfig, choice: DataChoice, digest: str = "") -> Provenance:
    """``choice``: what the command line said about data; ``digest``: of the bars, where they are known beforehand."""
    data = data_terms(config, choice) | ({"digest": digest} if digest else {})
    return Provenance(config.sha256, code_version(), run_terms(config), library_versions(), data)


def run_terms(config: LoadedConfig) -> dict[str, Any]:
    """The config's deciding sections with their defaults, the pairs and the rules' parameters."""
    sections = config.model.model_dump(mode="json", include=set(SECTIONS))
    terms = {name: sections[name] for name in SECTIONS}
    rules = {
        part: {"name": spec.name, "params": asdict(spec.params)}
        for part, spec in (("entry_logic", config.entry), ("exit_logic", config.exit))
    }
    terms["strategy"] |= rules
    return finite(redacted(terms | {"pairs": [_pair_terms(pair) for pair in config.pairs]}))


def code_version() -> str:
    """Of this program; "unknown" where it runs without being installed."""
    return _version_of(DISTRIBUTION) or "unknown"


def library_versions() -> dict[str, str]:
    found = {name: _version_of(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | {name: text for name, text in found.items() if text}


def data_terms(config: LoadedConfig, choice: DataChoice) -> dict[str, Any]:
    """Where the bars come from, and which of them."""
    folders = {"dir": choice.folder, "funding_dir": choice.funding_folder}
    times = {"from": choice.start, "to": choice.end}
    given = {name: str(folder) for name, folder in folders.items() if folder is not None}
    given |= {name: utc_text(when) for name, when in times.items() if when is not None}
    return {"source": config.model.data.data_source} | given


def finite(value: Any) -> Any:
    """As fast as possible, and without a limit, are infinite numbers: JSON has none."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pair_terms(pair: Pair) -> dict[str, Any]:
    row = asdict(pair)
    for name in ("formation_start", "formation_end"):
        row[name] = None if row[name] is None else utc_text(row[name])
    return row
