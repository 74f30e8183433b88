"""What the commands share: data options, exit codes, and errors as sentences."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from brokers.broker_factory import BrokerUnavailable
from brokers.simulated.store import StoreError
from ccxt_bt_bridge.errors import AccountRefused, ExchangeUnreachable, MarketUnknown, NotSupported
from feeds.history import HistoryError
from trading.config.confirmation import NotConfirmed
from trading.config.credentials import CredentialsError
from trading.config.loader import ConfigError
from trading.control.command_queue import CommandsUnreadable
from trading.journal.errors import JournalError
from trading.market_input import DataChoice, InputError
from trading.reports.output_files import OutputPathError

OK, FAILURE, BAD_INPUT, SAFETY_STOP, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = "exit codes: 0 ok, 1 failure, 2 bad config or usage, 3 safety stop, 130 stopped by Ctrl+C"

# What a person can mend: told in a sentence, never with a traceback.
EXPECTED = (
    ConfigError,
    NotConfirmed,
    CredentialsError,
    InputError,
    HistoryError,
    BrokerUnavailable,
    ExchangeUnreachable,
    MarketUnknown,
    AccountRefused,
    NotSupported,
    StoreError,
    JournalError,
    CommandsUnreadable,
    OutputPathError,
)


def ended(sentence: str, code: int) -> int:
    """Say why a command ends; its exit code."""
    print(sentence, file=sys.stderr)
    return code


def command_parser(prog: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=description, epilog=EXIT_CODES)
    parser.add_argument(
        "config", help="a config file; a bare name such as 0001.json is also looked for in config/trading"
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="bars: one SYMBOL.csv, .csv.gz or .parquet each")
    parser.add_argument("--funding", metavar="DIR", type=Path, help="funding series: one file per symbol")
    parser.add_argument("--from", dest="start", metavar="T", type=utc_time, help="first close time, UTC, inclusive")
    parser.add_argument("--to", dest="end", metavar="T", type=utc_time, help="last close time, UTC, inclusive")
    parser.add_argument("--json", metavar="PATH", type=Path, help="write the result as JSON")
    return parser


def data_choice(options: argparse.Namespace) -> DataChoice:
    return DataChoice(options.data, options.funding, options.start, options.end)


def utc_time(text: str) -> datetime:
    """``2024-01-31`` or ``2024-01-31T08:00Z``; without a zone it is UTC."""
    try:
        when = datetime.fromisoformat(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; wanted one such as 2024-01-31T08:00Z") from None
