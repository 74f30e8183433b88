"""Loads a config: defaults, then the file, then the environment, then the command line, checked as one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trading.config.environment import with_dotenv
from trading.config.model import LoadedConfig
from trading.config.report import Report
from trading.config_validator import ConfigValidator


class ConfigError(Exception):
    """The config cannot be used: stop and tell the person. ``report`` says everything that is wrong."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.text())
        self.report = report


def load_config(
    path: str | Path,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    dotenv: Path | None = None,
    needs_pairs: bool = True,
) -> LoadedConfig:
    """The config at ``path`` (also a bare name in ``config/trading``), ready to run.

    ``environ`` is the caller's ``os.environ``; ``dotenv`` a file of more names, which those of ``environ`` win over
    (pass ``Path(".env")`` for a user's). ``overrides``: dotted path to value, from the command line. ``needs_pairs``:
    False for who makes the file of pairs. Raises ``ConfigError``.
    """
    known = with_dotenv(environ, dotenv) if dotenv is not None else environ
    examination = ConfigValidator(environ=known, overrides=overrides, needs_pairs=needs_pairs).examine_file(path)
    if examination.loaded is None:
        raise ConfigError(examination.report)
    return examination.loaded
