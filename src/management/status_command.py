"""``tandem status CONFIG``: what a bot is doing, read from its journal, whether it runs or not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from trading.command_line import BAD_INPUT, EXIT_CODES, EXPECTED, FAILURE, OK, ended
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.console import PatientConsole
from trading.journal.errors import JournalGone
from trading.saying import say
from trading.status_reading import bot_status
from trading.venues.opening import never_ran


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the status; 0, 1 for a bot that runs without its journal, 2 for a config or a journal that cannot be read,
    or a bot that has never run."""
    options = _parser().parse_args(arguments)
    try:
        config = load_config(options.config, environ=process_environment())
        status = bot_status(config, datetime.now(UTC))
    except JournalGone as error:
        return ended(str(error), FAILURE)
    except EXPECTED as error:
        return ended(str(error), BAD_INPUT)
    if status is None:
        return ended(never_ran(config), BAD_INPUT)
    if options.json:
        say(json.dumps(status, indent=2, allow_nan=False, default=str))
    else:
        _print(status, PatientConsole())
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem status", description="What a bot is doing, read from its journal.", epilog=EXIT_CODES
    )
    parser.add_argument(
        "config", help="a config file; a bare name such as 0001.json is also looked for in config/trading"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON, for machines")
    return parser


def _print(status: dict[str, Any], console: PatientConsole) -> None:
    breaker = status["breaker"]
    why = f" since {breaker['since']}: {breaker['reason']}" if breaker["since"] else ""
    state = "running" if status["running"] else "not running"
    equity = "unknown" if status["equity"] is None else f"{status['equity']:,.2f}"
    differences = [f"at the start, {told}" for told in status["differences"]]
    lines = [
        f"{status['bot_id']} on {status['mode']}, {state}; equity {equity}, last bar {status.get('time') or 'none'}",
        f"breaker {breaker['state']}{why}",
        f"reconciled {status['last_reconciled'] or 'never'}; longest unhedged {status['longest_unhedged_s']:.1f} s",
        *differences,
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(_pairs(status["pairs"]))
    console.print(_limits(status["limits"]))
    console.print(_feeds(status["feeds"]))


def _pairs(pairs: list[dict[str, Any]]) -> Table:
    table = _table("pair", "state", "z", "leg", "ledger", "exchange")
    for pair in pairs:
        for number, leg in enumerate(pair["legs"]):
            first = (pair["pair_id"], pair["state"], _number(pair["z"], "+.2f")) if not number else ("", "", "")
            table.add_row(*first, leg["symbol"], _number(leg["ledger"], "g"), _number(leg["exchange"], "g"))
    return table


def _limits(limits: list[dict[str, Any]]) -> Table:
    table = _table("limit", "used", "of")
    for limit in limits:
        table.add_row(limit["name"], _number(limit["used"], ".4g"), _number(limit["limit"], "g"))
    return table


def _feeds(feeds: list[dict[str, Any]]) -> Table:
    table = _table("feed", "state", "age in s")
    for feed in feeds:
        table.add_row(feed["symbol"], feed["state"], _number(feed["age_s"], ".0f"))
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in names:
        table.add_column(name, justify="left" if name in ("pair", "state", "leg", "limit", "feed") else "right")
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
