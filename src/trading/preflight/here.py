"""Checks of this machine: keys, places to write to, the journal. Nothing goes over the network."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from trading.config.confirmation import CONFIRMED, moves_money
from trading.config.credentials import KEY, SECRET, CredentialsError, api_key, secret_value
from trading.config.model import LoadedConfig
from trading.journal.errors import JournalOlder, JournalRefused
from trading.journal.locks import is_held, lock_path
from trading.journal.reads import JournalReader
from trading.preflight.finding import Finding, fails, ok, warning
from trading.venues.opening import require_own, state_paths

LOW_SPACE_BYTES = 200 * 2**20
# What validation can only guess at without the exchange and the keys; the checks below know.
ANSWERED_BELOW = ("data.market_info", "broker.type", "notifications.")


def check_config(config: LoadedConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What validation warned of; a config with errors does not come this far."""
    open_questions = [problem for problem in config.warnings if not problem.path.startswith(ANSWERED_BELOW)]
    for problem in open_questions:
        yield warning("config", f"{problem.path}: {problem.message}", problem.expected or "see tandem validate")
    if not open_questions:
        yield ok("config", f"{config.name} is valid")


def check_money(config: LoadedConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whose money it is, in words."""
    model = config.model
    if moves_money(config):
        yield warning(
            "money",
            f"{model.broker.type} trades real money",
            f"nothing if that is meant; a run needs --live or {CONFIRMED}={config.sha256}",
        )
    elif model.broker.exchange_url is not None:
        yield ok("money", f"no real money: the exchange on this machine at {model.broker.exchange_url}")
    elif model.is_live:
        yield ok("money", "no real money: the test network")
    else:
        yield ok("money", f"no real money: {model.broker.type} simulates its fills")


def check_keys(config: LoadedConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    if config.model.broker.type != "binance":
        yield ok("keys", f"{config.model.broker.type} needs none")
        return
    try:
        api_key(config.model, environ)
    except CredentialsError as error:
        sentence, _, remedy = str(error).rpartition(": ")
        yield fails("keys", sentence or remedy, remedy if sentence else f"mend {KEY} and {SECRET}")
        return
    lacking = [name for name in (KEY, SECRET) if not secret_value(environ, name)]
    if lacking:  # which passes for an exchange on this machine only
        yield ok("keys", f"{' and '.join(lacking)} not set: that exchange's own public pair stands in")
    else:
        yield ok("keys", f"{KEY} and {SECRET} are there")


def check_disk(config: LoadedConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether every folder that a run writes to can be written to."""
    logging = config.model.logging
    files = (Path(logging.log_file).parent, Path(logging.json_dir), Path(logging.error_file).parent)
    for folder in dict.fromkeys((Path(config.model.state.dir), *files)):
        yield _writable(folder)


def check_journal(config: LoadedConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the bot's journal is free and can be read."""
    path, _ = state_paths(config)
    if is_held(lock_path(path)):
        yield fails("journal", f"{path} is being written by a running bot", "stop that bot, or give this one a bot_id")
    elif not path.exists():
        yield ok("journal", f"{path} begins with the first run")
    else:
        yield _readable(config, path)


CHECKS = (check_config, check_money, check_keys, check_disk, check_journal)


def _writable(folder: Path) -> Finding:
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".preflight-"):
            free = shutil.disk_usage(place).free
    except OSError as error:
        return fails(
            "disk", f"{folder} cannot be written to ({error.strerror})", f"make {place} writable for this user"
        )
    if free < LOW_SPACE_BYTES:
        left = f"{free // 2**20} MB"
        return warning(
            "disk", f"{folder} can be written to, but only {left} are left", "make room for logs and journal"
        )
    return ok("disk", f"{folder} can be written to")


def _readable(config: LoadedConfig, path: Path) -> Finding:
    try:
        with JournalReader.open(path) as journal:
            require_own(config, path, journal.meta)
            return ok("journal", f"{path} is there and free")
    except JournalOlder:
        return ok("journal", f"{path} is of an earlier program: the start brings it forward and keeps a copy")
    except JournalRefused as error:
        return fails("journal", str(error), "follow the sentence, or move the file away to begin anew")
