"""Builds the channels that a config enables, from what the environment holds. The one place where that is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from notifications.dispatcher import Route
from notifications.lane import Sound
from notifications.words import Channel, Kind
from trading.config.credentials import CredentialsError, known_secrets, secret_value
from trading.config.model import LoadedConfig
from trading.config.notification_sections import ChannelSection
from trading.config.notifiers import WEBHOOKS, addresses, missing_names
from trading.secret_text import Redactor

Environ = Mapping[str, str]


class CannotTell(Exception):
    """A channel that is enabled cannot be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Channels:
    """What was built, and a sentence for each channel that could not be: by its name in the config."""

    routes: tuple[Route, ...]
    problems: tuple[tuple[str, str], ...]


def build_channels(config: LoadedConfig, environ: Environ, *, listens: bool = False) -> Channels:
    """Opens nothing. A channel that cannot be built leaves the others alone. ``listens``: also takes commands."""
    routes: list[Route] = []
    problems: list[tuple[str, str]] = []
    for name in enabled_channels(config):
        sounds = {Kind(kind): Sound(sound) for kind, sound in _section(config, name).notify_on.items()}
        try:
            _refuse_incomplete(config, name, environ)
            routes += [Route(channel, sounds) for channel in _BUILDERS[name](config, environ, listens)]
        except (CannotTell, CredentialsError) as error:
            problems.append((name, str(error)))
        except Exception as error:  # a defect in here keeps nobody from trading; its text may hold a secret
            problems.append((name, f"it could not be made ({type(error).__name__})"))
    return Channels(tuple(routes), tuple(problems))


def enabled_channels(config: LoadedConfig) -> tuple[str, ...]:
    if not config.model.notifications.enabled:
        return ()
    return tuple(name for name in _BUILDERS if _section(config, name).enabled)


def _refuse_incomplete(config: LoadedConfig, name: str, environ: Environ) -> None:
    section = _section(config, name)
    given = [key for key, value in section if value]
    missing = missing_names(name, environ, given, logs_in=getattr(section, "security", "") != "none")
    if missing:
        raise CannotTell(
            f"{', '.join(missing)} not set: set {' and '.join(missing)} in the environment or .env, "
            f"or disable notifications.{name}"
        )


def _section(config: LoadedConfig, name: str) -> ChannelSection:
    section: ChannelSection = getattr(config.model.notifications, name)
    return section


def _telegram(config: LoadedConfig, environ: Environ, listens: bool) -> Iterator[Channel]:
    from notifications.telegram.access import API_URL, TelegramAccess
    from notifications.telegram.channel import TelegramChannel
    from trading.telling.desk import JournalDesk

    wanted = config.model.notifications.telegram
    chats = _numbers(environ, "TELEGRAM_CHAT_ID")
    if len(chats) != 1:
        raise CannotTell("TELEGRAM_CHAT_ID names no chat, or several: it is one number")
    try:
        access = TelegramAccess(
            token=secret_value(environ, "TELEGRAM_BOT_TOKEN"),
            chat_id=chats[0],
            user_ids=frozenset(_numbers(environ, "TELEGRAM_USER_IDS")),
            takes_commands=wanted.commands,
            allows_groups=wanted.allow_groups,
            api_url=wanted.api_url or API_URL,
        )
    except ValueError as error:
        raise CannotTell(str(error)) from None
    redact = Redactor(known_secrets(environ))
    yield TelegramChannel(access, desk=JournalDesk(config, redact=redact) if listens else None)


def _numbers(environ: Environ, name: str) -> list[int]:
    try:
        return [int(word) for word in secret_value(environ, name).replace(",", " ").split()]
    except ValueError:
        raise CannotTell(f"{name} holds something else than numbers: find them as docs/telegram.md says") from None


def _email(config: LoadedConfig, environ: Environ, listens: bool) -> Iterator[Channel]:
    from notifications.chart import draw
    from notifications.email_channel import EmailChannel, EmailSettings

    wanted = config.model.notifications.email
    user = wanted.user or environ.get("SMTP_USER", "")
    sender = wanted.sender or environ.get("SMTP_FROM") or user
    to = wanted.to or tuple(address.strip() for address in environ.get("SMTP_TO", "").split(",") if address.strip())
    if "@" not in sender:
        raise CannotTell("no sender: set notifications.email.from, or SMTP_FROM in the environment")
    try:
        settings = EmailSettings(
            host=wanted.host or environ["SMTP_HOST"],
            sender=sender,
            to=to or (sender,),
            security=wanted.security,
            port=wanted.port,
            user=user if wanted.security != "none" else "",
            password=secret_value(environ, "SMTP_PASSWORD"),
            ca_file=wanted.ca_file,
        )
    except ValueError as error:
        raise CannotTell(str(error)) from None
    yield EmailChannel(settings, draw)


def _webhooks(config: LoadedConfig, environ: Environ, listens: bool) -> Iterator[Channel]:
    """One for each address, so that one which fails does not let the others tell again."""
    from notifications.webhook_channel import WebhookChannel, WebhookUnknown

    urls = addresses(secret_value(environ, WEBHOOKS))
    names = ["webhook"] if len(urls) == 1 else [f"webhook-{number}" for number in range(1, len(urls) + 1)]
    try:
        yield from [WebhookChannel(url, name=name) for url, name in zip(urls, names, strict=True)]
    except WebhookUnknown as error:
        raise CannotTell(str(error)) from None


_BUILDERS: Mapping[str, Callable[[LoadedConfig, Environ, bool], Iterator[Channel]]] = {
    "telegram": _telegram,
    "email": _email,
    "webhook": _webhooks,
}
