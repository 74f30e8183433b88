"""The bot's side of what a person asks and commands from afar: it reads the journal's file and writes the commands'
file, as any onlooker does; it holds nothing of the running engine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from notifications.bot_desk import Answer, Deed, Given, NotTaken, Outcome, Topic, Wish
from trading.config.model import LoadedConfig
from trading.config.redaction import redacted
from trading.control.command_desk import STALE_AFTER_S
from trading.control.command_queue import CommandQueue, CommandState, CommandsUnreadable, Verb
from trading.control.paths import control_paths
from trading.journal.errors import JournalError
from trading.journal.locks import is_held, lock_path
from trading.journal.reads import JournalReader
from trading.kept_pairs import with_kept_pairs
from trading.reports.attempts import LAST, NoSuchTrade
from trading.reports.run_reading import RunUnknown, run_of
from trading.status_reading import bot_status
from trading.telling import answers
from trading.venues.opening import state_paths

USUAL_LINES, MOST_LINES = 20, 200
TAIL_BYTES = 64 * 1024

Redact = Callable[[str], str]
UNREADABLE = (JournalError, CommandsUnreadable, OSError)


class NothingToTell(Exception):
    """The question has no answer; the message says why."""


class JournalDesk:
    """A ``BotDesk``. ``redact``: every line of an answer goes through it."""

    def __init__(self, config: LoadedConfig, *, redact: Redact) -> None:
        self._config, self._redact = config, redact
        self._journal, _ = state_paths(config)

    # questions

    def ask(self, topic: Topic, argument: str, now: datetime) -> Answer:
        try:
            return self._clean(self._answer(topic, argument, now))
        except (NothingToTell, NoSuchTrade, RunUnknown) as reason:
            return Answer(str(reason))
        except UNREADABLE as error:
            return self._clean(Answer("That cannot be read now", (str(error),)))

    def _answer(self, topic: Topic, argument: str, now: datetime) -> Answer:
        match topic:
            case Topic.STATUS:
                return answers.status_answer(self._status(now))
            case Topic.PAIRS:
                return answers.pairs_answer(self._status(now))
            case Topic.PAIR:
                pair_id = self._pair_id(argument)
                with self._reader() as journal:
                    return answers.pair_answer(self._status(now), journal, pair_id)
            case Topic.WHY:
                with self._reader() as journal:
                    run = run_of(journal, None, self._config.bot_id).number
                    return answers.why_answer(journal, run, self._as_written(argument))
            case Topic.BALANCE:
                return answers.balance_answer(self._status(now))
            case Topic.CONFIG:
                return self._config_answer()
            case Topic.LOGS:
                return self._logs_answer(argument)
            case Topic.VERSION:
                return self._version_answer()
        return self._of_trades(topic, argument, now)

    def _of_trades(self, topic: Topic, argument: str, now: datetime) -> Answer:
        with self._reader() as journal:
            match topic:
                case Topic.DAILY:
                    days = _count(argument, usual=answers.USUAL_DAYS, most=answers.MOST_DAYS)
                    return answers.daily_answer(journal, answers.market_day(self._status(now), now), days)
                case Topic.TRADES:
                    count = _count(argument, usual=answers.USUAL_TRADES, most=answers.MOST_TRADES)
                    return answers.trades_answer(journal, count)
            return answers.profit_answer(journal)

    def _status(self, now: datetime) -> dict[str, Any]:
        status = bot_status(self._config, now)
        if status is None:
            raise NothingToTell(f"{self._config.bot_id} has never run here: there is no journal")
        return status

    def _reader(self) -> JournalReader:
        return JournalReader.open(self._journal)

    def _pair_id(self, argument: str) -> str:
        """Of the pairs that are traded, whatever its case. Raises ``NothingToTell``."""
        known = [pair.pair_id for pair in with_kept_pairs(self._config).pairs]
        wanted = argument.strip()
        if wanted in known:
            return wanted
        alike = [pair_id for pair_id in known if pair_id.lower() == wanted.lower()]
        if len(alike) != 1:
            raise NothingToTell(f"There is no pair {wanted or 'without a name'}; there are {', '.join(known)}")
        return alike[0]

    def _as_written(self, argument: str) -> str:
        """What ``why`` is asked for: a pair in its own case, anything else as it is; nothing is the last trade."""
        pair_id, at, time = argument.partition("@")
        try:
            return f"{self._pair_id(pair_id)}{at}{time}"
        except NothingToTell:
            return argument or LAST

    def _config_answer(self) -> Answer:
        """What the file and the environment have said; defaults are left out."""
        values = self._config.model.model_dump(mode="json", by_alias=True, exclude_unset=True)
        text = json.dumps(redacted(values), indent=1, allow_nan=False)
        return Answer(f"{self._config.name}, {self._config.sha256[:12]}", tuple(text.splitlines()), is_table=True)

    def _logs_answer(self, argument: str) -> Answer:
        count = _count(argument, usual=USUAL_LINES, most=MOST_LINES)
        lines = _last_lines(Path(self._config.model.logging.log_file), count)
        return Answer(f"The last {len(lines)} lines of the log", lines, is_table=True)

    def _version_answer(self) -> Answer:
        try:
            own = version("tandem-pairs")
        except PackageNotFoundError:
            own = "unknown"
        python = ".".join(map(str, sys.version_info[:3]))
        return Answer(f"Tandem {own}", (f"Python {python}", f"{self._config.name} {self._config.sha256}"))

    def _clean(self, answer: Answer) -> Answer:
        clean = self._redact
        return Answer(clean(answer.title), tuple(map(clean, answer.lines)), answer.is_table)

    # commands

    def examine(self, wish: Wish) -> Wish:
        if wish.deed is not Deed.CLOSE:
            return wish
        with _sentences():
            return replace(wish, pair_id=self._pair_id(wish.pair_id or ""))

    def give(self, wish: Wish) -> Given:
        """On disk when this returns; the bot takes it within a second, or at its next start."""
        verb = Verb(wish.deed.value)
        with _sentences(), self._queue() as queue:
            number = queue.give(verb, reason=wish.reason, by=wish.by, pair_id=wish.pair_id)
        if self._is_running():
            return Given(number, f"{wish} was given to {self._config.bot_id}.")
        limit = "" if verb.is_safe_when_late else f", if that is within {STALE_AFTER_S / 60.0:.0f} minutes"
        return Given(number, f"{self._config.bot_id} is not running: {wish} is its next start's first act{limit}.")

    def outcome(self, number: int) -> Outcome | None:
        with _sentences(), self._queue() as queue:
            command = queue.command(number)
        if not command.state.is_over:
            return None
        is_done = command.state is CommandState.DONE
        sentence = command.result if is_done else f"{command.state.value}: {command.result}"
        return Outcome(is_done, self._redact(sentence))

    def _is_running(self) -> bool:
        try:
            return is_held(lock_path(self._journal))
        except OSError:
            return False

    def _queue(self) -> CommandQueue:
        return CommandQueue(control_paths(self._config).commands)


@contextmanager
def _sentences() -> Iterator[None]:
    """What cannot be taken is a sentence."""
    try:
        yield
    except (NothingToTell, *UNREADABLE) as error:
        raise NotTaken(str(error)) from None


def _count(argument: str, *, usual: int, most: int) -> int:
    """Raises ``NothingToTell`` for what is no number from 1 on."""
    if not argument:
        return usual
    if not (argument.isascii() and argument.isdigit() and 1 <= int(argument[:9])):
        raise NothingToTell(f"A number from 1 to {most} was wanted, found {argument[:40]}")
    return min(int(argument[:9]), most)


def _last_lines(path: Path, count: int) -> tuple[str, ...]:
    """Whole lines from the end of a file. Raises ``NothingToTell`` when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = max(0, size - TAIL_BYTES)
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        raise NothingToTell("There is no log yet") from None
    return tuple((lines[1:] if start else lines)[-count:])
