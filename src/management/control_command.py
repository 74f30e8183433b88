"""``tandem halt | resume | flatten | close``: a person's commands to a bot, through its queue."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trading.command_line import BAD_INPUT, EXIT_CODES, EXPECTED, FAILURE, OK, ended
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.control.command_desk import STALE_AFTER_S
from trading.control.command_queue import Command, CommandQueue, CommandState, CommandsUnreadable, Verb
from trading.control.paths import control_paths
from trading.journal.errors import JournalError
from trading.journal.locks import holder_of, is_held, lock_path
from trading.kept_pairs import with_kept_pairs
from trading.saying import say
from trading.venues.opening import never_ran, read_journal, state_paths

POLL_S = 0.1
DOES = {
    Verb.HALT: "Open nothing more until a person resumes. Half-done pairs are hedged or unwound, open ones are kept.",
    Verb.RESUME: "Trade again after a halt, an emergency stop or a limit. Needs ledger and exchange to agree.",
    Verb.FLATTEN: "Emergency stop: cancel every order, close every pair and verify; open nothing until a resume.",
    Verb.CLOSE: "Close one pair, both legs, and go on with the others.",
}


class NotGiven(Exception):
    """The command was not given; the message says why."""


def halt(arguments: Sequence[str] | None = None) -> int:
    return _main(Verb.HALT, arguments)


def resume(arguments: Sequence[str] | None = None) -> int:
    return _main(Verb.RESUME, arguments)


def flatten(arguments: Sequence[str] | None = None) -> int:
    return _main(Verb.FLATTEN, arguments)


def close(arguments: Sequence[str] | None = None) -> int:
    return _main(Verb.CLOSE, arguments)


def _main(verb: Verb, arguments: Sequence[str] | None) -> int:
    """0 given (or done, with --wait), 1 when the bot answered that it failed or did not answer in time, 2 not given."""
    options = _parser(verb).parse_args(arguments)
    try:
        config = load_config(options.config, environ=process_environment())
        _refuse_nonsense(verb, config, options)
        return _given(verb, config, options)
    except (*EXPECTED, NotGiven) as error:
        return ended(str(error), BAD_INPUT)


def _given(verb: Verb, config: LoadedConfig, options: argparse.Namespace) -> int:
    try:
        with CommandQueue(control_paths(config).commands) as queue:
            number = queue.give(verb, reason=options.reason, by=_who(), pair_id=getattr(options, "pair", None))
            _say_given(queue.command(number), config)
            return _answer(queue, number, options.wait) if options.wait else OK
    except CommandsUnreadable as error:
        raise NotGiven(f"{error}{_by_signal(config)}") from None


def _parser(verb: Verb) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"tandem {verb.value}", description=DOES[verb], epilog=EXIT_CODES)
    parser.add_argument("config", help="the bot's config file, as given to run")
    if verb is Verb.CLOSE:
        parser.add_argument("pair", help="the pair's id")
    parser.add_argument(
        "--reason", default=f"by tandem {verb.value}", required=verb is Verb.RESUME, help="kept with the command"
    )
    if verb is Verb.FLATTEN:
        parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--wait", metavar="SECONDS", type=_seconds, default=0.0, help="wait for the bot's answer, at most this long"
    )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 86_400.0:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted seconds from 0 to 86400")
    return seconds


def _refuse_nonsense(verb: Verb, config: LoadedConfig, options: argparse.Namespace) -> None:
    is_running = is_held(_lock(config))
    if not is_running:
        _require_journal(config)
    if not options.reason.strip():
        raise NotGiven("--reason is empty: say why, it is kept with the command")
    if verb is Verb.CLOSE:
        _require_pair(config, options.pair, is_running=is_running)
    if verb is Verb.FLATTEN and not options.yes:
        _ask(config)


def _lock(config: LoadedConfig) -> Path:
    journal, _ = state_paths(config)
    return lock_path(journal)


def _require_journal(config: LoadedConfig) -> None:
    """A bot that runs is commanded whatever became of its journal; one that does not must be the one that is meant."""
    journal = read_journal(config)
    if journal is None:
        raise NotGiven(never_ran(config))
    journal.close()


def _require_pair(config: LoadedConfig, pair_id: str, *, is_running: bool) -> None:
    try:
        known = [pair.pair_id for pair in with_kept_pairs(config).pairs]
    except JournalError:
        if not is_running:
            raise
        return  # the bot knows its pairs without the file
    if pair_id not in known:
        raise NotGiven(f"there is no pair {pair_id}; {config.name} has {', '.join(known) or 'none'}")


def _by_signal(config: LoadedConfig) -> str:
    lock = _lock(config)
    return f"; an emergency stop without a file is its signal: kill -USR1 {holder_of(lock)}" if is_held(lock) else ""


def _ask(config: LoadedConfig) -> None:
    if not sys.stdin.isatty():
        raise NotGiven("flatten closes every pair at the market: add --yes where nobody can be asked")
    wanted = config.bot_id
    print(f"This cancels every order and closes every pair of {wanted} on {config.model.broker.type} at the market.")
    if input(f"Type {wanted} to go on: ").strip() != wanted:
        raise NotGiven("nothing was done")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _say_given(command: Command, config: LoadedConfig) -> None:
    if is_held(_lock(config)):
        say(f"{command} was given to {config.bot_id}")
        return
    limit = "" if command.verb.is_safe_when_late else f" if that is within {STALE_AFTER_S / 60.0:.0f} minutes"
    say(f"{config.bot_id} is not running: {command} waits, and is the first thing its next start does{limit}")


def _answer(queue: CommandQueue, number: int, patience_s: float) -> int:
    deadline = time.monotonic() + patience_s
    while not (command := queue.command(number)).state.is_over:
        if time.monotonic() >= deadline:
            print(
                f"{command} is still {command.state.value} after {patience_s:g} s; it stays in force", file=sys.stderr
            )
            return FAILURE
        time.sleep(POLL_S)
    if command.state is CommandState.DONE:
        say(f"{command}: {command.result}")
        return OK
    print(f"{command} {command.state.value}: {command.result}", file=sys.stderr)
    return FAILURE
