"""What the environment says about a config: overrides by ``TANDEM__SECTION__KEY``, and the older names, which may only
make a run safer."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from trading.config.model import LIVE_BROKERS
from trading.config.position_json import Path, read_document
from trading.config.report import ERROR, Problem, did_you_mean, excerpt, path_text
from trading.config.source import Facts, Override, Source, finite, overridden

PREFIX = "TANDEM__"
ENVIRONMENT = "environment"
COMMAND_LINE = "command line"

_MODES = {"TRADING_MODE": ("paper", "live"), "EXECUTION_MODE": ("paper", "demo", "live")}
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LIMITS: dict[str, Path] = {
    "MAX_POSITIONS": ("trading", "max_positions"),
    "MAX_DRAWDOWN_PCT": ("trading", "max_drawdown_pct"),
    "DAILY_LOSS_LIMIT_PCT": ("risk_management", "max_daily_loss_pct"),
}


def process_environment() -> dict[str, str]:
    """This process's environment on top of the working directory's ``.env``: the one place where it is read."""
    return with_dotenv(os.environ, FilePath(".env"))


def with_dotenv(environ: Mapping[str, str], dotenv: FilePath) -> dict[str, str]:
    """``environ`` on top of what the file ``dotenv`` says, if there is one."""
    try:
        text = dotenv.read_bytes().decode("utf-8", "replace") if dotenv.is_file() else ""
    except OSError:
        text = ""
    if not text:
        return dict(environ)
    from dotenv import dotenv_values  # only where there is such a file

    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {**{name: value for name, value in values.items() if value is not None}, **environ}


def environment_overrides(environ: Mapping[str, str]) -> list[Override]:
    """One override for each ``TANDEM__…``, in the order of their names."""
    names = sorted(name for name in environ if name.upper().startswith(PREFIX))
    return [
        Override(tuple(name[len(PREFIX) :].lower().split("__")), parsed(environ[name]), ENVIRONMENT, name)
        for name in names
    ]


def command_overrides(overrides: Mapping[str, Any]) -> list[Override]:
    """Overrides by dotted path (``"data.dir"``) or by nested objects."""
    return [Override(path, value, COMMAND_LINE, path_text(path)) for path, value in _flattened(overrides, ())]


def _flattened(values: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in values.items():
        here = (*path, *key.split("."))
        if isinstance(value, dict) and value:
            yield from _flattened(value, here)
        else:
            yield here, value


def parsed(text: str) -> Any:
    """A JSON value where ``text`` is one, else the text itself."""
    document = read_document(text.encode("utf-8", "replace"))
    return document.values if document.readable and not document.flaws else text


def made_safer(source: Source, environ: Mapping[str, str]) -> tuple[Source, list[Problem]]:
    """``source`` with the limits that the older names tighten, and every clash between them and the config."""
    facts = Facts(source)
    problems: list[Problem] = []
    for name, words in _MODES.items():
        problems += _mode_problems(facts, name, environ.get(name, "").strip(), words)
    problems += _dry_run_problems(facts, environ.get("DRY_RUN", "").strip())
    tighter = []
    for name, path in _LIMITS.items():
        override, problem = _limit(facts, name, path, environ.get(name, "").strip())
        tighter += [override] if override else []
        problems += [problem] if problem else []
    source, lost = overridden(source, tighter)
    return source, problems + lost


def _mode_problems(facts: Facts, name: str, value: str, words: tuple[str, ...]) -> Iterator[Problem]:
    if not value:
        return
    word, broker = value.lower(), facts.text("broker", "type")
    if word not in words:
        expected = f"one of {', '.join(words)}"
        yield _problem(name, ("broker", "type"), "is no known mode", value, expected, did_you_mean(word, words))
        return
    is_live = broker in LIVE_BROKERS
    is_test = bool(facts.flag("broker", "testnet") or facts.flag("broker", "use_testnet"))
    clash = not is_live or is_test if word == "live" else is_live and not (is_test and word == "demo")
    if clash and broker is not None:
        found = f"{broker} on the test network" if is_test else broker
        message = f"{name}={value} clashes with broker.type, which is {found}; the environment only makes a run safer"
        yield _problem(name, ("broker", "type"), message, value, f"a broker.type that is {word}, or no {name}")


def _dry_run_problems(facts: Facts, value: str) -> Iterator[Problem]:
    broker = facts.text("broker", "type")
    if not value or broker is None:
        return
    dry = _TRUTHS.get(value.lower())
    if dry is None:
        yield _problem("DRY_RUN", ("broker", "type"), "is neither true nor false", value, "true or false")
    elif dry == (broker in LIVE_BROKERS):
        message = f"DRY_RUN={value} clashes with broker.type, which is {broker}; the environment only makes a run safer"
        yield _problem("DRY_RUN", ("broker", "type"), message, value, "one answer of both")


def _limit(facts: Facts, name: str, path: Path, value: str) -> tuple[Override | None, Problem | None]:
    if not value:
        return None, None
    wanted, limit = finite(parsed(value)), facts.number(*path)
    if wanted is not None and limit is not None and wanted > limit:
        message = f"{name}={value} would loosen {path_text(path)}, {limit:g}; the environment only makes a run safer"
        return None, _problem(name, path, message, value, f"at most {limit:g}")
    return Override(path, parsed(value), ENVIRONMENT, name), None


def _problem(name: str, path: Path, message: str, found: str, expected: str, suggestion: str | None = None) -> Problem:
    text = message if message.startswith(name) else f"{name} {message}"
    return Problem(path_text(path), None, None, ERROR, text, excerpt(found), expected, suggestion, ENVIRONMENT)
