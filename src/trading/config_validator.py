"""Checks a config and reports everything that is wrong with it in one run. Also a script:

    python src/trading/config_validator.py config/trading/0001.json [--json PATH]

Exit code 0 when the config is good (warnings allowed), 2 when it is not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the folder to import from is src, not this one
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from trading.config.environment import command_overrides, environment_overrides, process_environment
from trading.config.examination import Examination, examine
from trading.config.files import candidates, find_config, read_file
from trading.config.position_json import Document, read_document
from trading.config.report import ERROR, Problem, Report
from trading.saying import say

GOOD, BAD = 0, 2


class ConfigValidator:
    """Examines configs. ``environ``: what may override them and hold their secrets; ``overrides``: by dotted path, the
    last word of all; ``needs_pairs``: the file of pairs that a config names must be there."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        needs_pairs: bool = True,
    ) -> None:
        self._environ = dict(environ or {})
        self._needs_pairs = needs_pairs
        self._overrides = [*environment_overrides(self._environ), *command_overrides(overrides or {})]

    def validate_file(self, path: str | Path) -> Report:
        """Everything wrong with the file; never raises for what it holds."""
        return self.examine_file(path).report

    def validate_bytes(self, data: bytes, path: str | Path = "config.json") -> Report:
        """Everything wrong with ``data``, as if it stood in ``path``."""
        return self.examine_bytes(data, path).report

    def examine_file(self, path: str | Path) -> Examination:
        """The report on a file (found as ``trading.config.files`` says) and, if it is good, the loaded config."""
        found = find_config(path, self._environ)
        document = read_file(found)
        if isinstance(document, str):
            looked = ", ".join(str(place) for place in candidates(path, self._environ))
            problem = Problem("$", None, None, ERROR, document, None, f"a config at {looked}")
            return Examination(Report(str(path), (problem,)), None)
        return self._examine(document, found)

    def examine_bytes(self, data: bytes, path: str | Path = "config.json") -> Examination:
        """As ``examine_file``, for ``data`` as if it stood in ``path``."""
        return self._examine(read_document(data), Path(path))

    def _examine(self, document: Document, path: Path) -> Examination:
        return examine(document, path, overrides=self._overrides, environ=self._environ, needs_pairs=self._needs_pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is wrong with one config, and the summary. 0 when it is good, 2 when not."""
    parser = argparse.ArgumentParser(
        prog="config_validator.py",
        description="Report everything that is wrong with a config, each problem with its line and column.",
        epilog="Exit code 0: good (warnings allowed); 2: not. Bare names are also looked for in config/trading.",
    )
    parser.add_argument("config", help="a config file, such as config/trading/0001.json or 0001.json")
    parser.add_argument("--json", metavar="PATH", help="write the problems as a JSON list to PATH (- for the screen)")
    options = parser.parse_args(arguments)
    report = ConfigValidator(environ=process_environment()).validate_file(options.config)
    return _tell(report, options.json)


def _tell(report: Report, json_path: str | None) -> int:
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    listing = json.dumps(report.as_json(), indent=2)
    say(listing if json_path == "-" else report.text())
    if json_path not in (None, "-"):
        try:
            Path(str(json_path)).write_text(listing + "\n", encoding="utf-8")
        except (OSError, ValueError) as error:
            print(f"{json_path} could not be written: {error}", file=sys.stderr)
            return BAD
    return GOOD if report.ok else BAD


if __name__ == "__main__":
    sys.exit(main())
