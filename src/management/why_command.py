"""``tandem why CONFIG TRADE``: each step of a trade, or of an entry that came to nothing, from the journal."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from trading.command_line import BAD_INPUT, EXIT_CODES, EXPECTED, OK, ended
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.journal.reads import JournalReader
from trading.reports.attempts import LAST, NoSuchTrade, attempts
from trading.reports.run_reading import RunUnknown, run_of
from trading.reports.why import explain
from trading.reports.why_text import why_json, why_text
from trading.saying import say
from trading.venues.opening import state_paths


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 2 for a config, journal, run or trade that is not there."""
    options = _parser().parse_intermixed_args(arguments)
    try:
        config = load_config(options.config, environ=process_environment())
        path, _ = state_paths(config)
        with JournalReader.open(path) as journal:
            run = run_of(journal, options.run, config.bot_id).number
            if options.list:
                say("\n".join(f"{one}" for one in attempts(journal, run)) or "no entry was decided on yet")
                return OK
            why = explain(journal, run, options.trade)
    except (*EXPECTED, NoSuchTrade, RunUnknown) as error:
        return ended(str(error), BAD_INPUT)
    say(json.dumps(why_json(why), indent=2, allow_nan=False) if options.json else why_text(why))
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem why",
        description="What each bar showed of a trade, and what the rules, the limits and the exchange said.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("config", help="the bot's config file, as given to run")
    parser.add_argument(
        "trade",
        nargs="?",
        default=LAST,
        help="its number in the run, a pair for its last one, PAIR@TIME of the decision (also one that was refused or "
        "unwound), or last",
    )
    parser.add_argument("--run", metavar="N", type=int, help="by default the newest")
    parser.add_argument("--list", action="store_true", help="name every entry of the run, refused ones too")
    parser.add_argument("--json", action="store_true", help="print it as JSON, for machines")
    return parser
