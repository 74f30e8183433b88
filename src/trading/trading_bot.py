"""``trading_bot.py CONFIG``: run a config as a bot. Also a script: ``python src/trading/trading_bot.py 0001.json``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the folder to import from is src, not this one
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from trading.command_line import (
    BAD_INPUT,
    EXPECTED,
    FAILURE,
    INTERRUPTED,
    OK,
    SAFETY_STOP,
    command_parser,
    data_choice,
    ended,
)
from trading.config.environment import process_environment
from trading.console import PatientConsole
from trading.core_dumps import forbid_core_dumps
from trading.live_trading_bot import LiveTradingBot
from trading.remedies import sentence_of
from trading.reports.output_files import NotWritten, output_path
from trading.reports.result_files import write_json
from trading.reports.summary import print_summary
from trading.status_display import StatusDisplay


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one bot to its end; returns the exit code."""
    parser = command_parser("trading_bot.py", "Run a config as a bot: on its simulated exchange, or a real one.")
    parser.add_argument("--live", action="store_true", help="confirm trading with real money (broker.type binance)")
    options = parser.parse_args(arguments)
    forbid_core_dumps()
    console = PatientConsole()
    try:
        if options.json:
            output_path(options.json)
        bot = LiveTradingBot(
            options.config, environ=process_environment(), choice=data_choice(options), live=options.live
        )
        config = bot.load()
        for warning in config.warnings:
            print(f"warning: {warning.path}: {warning.message}", file=sys.stderr)
        display = StatusDisplay(console)
        bot.add_listener(display.on_event)
        result = bot.run(showing=display.showing)
    except EXPECTED as error:
        print(sentence_of(error), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("left at once; the next start finishes what was under way", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        print(f"the run failed: {error!r}. Details are in the errors log; start again to resume.", file=sys.stderr)
        return FAILURE
    print_summary(result, console)
    try:
        if options.json:
            write_json(options.json, result)
    except NotWritten as error:
        return ended(sentence_of(error), FAILURE)
    if bot.was_halted:
        print("halted: see the alarms above and logs/errors.log before starting again", file=sys.stderr)
        return SAFETY_STOP
    return INTERRUPTED if bot.was_interrupted else OK


if __name__ == "__main__":
    sys.exit(main())
