"""Checks of the notifiers: reached, logged in, and no message sent; the heartbeat is called once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from notifications.words import Channel, Delivered, Delivery, Failed, Refused, TryLater, Undeliverable
from trading.config.credentials import known_secrets
from trading.config.model import LoadedConfig
from trading.preflight.finding import Finding, fails, ok, warning
from trading.secret_text import Redactor
from trading.telling.channels import build_channels, enabled_channels
from trading.telling.heartbeat_check import heartbeat_problem

CHECK = "notifiers"
TIMEOUT_S = 30.0


async def check_notifiers(config: LoadedConfig, environ: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Whether each enabled channel has its secrets, is reached and takes them, and the heartbeat is heard."""
    if (heartbeat := await heartbeat_problem(environ)) is not None:
        yield _of_heartbeat(heartbeat)
    if not enabled_channels(config):
        yield ok(CHECK, "none are enabled")
        return
    clean = Redactor(known_secrets(environ))
    channels = build_channels(config, environ)
    for name, problem in channels.problems:
        sentence, _, remedy = problem.partition(": ")
        yield fails(CHECK, f"{name} is enabled, but {sentence}", remedy or f"mend it, or disable notifications.{name}")
    for route in channels.routes:
        yield _finding(route.channel.name, await _asked(route.channel), clean)


def _of_heartbeat(problem: str) -> Finding:
    if not problem:
        return ok(CHECK, "the heartbeat's address was called and has heard it")
    remedy = "mend HEARTBEAT_URL, or its service raises the alarm while the bot is well"
    return warning(CHECK, f"the heartbeat was not heard: {problem}", remedy)


async def _asked(channel: Channel) -> Delivery:
    try:
        return await asyncio.wait_for(channel.check(), TIMEOUT_S)
    except TimeoutError:
        return TryLater(f"no answer within {TIMEOUT_S:g} s")


def _finding(name: str, delivery: Delivery, clean: Redactor) -> Finding:
    match delivery:
        case Delivered():
            return ok(CHECK, f"{name} would take a message; tandem notify-test sends one")
        case TryLater(reason=reason) | Failed(reason=reason):
            remedy = "see that its server is reached from here; the bot would run, and try again and again"
            return warning(CHECK, f"{name}: {clean(reason)}", remedy)
        case Refused(reason=reason) | Undeliverable(reason=reason):
            remedy = f"mend the login or the address of notifications.{name}; until then nothing is told there"
            return fails(CHECK, f"{name}: {clean(reason)}", remedy)
