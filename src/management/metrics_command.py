"""``tandem metrics``: what the panel's ``/metrics`` says, for machines without a panel."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from management.bots.watching import BotWatch
from management.masking import Masking
from trading.command_line import BAD_INPUT, EXIT_CODES, OK, ended
from trading.reports.output_files import OutputPathError, write_atomically
from trading.saying import say

STATE = Path("state")


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 for a folder that is not there, a file that cannot be written, or without prometheus-client."""
    options = _parser().parse_args(arguments)
    try:
        from management.metrics.exposition import Metrics
    except ModuleNotFoundError as missing:
        return ended(f"metrics need {missing.name}: pip install 'tandem-pairs[web]'", BAD_INPUT)
    if options.state != STATE and not options.state.is_dir():  # without the usual one, no bot has run here yet
        return ended(f"there is no folder {options.state}: name the bots' state folder with --state", BAD_INPUT)
    told = Metrics(BotWatch(options.state, Masking(())))
    try:
        while True:
            _give(told.text(), options.file)
            if options.every is None:
                return OK
            time.sleep(options.every)
    except OutputPathError as error:
        return ended(str(error), BAD_INPUT)


def _give(text: bytes, file: Path | None) -> None:
    """Whole or not at all: node-exporter reads whenever it likes."""
    if file is None:
        say(text.decode().rstrip("\n"))
    else:
        write_atomically(file, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem metrics", description="All bots of a folder as Prometheus metrics.", epilog=EXIT_CODES
    )
    parser.add_argument("--state", metavar="DIR", type=Path, default=STATE, help="the bots' state folder")
    parser.add_argument(
        "--file", metavar="PATH", type=Path, help="write it there, for node-exporter's textfile collector (NAME.prom)"
    )
    parser.add_argument("--every", metavar="S", type=_seconds, help="go on, every so many seconds, until Ctrl+C")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86_400.0:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted seconds from 0.1 to 86400")
    return seconds
