"""``tandem preflight CONFIG``: everything that can be known to be wrong before a bot is started."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from trading.command_line import BAD_INPUT, INTERRUPTED, OK
from trading.config.environment import process_environment
from trading.preflight.exchange_sides import ExchangeSides
from trading.preflight.finding import PreflightReport
from trading.preflight.run import Preflight
from trading.reports.output_files import OutputPathError, output_path, write_atomically
from trading.saying import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every finding with its remedy. 0 when nothing fails (warnings allowed), 2 when something does."""
    options = _parser().parse_args(arguments)
    overrides = {"broker.exchange_url": options.exchange_url} if options.exchange_url else {}
    try:
        if options.json not in (None, "-"):
            output_path(options.json)
        preflight = Preflight(ExchangeSides(), process_environment(), overrides=overrides)
        report = asyncio.run(preflight.check(options.config))
        _tell(report, options.json)
    except OutputPathError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    return OK if report.passed else BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem preflight",
        description="Check a config, this machine, the key, the account and the market before a bot is started. "
        "Reads only: nothing is changed anywhere.",
        epilog="exit codes: 0 nothing fails (warnings allowed), 2 something does, 130 stopped by Ctrl+C",
    )
    parser.add_argument(
        "config", help="a config file; a bare name such as 0001.json is also looked for in config/trading"
    )
    parser.add_argument("--exchange-url", metavar="URL", help="an exchange on this machine instead of the config's")
    parser.add_argument("--json", metavar="PATH", help="write the findings as JSON to PATH (- for the screen)")
    return parser


def _tell(report: PreflightReport, json_path: str | None) -> None:
    listing = json.dumps(report.as_json(), indent=2)
    say(listing if json_path == "-" else report.text())
    if json_path not in (None, "-"):
        write_atomically(str(json_path), f"{listing}\n".encode())
