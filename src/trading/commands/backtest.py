"""``backtest.py CONFIG``: test a config on history, print what came of it, write what was asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from trading.backtesting.backtest import BacktestOutcome, run_backtest
from trading.command_line import BAD_INPUT, EXPECTED, FAILURE, INTERRUPTED, OK, command_parser, data_choice, ended
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.console import PatientConsole
from trading.market_input import market_input
from trading.remedies import sentence_of
from trading.reports.output_files import NotWritten, output_path
from trading.reports.result_files import write_json, write_trades_csv
from trading.reports.summary import print_summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one backtest; returns the exit code."""
    parser = command_parser(
        "backtest.py", "Back-test a config on history, with the strategy and the limits of a live run."
    )
    parser.add_argument("--trades-csv", metavar="PATH", type=Path, help="write one row a trade")
    parser.add_argument("--plot", metavar="PNG", type=Path, help="write a picture: equity, drawdown, every pair")
    options = parser.parse_args(arguments)
    try:
        for path in filter(None, (options.json, options.trades_csv, options.plot)):
            output_path(path)
        config = load_config(options.config, environ=process_environment())
        for warning in config.warnings:
            print(f"warning: {warning.path}: {warning.message}", file=sys.stderr)
        outcome = _run(config, options)
    except EXPECTED as error:
        print(sentence_of(error), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED
    print_summary(outcome.result, PatientConsole())
    try:
        _write(outcome, options)
    except NotWritten as error:
        return ended(sentence_of(error), FAILURE)
    return OK


def _run(config: LoadedConfig, options: argparse.Namespace) -> BacktestOutcome:
    console = Console(stderr=True)
    with console.status(f"Back-testing {config.name}") if console.is_terminal else nullcontext():
        market = market_input(config, data_choice(options))
        return run_backtest(config, market)


def _write(outcome: BacktestOutcome, options: argparse.Namespace) -> None:
    if options.json:
        write_json(options.json, outcome.result)
    if options.trades_csv:
        write_trades_csv(options.trades_csv, outcome.result)
    if options.plot:
        from trading.reports.plot import plot_run

        plot_run(outcome.result, outcome.views, options.plot)
