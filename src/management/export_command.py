"""``tandem export trades CONFIG | RESULT.json``: trades as CSV, for accounts and taxes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from trading.command_line import BAD_INPUT, EXIT_CODES, EXPECTED, OK, ended, utc_time
from trading.config.environment import process_environment
from trading.config.files import find_config
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.journal.reads import JournalReader
from trading.records import TradeRecord
from trading.reports.accounts import (
    FILL_COLUMNS,
    LEG_COLUMNS,
    PAIR_COLUMNS,
    Period,
    Row,
    fill_rows,
    leg_rows,
    pair_rows,
)
from trading.reports.csv_text import csv_text
from trading.reports.output_files import write_atomically
from trading.reports.result_reading import ResultUnreadable, is_result, read_json, result_of
from trading.reports.run_reading import RunUnknown, run_of
from trading.saying import say
from trading.venues.opening import state_paths

COLUMNS = {"pair": PAIR_COLUMNS, "leg": LEG_COLUMNS, "fill": FILL_COLUMNS}


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 2 for what cannot be read; no trades are a file with a header."""
    options = _parser().parse_args(arguments)
    try:
        rows = list(_rows(options, process_environment()))
        text = csv_text(COLUMNS[options.per], rows)
        if options.csv is not None:
            write_atomically(options.csv, text.encode())
    except (*EXPECTED, ResultUnreadable, RunUnknown) as error:
        return ended(str(error), BAD_INPUT)
    say(f"wrote {len(rows):,} rows to {options.csv}" if options.csv is not None else text.removesuffix("\n"))
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tandem export", description="Trades as CSV.", epilog=EXIT_CODES)
    parser.add_argument("what", choices=("trades",))
    parser.add_argument(
        "source",
        metavar="CONFIG|RESULT.json",
        help="a bot's config file, for what its journal has, or a result written with --json",
    )
    parser.add_argument(
        "--per",
        choices=tuple(COLUMNS),
        default="pair",
        help="a row for each trade of a pair (default), each leg of it, or each fill and payment (from a journal)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="N", type=int, help="of a journal, by default the newest")
    which.add_argument("--all", action="store_true", help="every run of a journal")
    parser.add_argument(
        "--from", dest="start", metavar="T", type=utc_time, help="what was left, filled or paid from here"
    )
    parser.add_argument("--to", dest="end", metavar="T", type=utc_time, help="and up to here, UTC, inclusive")
    parser.add_argument("--csv", metavar="PATH", type=Path, help="where it goes; by default it is printed")
    return parser


def _rows(options: argparse.Namespace, environ: Mapping[str, str]) -> Iterable[Row]:
    source, period = find_config(options.source, environ), Period(options.start, options.end)
    document = read_json(source)
    if not is_result(document):
        return _of_journal(load_config(source, environ=environ), options, period)
    if options.run is not None or options.all:
        raise ResultUnreadable(f"{options.source} is the result of one run: --run and --all go with a config")
    if options.per == "fill":
        raise ResultUnreadable(f"{options.source} has no fills: they are in the bot's journal, so name its config")
    return _of_trades(result_of(document, options.source).trades, None, options.per, period)


def _of_journal(config: LoadedConfig, options: argparse.Namespace, period: Period) -> Iterator[Row]:
    path, _ = state_paths(config)
    with JournalReader.open(path) as journal:
        newest = run_of(journal, options.run, config.bot_id)
        numbers = [run.number for run in journal.runs()] if options.all else [newest.number]
        for number in numbers:
            if options.per == "fill":
                yield from fill_rows(journal, number, period)
            else:
                yield from _of_trades(journal.trades(number), number, options.per, period)


def _of_trades(trades: Iterable[TradeRecord], run: int | None, per: str, period: Period) -> Iterator[Row]:
    return (pair_rows if per == "pair" else leg_rows)(trades, run, period)
