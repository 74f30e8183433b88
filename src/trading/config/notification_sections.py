"""The section ``notifications``: who is told what, and through what. Secrets come from the environment only."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from trading.config.sections import PathText, Section, Url

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]
MailText = Annotated[str, Field(pattern=r"^[^\s,;][^\r\n,;]{0,253}$")]
EventName = Literal["trade_entry", "trade_exit", "error", "status", "daily_summary", "risk", "health", "start_stop"]
SoundName = Literal["on", "silent", "off"]
_ALL_EVENTS: dict[EventName, SoundName] = dict.fromkeys(get_args(EventName), "on")


def _told_how(value: object) -> object:
    """A list names what is on; what a mapping does not name is off."""
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value, "on")
    return value


NotifyOn = Annotated[
    dict[EventName, SoundName],
    BeforeValidator(_told_how),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"enum": list(get_args(EventName))}, "maxItems": 20},
                {
                    "type": "object",
                    "propertyNames": {"enum": list(get_args(EventName))},
                    "additionalProperties": {"enum": list(get_args(SoundName))},
                },
            ]
        }
    ),
]


class ChannelSection(Section):
    enabled: bool = False
    notify_on: NotifyOn = Field(
        default=_ALL_EVENTS, description="a list, or event: on, silent or off; what is not named is off"
    )


class TelegramSection(ChannelSection):
    """Token, chat and users come from the environment: ``TELEGRAM_BOT_TOKEN``, ``_CHAT_ID``, ``_USER_IDS``."""

    commands: bool = Field(default=False, description="take commands of the users in TELEGRAM_USER_IDS")
    allow_groups: bool = Field(default=False, description="also in a group, where the chat is one")
    api_url: Url | None = Field(default=None, description="another server that speaks the Bot API")


class EmailSection(ChannelSection):
    """The password comes from the environment only; what is not given here comes from there too (``SMTP_HOST``, …)."""

    host: HostName | None = None
    port: int | None = Field(default=None, ge=1, le=65_535, description="default: 587, 465 with tls, 25 with none")
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="none: on this machine only")
    user: MailText | None = None
    sender: MailText | None = Field(default=None, alias="from")
    to: Annotated[tuple[MailText, ...], Field(strict=False, max_length=20)] = ()
    ca_file: PathText | None = Field(default=None, description="the mail server's own authority, beside the usual ones")


class Notifications(Section):
    enabled: bool = False
    telegram: TelegramSection = TelegramSection()
    email: EmailSection = EmailSection()
    webhook: ChannelSection = ChannelSection()
    status_hours: float = Field(default=8.0, ge=0.1, le=168, description="market time between two status notices")
    heartbeat_s: float = Field(
        default=60.0, ge=5, le=86_400, description="between two calls of HEARTBEAT_URL, while the bot is well"
    )
    virtual_time: Literal["brief", "full"] = Field(
        default="brief", description='with mock.speed "max"; brief: start, stop and what is critical'
    )
