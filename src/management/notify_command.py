"""``tandem notify-test CONFIG``: one message through every enabled channel, one heartbeat, and what became of them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from notifications.words import Channel, Delivered, Delivery, Failed, Kind, Notice, Refused, TryLater, Undeliverable
from trading.command_line import BAD_INPUT, EXPECTED, FAILURE, OK
from trading.config.credentials import known_secrets
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.saying import say
from trading.secret_text import Redactor
from trading.telling.channels import build_channels, enabled_channels
from trading.telling.heartbeat_check import heartbeat_problem
from trading.telling.telling import bot_name

TIMEOUT_S = 30.0
EXIT_CODES = "exit codes: 0 every channel took it, 1 one did not, 2 bad config, or no channel is enabled"


@dataclass(frozen=True, slots=True)
class Told:
    """What one channel did. ``problem`` empty: it took the message, as ``done`` says."""

    channel: str
    problem: str = ""
    done: str = "sent"

    def __str__(self) -> str:
        return f"{self.channel}: {self.problem or self.done}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="tandem notify-test",
        description="Send one message through every channel that a config enables, call the heartbeat's address once, "
        "and print what became of it.",
        epilog=EXIT_CODES,
    )
    parser.add_argument(
        "config", help="a config file; a bare name such as 0001.json is also looked for in config/trading"
    )
    options = parser.parse_args(arguments)
    environ = process_environment()
    try:
        config = load_config(options.config, environ=environ)
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    results = asyncio.run(notify(config, environ))
    if not enabled_channels(config):
        print(f"{config.name} enables no channel: see notifications.enabled and those below it", file=sys.stderr)
    if not results:
        return BAD_INPUT
    for told in results:
        say(str(told))
    return FAILURE if any(told.problem for told in results) else OK


async def notify(config: LoadedConfig, environ: Mapping[str, str]) -> list[Told]:
    """All channels at once, then the heartbeat, if there is one; the texts hold no secret."""
    clean = Redactor(known_secrets(environ))
    channels = build_channels(config, environ)
    now = datetime.now(UTC)
    title = f"{bot_name(config)}: a test message"
    body = "This is how notices of this bot look here. Nothing was traded."
    notice = Notice(f"test:{now.isoformat()}", Kind.START_STOP, now, title, (("Config", config.name),), body)
    sent = await asyncio.gather(*(_sent(route.channel, notice, clean) for route in channels.routes))
    heartbeat = await heartbeat_problem(environ)
    beaten = [] if heartbeat is None else [Told("heartbeat", heartbeat and f"not heard: {heartbeat}", "heard")]
    return [*(Told(name, clean(problem)) for name, problem in channels.problems), *sent, *beaten]


async def _sent(channel: Channel, notice: Notice, clean: Redactor) -> Told:
    try:
        delivery = await asyncio.wait_for(_send(channel, notice), TIMEOUT_S)
    except TimeoutError:
        return Told(channel.name, f"no answer within {TIMEOUT_S:g} s")
    except Exception as error:  # its text may hold an address with a token in it
        return Told(channel.name, f"failed ({type(error).__name__})")
    match delivery:
        case Delivered():
            return Told(channel.name)
        case TryLater(reason=reason) | Failed(reason=reason):
            return Told(channel.name, f"not now: {clean(reason)}")
        case Refused(reason=reason) | Undeliverable(reason=reason):
            return Told(channel.name, f"never like this: {clean(reason)}")


async def _send(channel: Channel, notice: Notice) -> Delivery:
    await channel.open()
    try:
        return await channel.send(notice, repeats=1, is_silent=False)
    finally:
        await channel.close()
