"""``tandem bundle CONFIG``: one archive, without secrets, for whoever is to find out what went wrong."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from management.bundle import MEGABYTE, Bundle, BundleUnsafe
from management.masking import Masking
from trading.command_line import BAD_INPUT, EXIT_CODES, EXPECTED, OK, ended
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.reports.output_files import output_path, write_atomically
from trading.saying import say


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 2 for a config that cannot be read, a place that cannot be written, or a secret that would get out."""
    options = _parser().parse_args(arguments)
    environ = process_environment()
    try:
        config = load_config(options.config, environ=environ)
        path = options.output or Path(f"{config.bot_id}_{config.model.broker.type}_bundle.zip")
        output_path(path)
        masking = Masking.of_bot(environ, Path(config.model.state.dir))
        bundle = Bundle(config, masking, now=datetime.now(UTC), log_bytes=int(options.log_mb * MEGABYTE))
        content = bundle.archive()
        write_atomically(path, content, is_private=True)
    except (*EXPECTED, BundleUnsafe) as error:
        return ended(str(error), BAD_INPUT)
    say(f"wrote {path}, {len(content) / MEGABYTE:.1f} MB; balances and trades are in it, look before you pass it on")
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem bundle",
        description="An archive of config, journal, logs, status and versions, with secrets and names masked.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("config", help="the bot's config file, as given to run")
    parser.add_argument("-o", "--output", metavar="PATH", type=Path, help="by default BOT_MODE_bundle.zip here")
    parser.add_argument("--log-mb", metavar="MB", type=_megabytes, default=5.0, help="of each log, the newest (5)")
    return parser


def _megabytes(text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0.0 < size <= 1_000.0:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted megabytes from 0 to 1000")
    return size
